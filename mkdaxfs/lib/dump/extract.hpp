// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "image_reader.hpp"

namespace daxfs {

// Write the image's tree into a directory, which is made if it is not there and must be
// empty otherwise. Whatever the image says, nothing outside of it is written: every step
// goes from an open directory to one name in it, and no symlink is followed. Owners,
// devices and attributes that need rights the caller has not, or that the filesystem does not
// hold, are named to `warn` and left out. The directory's own ACL goes, lest it be inherited.
// Returns how many warnings there were.
std::uint64_t extract_image(const ImageReader &reader, const std::string &directory,
                            const std::function<void(const std::string &)> &warn);

} // namespace daxfs
