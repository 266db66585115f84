// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "content_hash.hpp"
#include "output.hpp"

namespace daxfs {

struct MetadataResult {
    std::uint32_t crc = 0; // CRC32C of the region
    Hash128 hash;
};

// Bytes that go out one after the other, with the checksum and hash of all of them.
class MetadataStream {
public:
    MetadataStream(Output &output, std::uint64_t offset);
    ~MetadataStream();

    void put(std::string_view bytes);
    template <typename T> void put_raw(const T &value)
    {
        put({reinterpret_cast<const char *>(&value), sizeof(value)});
    }
    // Zero bytes up to an image offset that is not behind.
    void pad_to(std::uint64_t offset);
    std::uint64_t at() const { return written_ + buffer_.size(); }
    MetadataResult finish();

private:
    struct HashState;
    void flush();

    Output &output_;
    std::uint64_t written_; // image offset of buffer_
    std::string buffer_;
    std::uint32_t crc_ = 0;
    std::unique_ptr<HashState> hash_;
};

} // namespace daxfs
