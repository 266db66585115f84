// SPDX-License-Identifier: Apache-2.0
// XXH3-128 of bytes that come in pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <xxhash.h>

namespace daxbench {

class ContentHash {
public:
    ContentHash() : state_(XXH3_createState(), XXH3_freeState) { XXH3_128bits_reset(state_.get()); }

    void add(std::string_view bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }
    /// Of all that was added: 32 hex digits.
    std::string text() const;

private:
    std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

/// Of bytes that are there at once.
std::string hash_of(std::string_view bytes);

} // namespace daxbench
