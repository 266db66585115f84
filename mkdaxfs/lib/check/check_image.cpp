// SPDX-License-Identifier: Apache-2.0
#include "check_image.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>
#include <tuple>
#include <unordered_map>

#include <sys/stat.h>

#include <fmt/core.h>

#include "check_rules.hpp"
#include "error.hpp"
#include "file_type.hpp"
#include "inode_paths.hpp"
#include "linux_limits.hpp"

namespace daxfs {

namespace {

// What pass 1 remembers of an inode.
struct Seen {
    std::uint32_t nlink = 0;
    std::uint32_t names = 0;
    std::uint32_t subdirs = 0;
    std::uint8_t type = 0; // mode >> 12; 0: it could not be read
    bool reached = false;
};

std::string_view name_of(const daxfs_entry &entry)
{
    return {reinterpret_cast<const char *>(entry.name), entry.name_len};
}

class Check {
public:
    Check(const ImageReader &reader, const std::function<void(const Problem &)> &report,
          const Workers &workers)
        : reader_(reader), report_(report), workers_(workers), paths_(reader),
          seen_(reader.image().inode_count + 1)
    {
    }

    std::uint64_t run()
    {
        if (reader_.metadata_crc() != reader_.image().metadata_crc)
            problem(0, "the metadata does not have the checksum that the superblock says");
        check_super(reader_, [&](const std::string &what) { problem(0, "superblock: " + what); });
        for (std::uint64_t ino = 1; ino < seen_.size(); ++ino)
            guarded(ino, [&] { look(ino); });
        for (std::uint64_t ino = 1; ino < seen_.size(); ++ino)
            if (!guarded(ino, [&] { inode(ino); }) && seen_[ino].type == S_IFDIR >> 12)
                ++unread_;
        features();
        gaps();
        reach();
        for (std::uint64_t ino = 1; ino < seen_.size(); ++ino)
            links(ino);
        if (unlinked_ != 0)
            problem(0, fmt::format("inodes without a path from the root or with fewer names than their nlink "
                                   "says: {}; entries, "
                                   "directories and inodes that cannot be read, which may be why: {}",
                                   unlinked_, unread_));
        if (data_bytes_ != reader_.image().data_bytes)
            problem(0, fmt::format("superblock: data_bytes is {}, the files have {}",
                                   reader_.image().data_bytes, data_bytes_));
        digests();
        return problems_;
    }

private:
    void problem(std::uint64_t ino, const std::string &text)
    {
        ++problems_;
        report_({ino, ino == 0 ? "" : paths_.shown(ino), text});
    }

    // The reader's own errors name the inode already.
    bool guarded(std::uint64_t ino, const std::function<void()> &step)
    {
        try {
            step();
            return true;
        } catch (const ImageError &error) {
            problem(ino, error.what());
            return false;
        }
    }

    // Where pass 2 reports it.
    template <typename Step> static void unless_unreadable(Step step)
    {
        try {
            step();
        } catch (const ImageError &) {
        }
    }

    void bad(std::uint64_t ino, const std::string &what)
    {
        problem(ino, fmt::format("inode {}: {}", ino, what));
    }

    // Pass 1: what directories must be able to look up. An inode that cannot be read
    // is reported by pass 2.
    void look(std::uint64_t ino)
    {
        unless_unreadable([&] {
            const daxfs_attr attr = reader_.inode(ino);
            seen_[ino].type = static_cast<std::uint8_t>(attr.mode >> 12);
            seen_[ino].nlink = attr.nlink;
        });
        unread_ += seen_[ino].type == 0;
    }

    void inode(std::uint64_t ino)
    {
        daxfs_attr attr = reader_.inode(ino);
        check_unused_fields(reader_, attr, [&](const std::string &what) { bad(ino, what); });
        check_linux_inode({attr.mode, attr.uid, attr.gid, attr.node.size, attr.rdev_major, attr.rdev_minor,
                           attr.mtime_nsec},
                          [&](const std::string &what) { bad(ino, what); });
        if (!xattrs_are_read(attr))
            attr.node.xattr = 0; // nobody knows where it ends
        used_.add(reader_, attr);
        if (S_ISDIR(attr.mode))
            directory(attr);
        else if (S_ISREG(attr.mode))
            regular(attr);
        else if (S_ISLNK(attr.mode))
            reader_.target(attr.node);
        if (ino == DAXFS_ROOT_INO && (!S_ISDIR(attr.mode) || attr.parent != DAXFS_ROOT_INO))
            bad(ino, "the root is no directory that is its own parent");
    }

    // Each set is looked at once, however many have it.
    bool xattrs_are_read(const daxfs_attr &attr)
    {
        const auto [known, is_new] = xattr_sets_.try_emplace(attr.node.xattr, true);
        if (is_new)
            known->second = guarded(attr.node.ino, [&] {
                check_xattrs(reader_, attr, [&](const std::string &what) { bad(attr.node.ino, what); });
            });
        if (known->second && !S_ISREG(attr.mode) && !S_ISDIR(attr.mode) &&
            shown_sets_.emplace(attr.node.xattr, attr.mode & S_IFMT).second)
            xattrs_are_shown(attr);
        return known->second;
    }

    void xattrs_are_shown(const daxfs_attr &attr)
    {
        for (const Xattr &xattr : reader_.xattrs(attr.node)) {
            if (!linux_shows_xattr(attr.mode, xattr))
                bad(attr.node.ino, fmt::format("Linux has no {} on an inode of type {}",
                                               printable(join_xattr_name(xattr.index, xattr.name)),
                                               file_type_name(attr.mode)));
        }
    }

    void directory(const daxfs_attr &dir)
    {
        check_directory_record(reader_, dir, [&](const std::string &what) { bad(dir.node.ino, what); });
        daxfs_entry before = {};
        for (std::uint32_t i = 0; i < dir.node.count; ++i) {
            daxfs_entry entry = {};
            if (!guarded(dir.node.ino, [&] { entry = reader_.entry(dir.node, i); })) {
                ++unread_;
                continue;
            }
            this->entry(dir, entry);
            if (i > 0 &&
                std::make_tuple(before.hash, name_of(before)) >= std::make_tuple(entry.hash, name_of(entry)))
                bad(dir.node.ino, fmt::format("entry {} is not in order or occurs twice", i));
            before = entry;
        }
    }

    void entry(const daxfs_attr &dir, const daxfs_entry &entry)
    {
        const std::uint64_t ino = dir.node.ino;
        const std::string shown = printable(name_of(entry));
        const auto look_up = [&] {
            if (reader_.lookup(dir.node, name_of(entry)) != entry.ino)
                bad(ino, fmt::format("entry {}: a lookup does not find it", shown));
        };
        if (entry.hash != daxfs_name_hash(entry.name, entry.name_len))
            bad(ino, fmt::format("entry {}: the hash {:#x} is not its name's", shown, entry.hash));
        else
            unless_unreadable(look_up); // as an entry beside it may be
        Seen &child = seen_[entry.ino];
        if (entry.type != child.type)
            bad(ino, fmt::format("entry {}: type {} but inode {} has {}", shown, entry.type, entry.ino,
                                 child.type));
        ++child.names;
        if (child.type != S_IFDIR >> 12)
            return;
        ++seen_[ino].subdirs;
        const std::uint32_t parent = reader_.inode(entry.ino).parent;
        if (parent != ino)
            bad(entry.ino, fmt::format("parent is {} but its name is in {}", parent, ino));
    }

    void regular(const daxfs_attr &file)
    {
        const std::uint64_t data =
            runs_.add(reader_, file, [&](const std::string &what) { bad(file.node.ino, what); });
        if (data != file.blocks * DAXFS_BLOCK_SIZE)
            bad(file.node.ino,
                fmt::format("blocks is {}, its extents have {}", file.blocks, data / DAXFS_BLOCK_SIZE));
        data_bytes_ += data;
        has_extents_ |= file.node.layout == DAXFS_LAYOUT_EXTENTS;
    }

    void gaps()
    {
        runs_.check_gaps(reader_, workers_, [&](const std::string &what) { problem(0, what); });
        used_.check(reader_, workers_, [&](std::uint64_t ino, const std::string &what) {
            ino == 0 ? problem(0, what) : bad(ino, what);
        });
    }

    void features()
    {
        const bool shares =
            runs_.check_sharing([&](std::uint64_t ino, const std::string &what) { bad(ino, what); });
        if (shares && !(reader_.image().compat & DAXFS_COMPAT_SHARED_DATA))
            problem(0, "superblock: files share data, and the feature bit for it is not set");
        if (has_extents_ && !(reader_.image().incompat & DAXFS_INCOMPAT_EXTENTS))
            problem(0, "superblock: files have extent lists, and the feature bit for them is not set");
    }

    // Mark what a walk from the root meets, once: a loop ends the walk.
    void reach()
    {
        std::vector<std::uint32_t> pending = {DAXFS_ROOT_INO};
        seen_[DAXFS_ROOT_INO].reached = true;
        while (!pending.empty()) {
            const std::uint32_t ino = pending.back();
            pending.pop_back();
            const auto mark = [&](const daxfs_node &dir, std::uint32_t entry) {
                const std::uint32_t below = reader_.entry(dir, entry).ino;
                Seen &child = seen_[below];
                if (!child.reached && child.type == S_IFDIR >> 12)
                    pending.push_back(below);
                child.reached = true;
            };
            unless_unreadable([&] {
                const daxfs_attr dir = reader_.inode(ino);
                for (std::uint32_t i = 0; S_ISDIR(dir.mode) && i < dir.node.count; ++i)
                    unless_unreadable([&] { mark(dir.node, i); });
            });
        }
    }

    void digests()
    {
        if (!(reader_.image().compat & DAXFS_COMPAT_DIGESTS))
            return;
        const DigestKind kind = reader_.digest_kind();
        if (kind == DigestKind::none)
            return problem(0, fmt::format("superblock: digests of kind {} in {} bytes for {} inodes",
                                          reader_.image().digest_kind, reader_.image().digests.len,
                                          reader_.image().inode_count));
        root_digest(kind);
        constexpr std::uint64_t inodes_a_job = 64;
        std::mutex mutex;
        std::vector<std::uint64_t> wrong;
        workers_.for_each((seen_.size() + inodes_a_job - 1) / inodes_a_job, [&](std::size_t job) {
            Digester digester(kind);
            const std::uint64_t end = std::min<std::uint64_t>(seen_.size(), (job + 1) * inodes_a_job);
            for (std::uint64_t ino = std::max<std::uint64_t>(1, job * inodes_a_job); ino < end; ++ino) {
                if (digest_is_right(ino, digester))
                    continue;
                const std::lock_guard lock(mutex);
                wrong.push_back(ino);
            }
        });
        std::sort(wrong.begin(), wrong.end());
        for (const std::uint64_t ino : wrong)
            bad(ino, seen_[ino].type == S_IFREG >> 12 ? "its data does not have the digest that is stored"
                                                      : "it is no regular file, and its digest is not 0");
    }

    void root_digest(DigestKind kind)
    {
        Digester digester(kind);
        digester.update(
            std::as_bytes(reader_.bytes(reader_.image().digests.off, reader_.image().digests.len)));
        std::string root = digester.finish();
        root.resize(sizeof(reader_.image().root_digest));
        if (std::memcmp(root.data(), reader_.image().root_digest, root.size()) != 0)
            problem(0, "superblock: root_digest is not that of the digests");
    }

    bool digest_is_right(std::uint64_t ino, Digester &digester) const
    {
        const std::string_view stored = reader_.digest(ino);
        if (seen_[ino].type != S_IFREG >> 12)
            return seen_[ino].type == 0 || stored.find_first_not_of('\0') == stored.npos;
        try {
            reader_.for_each_piece(reader_.inode(ino).node,
                                   [&](std::span<const std::uint8_t> data, std::uint64_t len) {
                                       if (data.empty())
                                           digester.update_zeros(len, workers_.stop);
                                       else
                                           digester.update(std::as_bytes(data));
                                       workers_.check_stop();
                                   });
        } catch (const ImageError &) {
            digester.finish();
            return true; // pass 2 has reported it
        }
        return digester.finish() == stored;
    }

    void links(std::uint64_t ino)
    {
        const Seen &seen = seen_[ino];
        if (seen.type == 0)
            return;
        const bool is_dir = seen.type == S_IFDIR >> 12;
        const std::uint32_t wanted = is_dir ? 2 + seen.subdirs : seen.names;
        // One bad entry is one problem, not one for each inode that it would have led to.
        if (unread_ != 0 && (!seen.reached || wanted < seen.nlink)) {
            ++unlinked_;
            return;
        }
        if (!seen.reached)
            bad(ino, "no path from the root leads to it");
        if (is_dir && seen.names != (ino == DAXFS_ROOT_INO ? 0 : 1))
            bad(ino, fmt::format("a directory with {} names", seen.names));
        if (seen.nlink != wanted)
            bad(ino, fmt::format("nlink is {}, counted {}", seen.nlink, wanted));
    }

    const ImageReader &reader_;
    const std::function<void(const Problem &)> &report_;
    const Workers &workers_;
    InodePaths paths_;
    std::vector<Seen> seen_;                                       // by inode number
    std::unordered_map<std::uint32_t, bool> xattr_sets_;           // by daxfs_node::xattr: can it be read?
    std::set<std::pair<std::uint32_t, std::uint32_t>> shown_sets_; // the same, and a type: looked at
    DataRuns runs_;
    UsedMetadata used_;
    std::uint64_t unread_ = 0;   // entries, directories and inodes
    std::uint64_t unlinked_ = 0; // inodes that may be so only because of them
    std::uint64_t data_bytes_ = 0;
    bool has_extents_ = false;
    std::uint64_t problems_ = 0;
};

} // namespace

std::uint64_t check_image(const ImageReader &reader, const std::function<void(const Problem &)> &report,
                          const Workers &workers)
{
    return Check(reader, report, workers).run();
}

} // namespace daxfs
