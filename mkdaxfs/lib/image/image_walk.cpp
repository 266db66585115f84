// SPDX-License-Identifier: Apache-2.0
#include "image_walk.hpp"

#include <algorithm>
#include <unordered_map>

#include <sys/stat.h>

#include <fmt/core.h>

namespace daxfs {

std::vector<std::pair<std::string, std::uint32_t>> sorted_entries(const ImageReader &reader,
                                                                  const daxfs_node &dir)
{
    std::vector<std::pair<std::string, std::uint32_t>> entries;
    for (std::uint32_t i = 0; i < dir.count; ++i) {
        const daxfs_entry entry = reader.entry(dir, i);
        std::string name(reinterpret_cast<const char *>(entry.name), entry.name_len);
        if (name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos)
            throw reader.error(fmt::format("inode {}: entry {} is no file name", dir.ino, i), dir.ino);
        entries.emplace_back(std::move(name), entry.ino);
    }
    std::sort(entries.begin(), entries.end());
    const auto same = std::adjacent_find(entries.begin(), entries.end(),
                                         [](const auto &a, const auto &b) { return a.first == b.first; });
    if (same != entries.end())
        throw reader.error(fmt::format("inode {}: a name occurs twice", dir.ino), dir.ino);
    return entries;
}

namespace {

class Walk {
public:
    Walk(const ImageReader &reader, const std::function<void(const WalkEntry &)> &visit,
         const WalkFilter &filter)
        : reader_(reader), visit_(visit), filter_(filter), is_dir_seen_(reader.image().inode_count + 1)
    {
    }

    void run(const std::string &from, std::uint32_t from_ino)
    {
        struct Level {
            std::vector<std::pair<std::string, std::uint32_t>> entries;
            std::size_t next = 0;
            std::size_t path_len = 0;
        };
        std::string path = from;
        std::vector<Level> levels;
        const auto enter = [&](const WalkEntry &dir) {
            levels.push_back({sorted_entries(reader_, dir.attr.node), 0, path.size()});
        };
        const WalkEntry root = look(from, from_ino, reader_.inode(from_ino));
        if (!S_ISDIR(root.attr.mode))
            throw reader_.error("the root is no directory", from_ino);
        visit_(root);
        enter(root);
        while (!levels.empty()) {
            Level &level = levels.back();
            path.resize(level.path_len);
            if (level.next == level.entries.size()) {
                levels.pop_back();
                continue;
            }
            const auto &[name, ino] = level.entries[level.next++];
            if (!path.empty())
                path += '/';
            path += name;
            const daxfs_attr attr = reader_.inode(ino);
            if (filter_ && !filter_(path, ino, S_ISDIR(attr.mode)))
                continue;
            const WalkEntry entry = look(path, ino, attr);
            visit_(entry);
            if (S_ISDIR(entry.attr.mode))
                enter(entry);
        }
    }

private:
    WalkEntry look(const std::string &path, std::uint32_t ino, const daxfs_attr &attr)
    {
        WalkEntry entry = {path, ino, attr, ""};
        if (S_ISDIR(entry.attr.mode)) {
            if (is_dir_seen_[ino])
                throw reader_.error(fmt::format("inode {}: a directory with more than one name", ino), ino);
            is_dir_seen_[ino] = true;
        } else if (entry.attr.nlink > 1) {
            const auto [known, added] = first_.try_emplace(ino, path);
            if (!added)
                entry.first = known->second;
        }
        return entry;
    }

    const ImageReader &reader_;
    const std::function<void(const WalkEntry &)> &visit_;
    const WalkFilter &filter_;
    std::vector<bool> is_dir_seen_;
    std::unordered_map<std::uint32_t, std::string> first_;
};

} // namespace

void walk_image(const ImageReader &reader, const std::function<void(const WalkEntry &)> &visit,
                const WalkFilter &filter)
{
    Walk(reader, visit, filter).run("", DAXFS_ROOT_INO);
}

void walk_directory(const ImageReader &reader, const std::string &path, std::uint32_t ino,
                    const std::function<void(const WalkEntry &)> &visit)
{
    const WalkFilter everything;
    Walk(reader, visit, everything).run(path, ino);
}

} // namespace daxfs
