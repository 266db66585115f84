// SPDX-License-Identifier: Apache-2.0
#include "metadata_stream.hpp"

#include <stdexcept>

#include <xxhash.h>

#include "image.h"

namespace daxfs {

namespace {

constexpr std::size_t buffer_bytes = 1 << 20;

} // namespace

struct MetadataStream::HashState {
    HashState() : state(XXH3_createState()) { XXH3_128bits_reset(state); }
    HashState(const HashState &) = delete;
    HashState &operator=(const HashState &) = delete;
    ~HashState() { XXH3_freeState(state); }

    XXH3_state_t *state;
};

MetadataStream::MetadataStream(Output &output, std::uint64_t offset)
    : output_(output), written_(offset), hash_(std::make_unique<HashState>())
{
    buffer_.reserve(buffer_bytes);
}

MetadataStream::~MetadataStream() = default;

void MetadataStream::put(std::string_view bytes)
{
    if (buffer_.size() + bytes.size() > buffer_bytes)
        flush();
    buffer_ += bytes;
}

void MetadataStream::pad_to(std::uint64_t offset)
{
    if (offset < at())
        throw std::logic_error("metadata grew after it was planned");
    buffer_.append(offset - at(), '\0');
}

void MetadataStream::flush()
{
    crc_ = daxfs_crc32c(crc_, buffer_.data(), buffer_.size());
    XXH3_128bits_update(hash_->state, buffer_.data(), buffer_.size());
    output_.write(written_, std::as_bytes(std::span(buffer_)));
    written_ += buffer_.size();
    buffer_.clear();
}

MetadataResult MetadataStream::finish()
{
    flush();
    const XXH128_hash_t hash = XXH3_128bits_digest(hash_->state);
    return {crc_, {hash.low64, hash.high64}};
}

} // namespace daxfs
