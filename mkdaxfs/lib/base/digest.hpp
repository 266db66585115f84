// SPDX-License-Identifier: Apache-2.0
// Digests of file data: the kinds an image can hold (docs/format.md, Digests).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace daxfs {

enum class DigestKind : std::uint8_t { none = 0, xxh3 = 1, sha256 = 2 };

// "none", "xxh3" or "sha256".
std::optional<DigestKind> parse_digest_kind(std::string_view name);
std::string_view digest_name(DigestKind kind);
// Bytes of one digest; 0 for none.
std::size_t digest_size(DigestKind kind);

// The digest of bytes that come in pieces.
class Digester {
public:
    explicit Digester(DigestKind kind);
    ~Digester();

    void update(std::span<const std::byte> bytes);
    // Throws Interrupted once the flag, if there is one, is set.
    void update_zeros(std::uint64_t count, const std::atomic<bool> *stop = nullptr);
    // digest_size() bytes; the next update() begins a new digest.
    std::string finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

std::string to_hex(std::string_view bytes);

} // namespace daxfs
