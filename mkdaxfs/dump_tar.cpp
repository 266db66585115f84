// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <memory>
#include <ostream>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include "daxfs_format.h"
#include "dump_text.hpp"
#include "error.hpp"
#include "image_walk.hpp"

namespace daxfs {

namespace {

la_ssize_t put_bytes(archive* to, void* stream, const void* bytes, std::size_t size)
{
    auto& out = *static_cast<std::ostream*>(stream);
    out.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    if (out)
        return static_cast<la_ssize_t>(size);
    archive_set_error(to, EIO, "cannot write the archive");
    return ARCHIVE_FATAL;
}

class TarWriter {
public:
    TarWriter(const ImageReader& reader, std::ostream& out, std::ostream& err)
        : reader_(reader), err_(err), to_(archive_write_new(), archive_write_free)
    {
        archive_write_set_format_pax(to_.get());
        // Names are bytes, not text of some locale.
        archive_write_set_options(to_.get(), "hdrcharset=BINARY");
        archive_write_set_bytes_in_last_block(to_.get(), 1);
        check(archive_write_open(to_.get(), &out, nullptr, put_bytes, nullptr));
    }

    void run()
    {
        walk_image(reader_, [this](const WalkEntry& entry) { add(entry); });
        check(archive_write_close(to_.get()));
    }

private:
    void check(la_ssize_t result)
    {
        if (result >= ARCHIVE_WARN)
            return;
        const char* why = archive_error_string(to_.get());
        throw std::runtime_error(why ? why : "cannot write the archive");
    }

    void add(const WalkEntry& from)
    {
        const daxfs_attr& attr = from.attr;
        if (S_ISSOCK(attr.mode)) {
            err_ << fmt::format("dump.daxfs: /{}: a socket, left out of the archive\n",
                                printable(from.path));
            return;
        }
        const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                             archive_entry_free);
        const std::string path = "./" + from.path;
        archive_entry_set_pathname(entry.get(), path.c_str());
        archive_entry_set_mode(entry.get(), static_cast<mode_t>(attr.mode));
        archive_entry_set_uid(entry.get(), attr.uid);
        archive_entry_set_gid(entry.get(), attr.gid);
        archive_entry_set_mtime(entry.get(), attr.mtime_sec, attr.mtime_nsec);
        if (!from.first.empty()) {
            archive_entry_set_hardlink(entry.get(), ("./" + from.first).c_str());
            check(archive_write_header(to_.get(), entry.get()));
            return;
        }
        if (S_ISLNK(attr.mode))
            archive_entry_set_symlink(entry.get(), reader_.target(attr.node).c_str());
        if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode)) {
            archive_entry_set_rdevmajor(entry.get(), attr.rdev_major);
            archive_entry_set_rdevminor(entry.get(), attr.rdev_minor);
        }
        for (const Xattr& xattr : reader_.xattrs(attr.node))
            archive_entry_xattr_add_entry(entry.get(), join_xattr_name(xattr.index, xattr.name).c_str(),
                                          xattr.value.data(), xattr.value.size());
        if (S_ISREG(attr.mode))
            add_sizes(entry.get(), attr.node);
        check(archive_write_header(to_.get(), entry.get()));
        if (S_ISREG(attr.mode))
            content(attr.node);
    }

    // Holes go as a sparse map.
    void add_sizes(archive_entry* entry, const daxfs_node& file)
    {
        archive_entry_set_size(entry, static_cast<la_int64_t>(file.size));
        if (file.layout != DAXFS_LAYOUT_EXTENTS)
            return;
        for (std::uint64_t pos = 0; pos < file.size;) {
            const daxfs_map run = reader_.map(file, pos);
            if (!run.hole)
                archive_entry_sparse_add_entry(entry, static_cast<la_int64_t>(pos),
                                               static_cast<la_int64_t>(run.len));
            pos += run.len;
        }
        if (archive_entry_sparse_count(entry) == 0)  // all of it is a hole
            archive_entry_sparse_add_entry(entry, static_cast<la_int64_t>(file.size), 0);
    }

    // libarchive drops what lies in holes, so they are handed to it as zeros.
    void content(const daxfs_node& file)
    {
        static constexpr char zeros[65536] = {};
        reader_.for_each_piece(file, [&](std::span<const std::uint8_t> data, std::uint64_t len) {
            if (!data.empty())
                put(data.data(), data.size());
            for (std::uint64_t left = len - data.size(); left > 0;) {
                const std::uint64_t piece = std::min<std::uint64_t>(left, sizeof(zeros));
                put(zeros, piece);
                left -= piece;
            }
        });
    }

    void put(const void* bytes, std::uint64_t size)
    {
        check(archive_write_data(to_.get(), bytes, size));
    }

    const ImageReader& reader_;
    std::ostream& err_;
    std::unique_ptr<archive, int (*)(archive*)> to_;
};

}  // namespace

void dump_tar(const ImageReader& reader, std::ostream& out, std::ostream& err)
{
    TarWriter(reader, out, err).run();
}

}  // namespace daxfs
