// SPDX-License-Identifier: Apache-2.0
// The wire between the host program and the guest's agent: one JSON object a line, in UTF-8.
// Byte strings that need not be UTF-8 (paths, output of programs) travel percent-encoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace daxbench {

using json = nlohmann::json;

inline constexpr int protocol_version = 1;
inline constexpr char agent_port_name[] = "org.daxfs.agent";

/// Of the image, where it is a disk.
inline constexpr char disk_serial[] = "image";
/// A longer line is taken for a peer out of step (a manifest of a million files needs 400 MB).
inline constexpr std::size_t max_line_bytes = std::size_t{1} << 30;

/// What the agent is asked: {"id": …, "op": op, "args": args}.
struct Request {
    std::string op;
    json args = json::object();
    bool operator==(const Request &) const = default;
};

/// The agent answered, with an error.
struct AgentError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The line of a request.
std::string request_line(std::int64_t id, const Request &request);

/// The file of QEMU's fw_cfg with requests that the agent answers before it listens. What comes
/// over the port while a guest runs interrupts it at a moment of the host's choosing.
inline constexpr char script_name[] = "opt/org.daxfs/script";

/// PCI addresses (slot.function) of the virtio-pmem devices "image" and "tools", by which the
/// guest tells them apart; throws std::out_of_range for another name.
const std::string &pmem_address(const std::string &name);

/// Bytes below 0x21, above 0x7e and '%' become %XX (upper case).
std::string percent_encode(std::string_view bytes);

/// The reverse; throws std::runtime_error naming the text where %XX is not two hex digits.
std::string percent_decode(std::string_view text);

/// Collects bytes as they come and gives back whole lines.
class LineFramer {
public:
    /// Throws when a line grows over max_line_bytes.
    void feed(std::string_view bytes);
    /// The oldest whole line without its newline, or nothing yet.
    std::optional<std::string> next();
    /// Bytes of a line not yet ended.
    std::size_t pending() const { return buffer_.size() - start_; }

private:
    std::string buffer_;
    std::size_t start_ = 0;   // first byte not yet handed out
    std::size_t scanned_ = 0; // no newline in [start_, scanned_)
};

/// The object and its newline; throws when a string in it is not UTF-8.
std::string to_line(const json &message);

/// A JSON object; throws std::runtime_error with the start of the line when it is none.
json parse_line(std::string_view line);

} // namespace daxbench
