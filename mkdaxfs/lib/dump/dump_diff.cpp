// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <ostream>
#include <unordered_map>
#include <vector>

#include <sys/stat.h>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "dump_text.hpp"
#include "error.hpp"
#include "image_walk.hpp"

namespace daxfs {

namespace {

class Diff {
public:
    Diff(const ImageReader &left, const ImageReader &right, std::ostream &out, bool json)
        : left_(left), right_(right), out_(out), json_(json)
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
                throw left_.error("more directories than inodes");
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

    void directory(const Pair &pair, std::vector<Pair> &pending)
    {
        if (pair.path.empty() && !compare("/", pair.left, pair.right))
            throw left_.error("the root is no directory, here or in the other image");
        const auto a = sorted_entries(left_, left_.inode(pair.left).node);
        const auto b = sorted_entries(right_, right_.inode(pair.right).node);
        std::vector<Pair> below;
        for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
            const int order = i == a.size() ? 1 : j == b.size() ? -1 : a[i].first.compare(b[j].first);
            const std::string path = pair.path + "/" + (order <= 0 ? a[i].first : b[j].first);
            if (order != 0) {
                line(order < 0 ? only_left : only_right, path);
                ++(order < 0 ? i : j);
                continue;
            }
            if (compare(path, a[i].second, b[j].second))
                below.push_back({path, a[i].second, b[j].second});
            ++i;
            ++j;
        }
        pending.insert(pending.end(), below.rbegin(), below.rend());
    }

    struct Mark {
        const char *text;
        const char *json;
    };
    static constexpr Mark only_left = {"- ", "removed"};
    static constexpr Mark only_right = {"+ ", "added"};

    void line(const Mark &mark, const std::string &path)
    {
        if (json_)
            object(path, {mark.json});
        else
            out_ << mark.text << printable(path) << '\n';
        ++lines_;
    }

    void line(const std::string &path, const std::vector<std::string> &what)
    {
        if (json_)
            object(path, what);
        else
            out_ << fmt::format("* {}: {}\n", printable(path), fmt::join(what, " "));
        ++lines_;
    }

    void object(const std::string &path, const std::vector<std::string> &what)
    {
        out_ << nlohmann::ordered_json({{"path", printable(path)}, {"what", what}}).dump() << '\n';
    }

    // Are both a directory?
    bool compare(const std::string &path, std::uint32_t left, std::uint32_t right)
    {
        const daxfs_attr x = left_.inode(left);
        const daxfs_attr y = right_.inode(right);
        std::vector<std::string> what;
        const auto note = [&](bool differs, const char *name) {
            if (differs)
                what.emplace_back(name);
        };
        if ((x.mode & S_IFMT) != (y.mode & S_IFMT)) {
            line(path, {"type"});
            return false;
        }
        note(x.mode != y.mode, "mode");
        note(x.uid != y.uid, "uid");
        note(x.gid != y.gid, "gid");
        note(x.mtime_sec != y.mtime_sec || x.mtime_nsec != y.mtime_nsec, "mtime");
        note(x.nlink != y.nlink, "nlink");
        note(!same_links(left, right, x), "links");
        note(x.rdev_major != y.rdev_major || x.rdev_minor != y.rdev_minor, "device");
        note(!same_xattrs(x.node, y.node), "xattrs");
        if (S_ISLNK(x.mode))
            note(left_.target(x.node) != right_.target(y.node), "target");
        if (S_ISREG(x.mode))
            note(x.node.size != y.node.size || !same_content(x.node, y.node), "content");
        if (!what.empty())
            line(path, what);
        return S_ISDIR(x.mode);
    }

    // Do the names of an inode all lead to one on the right? That none of its other names does
    // follows, since nlink is compared, too.
    bool same_links(std::uint32_t left, std::uint32_t right, const daxfs_attr &attr)
    {
        if (S_ISDIR(attr.mode) || attr.nlink < 2)
            return true;
        return right_of_.try_emplace(left, right).first->second == right;
    }

    bool same_xattrs(const daxfs_node &x, const daxfs_node &y)
    {
        const auto a = left_.xattrs(x);
        const auto b = right_.xattrs(y);
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Xattr &p, const Xattr &q) {
            return p.index == q.index && p.name == q.name && p.value == q.value;
        });
    }

    // Both have the same size.
    bool same_content(const daxfs_node &x, const daxfs_node &y)
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

    bool same_bytes(const daxfs_map &a, const daxfs_map &b, std::uint64_t len)
    {
        if (a.hole && b.hole)
            return true;
        if (!a.hole && !b.hole)
            return std::memcmp(left_.bytes(a.off, len).data(), right_.bytes(b.off, len).data(), len) == 0;
        const auto data = a.hole ? right_.bytes(b.off, len) : left_.bytes(a.off, len);
        return data[0] == 0 && std::memcmp(data.data(), data.data() + 1, len - 1) == 0;
    }

    const ImageReader &left_;
    const ImageReader &right_;
    std::ostream &out_;
    const bool json_;
    std::unordered_map<std::uint32_t, std::uint32_t> right_of_; // inodes with several names
    std::uint64_t lines_ = 0;
};

} // namespace

std::uint64_t dump_diff(const ImageReader &reader, const ImageReader &other, std::ostream &out, bool json)
{
    return Diff(reader, other, out, json).run();
}

} // namespace daxfs
