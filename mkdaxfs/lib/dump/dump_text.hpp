// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>

#include "image_reader.hpp"
#include "selection.hpp"

namespace daxfs {

// The image as text that mkdaxfs --text makes the same image of (docs/text.md).
void dump_text(const ImageReader &reader, std::ostream &out);

// The image, or what is selected of it, as a PAX tar archive. Sockets have no place in one and are named in
// err.
void dump_tar(const ImageReader &reader, std::ostream &out, std::ostream &err,
              const Selection &selection = {});

// What differs between two images' trees: "- PATH", "+ PATH", "* PATH: mode mtime content", or
// each as a JSON object. Returns how many lines it printed.
std::uint64_t dump_diff(const ImageReader &reader, const ImageReader &other, std::ostream &out,
                        bool json = false);

} // namespace daxfs
