// SPDX-License-Identifier: Apache-2.0
#include "content_hash.hpp"

#include <fmt/format.h>

namespace daxbench {

std::string ContentHash::text() const
{
    const auto hash = XXH3_128bits_digest(state_.get());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_of(std::string_view bytes)
{
    ContentHash hash;
    hash.add(bytes);
    return hash.text();
}

} // namespace daxbench
