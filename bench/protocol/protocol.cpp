// SPDX-License-Identifier: Apache-2.0
#include "protocol.hpp"

#include <map>
#include <stdexcept>
#include <utility>

#include "percent.hpp"

namespace daxbench {

std::string percent_encode(std::string_view bytes)
{
    return daxfs::percent_encode(bytes);
}

std::string percent_decode(std::string_view text)
{
    std::size_t bad = 0;
    auto bytes = daxfs::percent_decode(text, &bad);
    if (!bytes)
        throw std::runtime_error("expected %XX with two hex digits at byte " + std::to_string(bad) + " of '" +
                                 std::string(text.substr(0, 200)) + "': encode '%' as %25");
    return std::move(*bytes);
}

void LineFramer::feed(std::string_view bytes)
{
    if (start_ > 0 && start_ >= buffer_.size() / 2) {
        buffer_.erase(0, start_);
        scanned_ -= start_;
        start_ = 0;
    }
    buffer_.append(bytes);
    if (pending() > max_line_bytes && buffer_.find('\n', scanned_) == std::string::npos)
        throw std::runtime_error("expected a line of at most " + std::to_string(max_line_bytes) +
                                 " bytes, got more: the other side is out of step");
}

std::optional<std::string> LineFramer::next()
{
    const auto end = buffer_.find('\n', scanned_);
    if (end == std::string::npos) {
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    std::string line = buffer_.substr(start_, end - start_);
    start_ = scanned_ = end + 1;
    return line;
}

std::string to_line(const json &message)
{
    return message.dump() + '\n';
}

std::string request_line(std::int64_t id, const Request &request)
{
    return to_line({{"id", id}, {"op", request.op}, {"args", request.args}});
}

const std::string &pmem_address(const std::string &name)
{
    static const std::map<std::string, std::string> addresses = {{"image", "10.0"}, {"tools", "11.0"}};
    return addresses.at(name);
}

json parse_line(std::string_view line)
{
    json message = json::parse(line, nullptr, false);
    if (!message.is_object())
        throw std::runtime_error("expected one JSON object a line, got '" +
                                 percent_encode(line.substr(0, 120)) + "': is the other side the agent?");
    return message;
}

} // namespace daxbench
