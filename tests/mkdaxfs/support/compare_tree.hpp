// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "image_reader.hpp"

namespace daxfs::test {

// Every entry below the directory, its metadata, xattrs and content, against the
// image; and nothing else is in the image. Also what fsck.daxfs checks.
void expect_same_tree(const std::filesystem::path &source, const ImageReader &reader);

} // namespace daxfs::test
