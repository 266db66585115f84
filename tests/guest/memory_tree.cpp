// SPDX-License-Identifier: Apache-2.0
#include "memory_tree.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <sys/stat.h>

#include "build_image.hpp"
#include "daxfs_format.h"

namespace daxtest {

namespace {

class MemoryContent : public daxfs::FileContent {
public:
    explicit MemoryContent(std::map<std::uint64_t, std::string> pieces) : pieces_(std::move(pieces)) {}

    void read(std::uint64_t offset, std::span<std::byte> to) override
    {
        std::fill(to.begin(), to.end(), std::byte{0});
        for (const auto &[at, text] : pieces_) {
            const auto begin = std::max(offset, at);
            const auto end = std::min(offset + to.size(), at + text.size());
            if (begin < end)
                std::memcpy(to.data() + (begin - offset), text.data() + (begin - at), end - begin);
        }
    }

    std::vector<daxfs::ByteRange> data_ranges() override
    {
        std::vector<daxfs::ByteRange> ranges;
        for (const auto &[at, text] : pieces_)
            ranges.push_back({at, at + text.size()});
        return ranges;
    }

    void check_unchanged() override {}

private:
    std::map<std::uint64_t, std::string> pieces_;
};

class MemorySource : public daxfs::TreeSource {
public:
    explicit MemorySource(MemoryTree files) : files_(std::move(files)) {}

    std::unique_ptr<daxfs::Tree> scan(const daxfs::Workers &) override
    {
        auto tree = std::make_unique<daxfs::Tree>();
        add_folders();
        for (const auto &[path, file] : files_) // a folder sorts before what is in it
            add(*tree, path, file);
        return tree;
    }

    std::unique_ptr<daxfs::FileContent> open(const daxfs::Tree &, daxfs::NodeId node) const override
    {
        return std::make_unique<MemoryContent>(pieces_of(*by_node_[node]));
    }

private:
    static std::map<std::uint64_t, std::string> pieces_of(const MemoryFile &file)
    {
        auto pieces = file.pieces;
        if (!file.content.empty())
            pieces[0] = file.content;
        return pieces;
    }

    void add_folders()
    {
        const auto given = files_;
        for (const auto &[path, file] : given)
            for (auto dir = std::filesystem::path(path); !dir.empty();) {
                dir = dir.parent_path();
                files_.try_emplace(dir.string(), MemoryFile{.mode = S_IFDIR | 0755});
            }
    }

    void add(daxfs::Tree &tree, const std::string &path, const MemoryFile &file)
    {
        daxfs::Node node;
        node.mode = file.mode;
        node.uid = file.uid;
        node.gid = file.gid;
        node.mtime_sec = 1700000000;
        if (S_ISREG(file.mode)) {
            node.size = file.size;
            for (const auto &[at, text] : pieces_of(file))
                node.size = std::max(node.size, at + text.size());
        } else if (S_ISLNK(file.mode)) {
            node.size = file.content.size();
            node.data = tree.add_text(file.content);
        } else if (S_ISCHR(file.mode) || S_ISBLK(file.mode)) {
            node.data = std::uint64_t{file.major} << 32 | file.minor;
        }
        node.xattrs = tree.xattrs.intern(xattrs_of(file));
        const auto id = tree.add_node(node);
        by_node_.push_back(&file);
        ids_[path] = id;
        if (path.empty())
            return;
        const std::filesystem::path whole(path);
        tree.add_entry(ids_.at(whole.parent_path().string()), whole.filename().string(), id);
    }

    static std::vector<daxfs::Xattr> xattrs_of(const MemoryFile &file)
    {
        std::vector<daxfs::Xattr> xattrs;
        for (const auto &[name, value] : file.xattrs) {
            daxfs::Xattr xattr;
            if (!daxfs::split_xattr_name(name, xattr))
                throw std::runtime_error("no such namespace: " + name);
            xattr.value = value;
            xattrs.push_back(xattr);
        }
        return xattrs;
    }

    MemoryTree files_;
    std::map<std::string, daxfs::NodeId> ids_;
    std::vector<const MemoryFile *> by_node_;
};

} // namespace

void pad_image(const std::filesystem::path &image)
{
    const auto size = std::filesystem::file_size(image);
    std::filesystem::resize_file(image, (size + DAXFS_HUGE_SIZE - 1) / DAXFS_HUGE_SIZE * DAXFS_HUGE_SIZE);
}

void make_image(const MemoryTree &tree, const std::filesystem::path &image)
{
    MemorySource source(tree);
    daxfs::build_image(source, image.string(), {}, {2, nullptr});
    pad_image(image);
}

} // namespace daxtest
