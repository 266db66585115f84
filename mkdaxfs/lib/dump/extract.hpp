// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "image_reader.hpp"
#include "selection.hpp"

namespace daxfs {

// What happens to what is in the directory already.
enum class Existing {
    refuse,    // it must hold nothing
    overwrite, // the image's comes in its place; directories that both have are one
    skip,      // it stays as it is
    keep_newer // overwrite, but for what is no directory and has a later time than the image's
};

struct ExtractOptions {
    // Are owners the image's, or those of whoever extracts?
    bool keeps_owners = true;
    Existing existing = Existing::refuse;
    Selection selection; // find_in() was called
};

// Write the image's tree into a directory, which is made if it is not there. Whatever the image says, and
// whatever the directory holds, nothing outside of it is written: every step
// goes from an open directory to one name in it, and no symlink is followed. Owners,
// devices and attributes that need rights the caller has not, or that the filesystem does not
// hold, are named to `warn` and left out. The directory's own ACL goes, lest it be inherited.
// Returns how much was left out; throws where all the rest could not be written either.
std::uint64_t extract_image(const ImageReader &reader, const std::string &directory,
                            const std::function<void(const std::string &)> &warn,
                            const ExtractOptions &options = {});

} // namespace daxfs
