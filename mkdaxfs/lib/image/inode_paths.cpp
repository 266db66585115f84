// SPDX-License-Identifier: Apache-2.0
#include "inode_paths.hpp"

#include <string_view>

#include <sys/stat.h>

#include "daxfs_format.h"
#include "error.hpp"

namespace daxfs {

namespace {

// Images that lie have loops, and problems on every step of a way that goes very deep.
constexpr int most_steps = 64;

// Of a damaged image what can be read counts.
template <typename Step> void unless_unreadable(const Step &step)
{
    try {
        step();
    } catch (const ImageError &) {
    }
}

} // namespace

void InodePaths::read()
{
    names_.resize(reader_.image().inode_count + 1);
    for (std::uint64_t ino = 1; ino < names_.size(); ++ino)
        unless_unreadable([&] { read_directory(static_cast<std::uint32_t>(ino)); });
}

void InodePaths::read_directory(std::uint32_t ino)
{
    const daxfs_attr dir = reader_.inode(ino);
    for (std::uint32_t i = 0; S_ISDIR(dir.mode) && i < dir.node.count; ++i) {
        unless_unreadable([&] {
            Name &name = names_[reader_.entry(dir.node, i).ino];
            if (name.dir == 0)
                name = {ino, i};
        });
    }
}

std::string InodePaths::shown(std::uint64_t ino)
{
    if (ino == DAXFS_ROOT_INO)
        return "/";
    if (names_.empty())
        read();
    if (ino >= names_.size() || names_[ino].dir == 0)
        return "";
    std::string path;
    for (int step = 0; ino != DAXFS_ROOT_INO; ++step) {
        const Name &name = names_[ino];
        if (name.dir == 0 || step == most_steps)
            return "…" + path;
        const daxfs_entry entry = reader_.entry(reader_.inode(name.dir).node, name.entry);
        path.insert(0, "/" + printable({reinterpret_cast<const char *>(entry.name), entry.name_len}));
        ino = name.dir;
    }
    return path;
}

} // namespace daxfs
