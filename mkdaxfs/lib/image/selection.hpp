// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image_reader.hpp"
#include "path_filter.hpp"

namespace daxfs {

// A part of an image's tree: what globs name, all below that, and the directories that lead to it, but for
// what other globs leave out with all below. The root is always in it.
class Selection {
public:
    // Globs as PathFilter has them; both throw as it does. Without an only() all is selected.
    void only(const std::string &glob);
    void exclude(const std::string &glob) { left_out_.add_glob(glob); }
    bool is_everything() const { return only_.empty() && left_out_.empty(); }

    // Looks through the image; before it, nothing of a part is selected. Throws where one of only()'s globs
    // names nothing.
    void find_in(const ImageReader &reader);
    // Is this path in it, given that the directory above is?
    bool has(const std::string &path, std::uint32_t ino, bool is_dir) const;

private:
    struct Only {
        std::string glob;
        PathFilter filter;
        bool is_met = false;
    };

    bool matches(const std::string &path);

    std::vector<Only> only_;
    PathFilter left_out_;
    std::vector<bool> directories_; // by inode number: a directory has one path
};

} // namespace daxfs
