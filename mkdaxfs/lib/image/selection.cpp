// SPDX-License-Identifier: Apache-2.0
#include "selection.hpp"

#include <algorithm>
#include <stdexcept>

#include <sys/stat.h>

#include "daxfs_format.h"
#include "error.hpp"
#include "image_walk.hpp"

namespace daxfs {

namespace {

bool is_below(const std::string &path, const std::string &directory)
{
    return path.size() > directory.size() && path[directory.size()] == '/' && path.starts_with(directory);
}

} // namespace

void Selection::only(const std::string &glob)
{
    only_.push_back({glob, {}, false});
    only_.back().filter.add_glob(glob);
}

bool Selection::matches(const std::string &path)
{
    bool any = only_.empty();
    for (Only &one : only_) {
        if (!one.filter.excludes(path))
            continue;
        one.is_met = true;
        any = true;
    }
    return any;
}

void Selection::find_in(const ImageReader &reader)
{
    if (is_everything())
        return;
    struct Above {
        std::string path;
        std::uint32_t ino;
        bool is_whole; // with all that is below
        bool is_out;
    };
    directories_.assign(reader.image().inode_count + 1, false);
    directories_[DAXFS_ROOT_INO] = true;
    std::vector<Above> above;
    walk_image(reader, [&](const WalkEntry &entry) {
        if (entry.path.empty())
            return;
        while (!above.empty() && !is_below(entry.path, above.back().path))
            above.pop_back();
        const bool is_out = (!above.empty() && above.back().is_out) || left_out_.excludes(entry.path);
        const bool is_named = !is_out && matches(entry.path);
        const bool is_in = !is_out && (is_named || (!above.empty() && above.back().is_whole));
        for (auto dir = above.rbegin(); is_in && dir != above.rend() && !directories_[dir->ino]; ++dir)
            directories_[dir->ino] = true;
        if (!S_ISDIR(entry.attr.mode))
            return;
        above.push_back({entry.path, entry.ino, is_in, is_out});
        directories_[entry.ino] = is_in;
    });
    for (const Only &one : only_) {
        if (!one.is_met)
            throw std::runtime_error("expected a glob that names something in the image, got " +
                                     printable(one.glob));
    }
}

bool Selection::has(const std::string &path, std::uint32_t ino, bool is_dir) const
{
    if (is_everything())
        return true;
    if (is_dir)
        return ino < directories_.size() && directories_[ino];
    return !left_out_.excludes(path) &&
           (only_.empty() || std::any_of(only_.begin(), only_.end(), [&](const Only &one) {
                return one.filter.excludes_or_above(path);
            }));
}

} // namespace daxfs
