// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <cstring>
#include <ostream>
#include <vector>

#include "dump_text.hpp"
#include "error.hpp"
#include "image_walk.hpp"

namespace daxfs {

namespace {

class Diff {
public:
    Diff(const ImageReader& left, const ImageReader& right, std::ostream& out)
        : left_(left), right_(right), out_(out)
    {
    }

    std::uint64_t run()
    {
        std::vector<Pair> pending = {{"", DAXFS_ROOT_INO, DAXFS_ROOT_INO}};
        // A loop in either image would be walked for ever: no tree has more directories
        // than inodes.
        std::uint64_t left = left_.image().inode_count;
        while (!pending.empty()) {
            const Pair pair = std::move(pending.back());
            pending.pop_back();
            if (left-- == 0)
                throw ImageError("more directories than inodes");
            directory(pair, pending);
        }
        return lines_;
    }

private:
    struct Pair {
        std::string path;
        std::uint32_t left;
        std::uint32_t right;
    };

    void directory(const Pair& pair, std::vector<Pair>& pending)
    {
        if (pair.path.empty())
            compare("/", left_.inode(pair.left), right_.inode(pair.right));
        const auto a = sorted_entries(left_, left_.inode(pair.left).node);
        const auto b = sorted_entries(right_, right_.inode(pair.right).node);
        std::vector<Pair> below;
        for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
            const int order = i == a.size() ? 1 : j == b.size() ? -1 : a[i].first.compare(b[j].first);
            const std::string path = pair.path + "/" + (order <= 0 ? a[i].first : b[j].first);
            if (order != 0) {
                line(order < 0 ? "- " : "+ ", path, "");
                ++(order < 0 ? i : j);
                continue;
            }
            const daxfs_attr x = left_.inode(a[i].second);
            const daxfs_attr y = right_.inode(b[j].second);
            compare(path, x, y);
            if (S_ISDIR(x.mode) && S_ISDIR(y.mode))
                below.push_back({path, a[i].second, b[j].second});
            ++i;
            ++j;
        }
        pending.insert(pending.end(), below.rbegin(), below.rend());
    }

    void line(const char* mark, const std::string& path, const std::string& what)
    {
        out_ << mark << printable(path) << (what.empty() ? "" : ":") << what << '\n';
        ++lines_;
    }

    void compare(const std::string& path, const daxfs_attr& x, const daxfs_attr& y)
    {
        std::string what;
        const auto note = [&](bool differs, const char* name) {
            if (differs)
                what += std::string(" ") + name;
        };
        if ((x.mode & S_IFMT) != (y.mode & S_IFMT)) {
            line("* ", path, " type");
            return;
        }
        note(x.mode != y.mode, "mode");
        note(x.uid != y.uid, "uid");
        note(x.gid != y.gid, "gid");
        note(x.mtime_sec != y.mtime_sec || x.mtime_nsec != y.mtime_nsec, "mtime");
        note(x.nlink != y.nlink, "nlink");
        note(x.rdev_major != y.rdev_major || x.rdev_minor != y.rdev_minor, "device");
        note(!same_xattrs(x.node, y.node), "xattrs");
        if (S_ISLNK(x.mode))
            note(left_.target(x.node) != right_.target(y.node), "target");
        if (S_ISREG(x.mode))
            note(x.node.size != y.node.size || !same_content(x.node, y.node), "content");
        if (!what.empty())
            line("* ", path, what);
    }

    bool same_xattrs(const daxfs_node& x, const daxfs_node& y)
    {
        const auto a = left_.xattrs(x);
        const auto b = right_.xattrs(y);
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Xattr& p, const Xattr& q) {
            return p.index == q.index && p.name == q.name && p.value == q.value;
        });
    }

    // Both have the same size.
    bool same_content(const daxfs_node& x, const daxfs_node& y)
    {
        for (std::uint64_t pos = 0; pos < x.size;) {
            const daxfs_map a = left_.map(x, pos);
            const daxfs_map b = right_.map(y, pos);
            const std::uint64_t len = std::min(a.len, b.len);
            if (!same_bytes(a, b, len))
                return false;
            pos += len;
        }
        return true;
    }

    bool same_bytes(const daxfs_map& a, const daxfs_map& b, std::uint64_t len)
    {
        if (a.hole && b.hole)
            return true;
        if (!a.hole && !b.hole)
            return std::memcmp(left_.bytes(a.off, len).data(), right_.bytes(b.off, len).data(), len) == 0;
        const auto data = a.hole ? right_.bytes(b.off, len) : left_.bytes(a.off, len);
        return data[0] == 0 && std::memcmp(data.data(), data.data() + 1, len - 1) == 0;
    }

    const ImageReader& left_;
    const ImageReader& right_;
    std::ostream& out_;
    std::uint64_t lines_ = 0;
};

}  // namespace

std::uint64_t dump_diff(const ImageReader& reader, const ImageReader& other, std::ostream& out)
{
    return Diff(reader, other, out).run();
}

}  // namespace daxfs
