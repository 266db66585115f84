// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bus_error.hpp"
#include "image_reader.hpp"

namespace daxfs {

// The files of an image as the module shows them. Where the module gives an error, so do these, with the
// same number: all return 0 or a negative errno.
class ImageFiles {
public:
    // report is given one line on what breaks the format or cannot be read.
    ImageFiles(const ImageReader &reader, std::function<void(const std::string &line)> report);

    const daxfs_image &image() const { return image_; }
    // The same in every inode, as for the module's file handles.
    std::uint32_t generation() const;

    int attributes(std::uint64_t ino, daxfs_attr &attr) const;
    // What a name leads to; -ENOENT where there is none.
    int child(std::uint64_t dir, std::string_view name, daxfs_attr &attr);
    // The same for an entry that entries() gave.
    int child(std::uint64_t dir, std::uint32_t index, std::uint32_t ino, daxfs_attr &attr);
    // Entries from index on, one at least; 1 behind the last one.
    int entries(std::uint64_t dir, std::uint32_t index, daxfs_dir_batch &batch) const;
    int target(std::uint64_t link, std::string &text) const;
    // All that the file has of these bytes, or an error.
    int read(std::uint64_t file, std::uint64_t pos, std::uint64_t size, std::string &bytes) const;
    // As lseek(2): the next byte from pos on that is in a hole, or is not.
    int seek(std::uint64_t file, std::uint64_t pos, bool hole, std::uint64_t &found) const;
    int xattr(std::uint64_t ino, std::string_view name, std::string &value) const;
    // Each name with a NUL behind it.
    int xattr_names(std::uint64_t ino, bool with_trusted, std::string &names) const;

private:
    using Visit = std::function<int(const daxfs_xattr_entry &entry)>; // 0 goes on

    int call(const std::function<int(daxfs_err &err)> &reads) const;
    int corrupt(std::uint64_t ino, const char *field, std::uint64_t value) const;
    int each_xattr(std::uint64_t ino, const Visit &visit) const;
    int regular(std::uint64_t ino, daxfs_attr &attr) const;

    const daxfs_image &image_;
    std::function<void(const std::string &)> report_;
    CatchBusErrors catch_;
    // By directory, which entry of its parent it was found by: it has no second one.
    std::unordered_map<std::uint32_t, std::uint32_t> entry_of_;
};

} // namespace daxfs
