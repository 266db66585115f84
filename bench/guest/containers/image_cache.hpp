// SPDX-License-Identifier: Apache-2.0
// How much of a guest's page cache is there for one mounted image.
#pragma once

#include <cstdint>
#include <string>

namespace daxbench {

/// What page cache and buffers grow by from its making on, without pages of tmpfs (containers' own layers);
/// and of an image that is page cache itself (tmpfs, ramfs) all that it is.
class ImageCache {
public:
    explicit ImageCache(const std::string &target);
    std::int64_t bytes() const;

private:
    static std::int64_t cached();

    std::int64_t held_;
    std::int64_t before_;
};

} // namespace daxbench
