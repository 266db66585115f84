// SPDX-License-Identifier: Apache-2.0
#include "check_image.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <tuple>

#include <fmt/core.h>

#include "check_rules.hpp"
#include "error.hpp"
#include "placer.hpp"

namespace daxfs {

namespace {

// What pass 1 remembers of an inode.
struct Seen {
    std::uint32_t nlink = 0;
    std::uint32_t names = 0;
    std::uint32_t subdirs = 0;
    std::uint8_t type = 0;  // mode >> 12; 0: it could not be read
    bool reached = false;
};

std::string_view name_of(const daxfs_entry& entry)
{
    return {reinterpret_cast<const char*>(entry.name), entry.name_len};
}

class Check {
public:
    Check(const ImageReader& reader, const std::function<void(const Problem&)>& report,
          const Workers& workers)
        : reader_(reader), report_(report), workers_(workers), seen_(reader.image().inode_count + 1)
    {
    }

    std::uint64_t run()
    {
        if (reader_.metadata_crc() != reader_.image().metadata_crc)
            problem(0, "the metadata does not have the checksum that the superblock says");
        check_super(reader_, [&](const std::string& what) { problem(0, "superblock: " + what); });
        for (std::uint64_t ino = 1; ino < seen_.size(); ++ino)
            guarded(ino, [&] { look(ino); });
        for (std::uint64_t ino = 1; ino < seen_.size(); ++ino)
            guarded(ino, [&] { inode(ino); });
        features();
        reach();
        for (std::uint64_t ino = 1; ino < seen_.size(); ++ino)
            links(ino);
        if (data_bytes_ != reader_.image().data_bytes)
            problem(0, fmt::format("superblock: data_bytes is {}, the files have {}",
                                   reader_.image().data_bytes, data_bytes_));
        digests();
        return problems_;
    }

private:
    void problem(std::uint64_t ino, const std::string& text)
    {
        ++problems_;
        report_({ino, text});
    }

    // The reader's own errors name the inode already.
    void guarded(std::uint64_t ino, const std::function<void()>& step)
    {
        try {
            step();
        } catch (const ImageError& error) {
            problem(ino, error.what());
        }
    }

    void bad(std::uint64_t ino, const std::string& what)
    {
        problem(ino, fmt::format("inode {}: {}", ino, what));
    }

    // Pass 1: what directories must be able to look up. An inode that cannot be read
    // is reported by pass 2.
    void look(std::uint64_t ino)
    {
        try {
            const daxfs_attr attr = reader_.inode(ino);
            seen_[ino].type = static_cast<std::uint8_t>(attr.mode >> 12);
            seen_[ino].nlink = attr.nlink;
        } catch (const ImageError&) {
        }
    }

    void inode(std::uint64_t ino)
    {
        const daxfs_attr attr = reader_.inode(ino);
        const auto complain = [&](const std::string& what) { bad(ino, what); };
        check_unused_fields(reader_, attr, complain);
        check_xattrs(reader_, attr, complain);
        if (S_ISDIR(attr.mode))
            directory(attr);
        else if (S_ISREG(attr.mode))
            regular(attr);
        else if (S_ISLNK(attr.mode))
            reader_.target(attr.node);
        if (ino == DAXFS_ROOT_INO && (!S_ISDIR(attr.mode) || attr.parent != DAXFS_ROOT_INO))
            bad(ino, "the root is no directory that is its own parent");
    }

    void directory(const daxfs_attr& dir)
    {
        check_directory_record(reader_, dir, [&](const std::string& what) { bad(dir.node.ino, what); });
        daxfs_entry before = {};
        for (std::uint32_t i = 0; i < dir.node.count; ++i) {
            const daxfs_entry entry = reader_.entry(dir.node, i);
            this->entry(dir, entry);
            if (i > 0 && std::make_tuple(before.hash, name_of(before)) >=
                             std::make_tuple(entry.hash, name_of(entry)))
                bad(dir.node.ino, fmt::format("entry {} is not in order or occurs twice", i));
            before = entry;
        }
    }

    void entry(const daxfs_attr& dir, const daxfs_entry& entry)
    {
        const std::uint64_t ino = dir.node.ino;
        const std::string shown = printable(name_of(entry));
        if (entry.hash != daxfs_name_hash(entry.name, entry.name_len))
            bad(ino, fmt::format("entry {}: the hash {:#x} is not its name's", shown, entry.hash));
        else if (reader_.lookup(dir.node, name_of(entry)) != entry.ino)
            bad(ino, fmt::format("entry {}: a lookup does not find it", shown));
        Seen& child = seen_[entry.ino];
        if (entry.type != child.type)
            bad(ino, fmt::format("entry {}: type {} but inode {} has {}", shown, entry.type,
                                 entry.ino, child.type));
        ++child.names;
        if (child.type != S_IFDIR >> 12)
            return;
        ++seen_[ino].subdirs;
        const std::uint32_t parent = reader_.inode(entry.ino).parent;
        if (parent != ino)
            bad(entry.ino, fmt::format("parent is {} but its name is in {}", parent, ino));
    }

    void regular(const daxfs_attr& file)
    {
        const std::uint64_t data =
            runs_.add(reader_, file, [&](const std::string& what) { bad(file.node.ino, what); });
        if (data != file.blocks * DAXFS_BLOCK_SIZE)
            bad(file.node.ino, fmt::format("blocks is {}, its extents have {}", file.blocks,
                                           data / DAXFS_BLOCK_SIZE));
        data_bytes_ += data;
        has_extents_ |= file.node.layout == DAXFS_LAYOUT_EXTENTS;
    }

    void features()
    {
        const bool shares = runs_.check_sharing([&](std::uint64_t ino, const std::string& what) { bad(ino, what); });
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
            try {
                const daxfs_attr dir = reader_.inode(ino);
                for (std::uint32_t i = 0; S_ISDIR(dir.mode) && i < dir.node.count; ++i) {
                    Seen& child = seen_[reader_.entry(dir.node, i).ino];
                    if (!child.reached && child.type == S_IFDIR >> 12)
                        pending.push_back(reader_.entry(dir.node, i).ino);
                    child.reached = true;
                }
            } catch (const ImageError&) {
                // Pass 2 has reported it.
            }
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
            bad(ino, "its data does not have the digest that is stored");
    }

    void root_digest(DigestKind kind)
    {
        Digester digester(kind);
        digester.update(std::as_bytes(reader_.bytes(reader_.image().digests.off,
                                                    reader_.image().digests.len)));
        const std::string root = digester.finish();
        if (std::memcmp(root.data(), reader_.image().root_digest, root.size()) != 0)
            problem(0, "superblock: root_digest is not that of the digests");
    }

    bool digest_is_right(std::uint64_t ino, Digester& digester) const
    {
        if (seen_[ino].type != S_IFREG >> 12)
            return true;
        try {
            reader_.for_each_piece(reader_.inode(ino).node,
                                   [&](std::span<const std::uint8_t> data, std::uint64_t len) {
                                       if (data.empty())
                                           digester.update_zeros(len);
                                       else
                                           digester.update(std::as_bytes(data));
                                       workers_.check_stop();
                                   });
        } catch (const ImageError&) {
            digester.finish();
            return true;  // pass 2 has reported it
        }
        return digester.finish() == reader_.digest(ino);
    }

    void links(std::uint64_t ino)
    {
        const Seen& seen = seen_[ino];
        if (seen.type == 0)
            return;
        const bool is_dir = seen.type == S_IFDIR >> 12;
        if (!seen.reached)
            bad(ino, "no path from the root leads to it");
        if (is_dir && seen.names != (ino == DAXFS_ROOT_INO ? 0 : 1))
            bad(ino, fmt::format("a directory with {} names", seen.names));
        const std::uint32_t wanted = is_dir ? 2 + seen.subdirs : seen.names;
        if (seen.nlink != wanted)
            bad(ino, fmt::format("nlink is {}, counted {}", seen.nlink, wanted));
    }

    const ImageReader& reader_;
    const std::function<void(const Problem&)>& report_;
    const Workers& workers_;
    std::vector<Seen> seen_;  // by inode number
    DataRuns runs_;
    std::uint64_t data_bytes_ = 0;
    bool has_extents_ = false;
    std::uint64_t problems_ = 0;
};

}  // namespace

std::uint64_t check_image(const ImageReader& reader,
                          const std::function<void(const Problem&)>& report, const Workers& workers)
{
    return Check(reader, report, workers).run();
}

}  // namespace daxfs
