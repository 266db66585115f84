// SPDX-License-Identifier: Apache-2.0
#include "protocol.hpp"

#include <map>
#include <stdexcept>

namespace daxbench {

namespace {

constexpr char hex_digits[] = "0123456789ABCDEF";

int hex_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

}  // namespace

std::string percent_encode(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x21 && byte <= 0x7e && byte != '%') {
            text += c;
            continue;
        }
        text += '%';
        text += hex_digits[byte >> 4];
        text += hex_digits[byte & 15];
    }
    return text;
}

std::string percent_decode(std::string_view text) {
    std::string bytes;
    bytes.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            bytes += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0)
            throw std::runtime_error("wanted %XX with two hex digits at byte " + std::to_string(i) +
                                     " of '" + std::string(text.substr(0, 200)) +
                                     "': encode '%' as %25");
        bytes += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return bytes;
}

void LineFramer::feed(std::string_view bytes) {
    if (start_ > 0 && start_ >= buffer_.size() / 2) {
        buffer_.erase(0, start_);
        scanned_ -= start_;
        start_ = 0;
    }
    buffer_.append(bytes);
    if (pending() > max_line_bytes && buffer_.find('\n', scanned_) == std::string::npos)
        throw std::runtime_error("wanted a line of at most " + std::to_string(max_line_bytes) +
                                 " bytes, got more: the other side is out of step");
}

std::optional<std::string> LineFramer::next() {
    const auto end = buffer_.find('\n', scanned_);
    if (end == std::string::npos) {
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    std::string line = buffer_.substr(start_, end - start_);
    start_ = scanned_ = end + 1;
    return line;
}

std::string to_line(const json& message) {
    return message.dump() + '\n';
}

std::string request_line(std::int64_t id, const Request& request) {
    return to_line({{"id", id}, {"op", request.op}, {"args", request.args}});
}

const std::string& pmem_address(const std::string& name) {
    static const std::map<std::string, std::string> addresses = {
        {"image", "10.0"}, {"tools", "11.0"}};
    return addresses.at(name);
}

json parse_line(std::string_view line) {
    json message = json::parse(line, nullptr, false);
    if (!message.is_object())
        throw std::runtime_error("wanted one JSON object a line, got '" +
                                 percent_encode(line.substr(0, 120)) +
                                 "': is the other side the agent?");
    return message;
}

}  // namespace daxbench
