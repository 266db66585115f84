// SPDX-License-Identifier: Apache-2.0
#include "tar_reader.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include "archive_entry.hpp"
#include "daxfs_format.h"
#include "decompress.hpp"
#include "error.hpp"
#include "thread_locale.hpp"

namespace daxfs {

namespace {

constexpr std::string_view whiteout = ".wh.";
constexpr std::string_view opaque = ".wh..wh..opq";

// No format that names other files of this machine (mtree).
void support(archive *in)
{
    archive_read_support_format_tar(in);
    archive_read_support_format_gnutar(in);
    archive_read_support_format_cpio(in);
    archive_read_support_format_empty(in);
    archive_read_support_filter_none(in);
}

class ArchiveReader {
public:
    ArchiveReader(const ReadBytes &read, const std::string &name, const ArchiveTarget &target)
        : name_(name), target_(target), stream_(decompressed(std::cref(read), name)),
          in_(archive_read_new(), archive_read_free)
    {
        support(in_.get());
        check(stream_.open(in_.get()));
    }

    void run()
    {
        archive_entry *entry = nullptr;
        la_int64_t end_of_entries = 0;
        for (;;) {
            target_.workers.check_stop();
            const int result = archive_read_next_header(in_.get(), &entry);
            if (result == ARCHIVE_EOF && archive_format(in_.get()) == ARCHIVE_FORMAT_EMPTY)
                throw std::runtime_error(
                    fmt::format("archive {}: expected an archive, got no bytes: see what was to write it",
                                printable(name_)));
            if (result == ARCHIVE_EOF) {
                refuse_cut(end_of_entries);
                return finish();
            }
            check(result);
            located(entry);
            check(archive_read_data_skip(in_.get()));
            end_of_entries = archive_filter_bytes(in_.get(), 0);
            target_.workers.add_entries(1);
        }
    }

private:
    // A tar ends with blocks of zeros; cut between two entries it looks like a smaller one.
    // Of a layer nothing is wanted there: not every tool writes it, and digests tell.
    void refuse_cut(la_int64_t end_of_entries)
    {
        const bool is_tar = (archive_format(in_.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
        if (is_tar && target_.whiteouts == Whiteouts::names &&
            archive_filter_bytes(in_.get(), 0) == end_of_entries)
            throw std::runtime_error(fmt::format("archive {}: expected blocks of zeros at its end, got none: "
                                                 "it was cut, see what was to write it",
                                                 printable(name_)));
    }

    // A warning concerns what an image does not keep, or a name's conversion.
    void check(int result)
    {
        stream_.rethrow();
        if (result == ARCHIVE_OK || result == ARCHIVE_WARN)
            return;
        const char *why = archive_error_string(in_.get());
        throw std::runtime_error(fmt::format("cannot read the archive {}: {}", printable(name_),
                                             printable(why ? why : "damaged")));
    }

    // What the tree says of an entry does not say whose it is.
    void located(archive_entry *entry)
    {
        try {
            add(entry);
        } catch (const TreeError &error) {
            throw std::runtime_error(fmt::format("archive {}: {}", printable(name_), error.what()));
        }
    }

    void add(archive_entry *entry)
    {
        const char *name = archive_entry_pathname(entry);
        if (!name)
            name = archive_entry_pathname_utf8(entry);
        if (!name)
            throw std::runtime_error(
                fmt::format("archive {}: an entry without a name that can be read", printable(name_)));
        const std::string path = name;
        if (apply_whiteout(path))
            return;
        const bool excluded = target_.filter.excludes_or_above(path);
        if (const char *to = archive_entry_hardlink(entry))
            return add_link(entry, path, to, excluded);
        Node node;
        try {
            const std::string shown = "/" + printable(path);
            node = node_of(entry, shown);
            node.xattrs = target_.builder.xattrs().intern(xattrs_of(entry, shown));
        } catch (const std::runtime_error &error) {
            if (!excluded)
                throw TreeError(error.what());
            return; // may be why
        }
        const char *symlink = S_ISLNK(node.mode) ? archive_entry_symlink(entry) : nullptr;
        if (S_ISREG(node.mode))
            keep_content(entry, node);
        if (excluded)
            target_.builder.put_excluded(path, node, symlink ? symlink : "");
        else
            target_.builder.put(path, node, symlink ? symlink : "");
    }

    void add_link(archive_entry *entry, const std::string &path, const char *to, bool excluded)
    {
        const std::optional<NodeId> id =
            excluded ? target_.builder.link_excluded(path, to) : target_.builder.link(path, to);
        // cpio has the content with the last name, and a symlink's target with each.
        if (id && S_ISREG(target_.builder.tree().nodes[*id].mode) && archive_entry_size_is_set(entry) &&
            archive_entry_size(entry) > 0)
            keep_content(entry, target_.builder.file(*id));
    }

    // Of a union filesystem, for itself (AUFS: .wh..wh.plnk, .wh..wh.aufs, .wh..wh.orph).
    static bool is_own_of_union(std::string_view part)
    {
        return part.starts_with(".wh..wh.") && part != opaque;
    }

    bool apply_whiteout(std::string path)
    {
        if (target_.whiteouts == Whiteouts::names)
            return false;
        while (path.ends_with('/'))
            path.pop_back();
        for (std::size_t at = 0, end = 0; end != path.npos; at = end + 1) {
            end = path.find('/', at);
            if (is_own_of_union(std::string_view(path).substr(at, end - at)))
                return true;
        }
        const std::size_t slash = path.rfind('/');
        const std::string dir = slash == path.npos ? "" : path.substr(0, slash + 1);
        const std::string last = path.substr(dir.size());
        if (!last.starts_with(whiteout))
            return false;
        const std::string_view name = std::string_view(last).substr(whiteout.size());
        if (name.empty() || name == "." || name == "..")
            throw TreeError(fmt::format("expected a whiteout of a name, got /{}", printable(path)));
        const bool overlay = target_.whiteouts == Whiteouts::overlay;
        const std::string hidden = last == opaque ? dir : dir + last.substr(whiteout.size());
        // Not by its own name: what is excluded was never there.
        if (target_.filter.excludes_or_above(hidden))
            return true;
        if (overlay)
            (last == opaque ? opaque_ : hidden_).push_back(hidden);
        else if (last == opaque)
            target_.builder.clear(hidden);
        else
            target_.builder.remove(hidden);
        return true;
    }

    void finish()
    {
        // All of it is read: what was compressed has its checksums at its end.
        const bool only_padding =
            stream_.is_zero_from(static_cast<std::uint64_t>(archive_filter_bytes(in_.get(), 0)));
        if (!only_padding && target_.whiteouts == Whiteouts::names)
            throw std::runtime_error(fmt::format(
                "archive {}: expected nothing after its end, got more bytes (another archive?): give each "
                "archive by itself",
                printable(name_)));
        // Once all that the layer itself has is there: that is not what its whiteouts hide.
        target_.builder.hide(std::move(hidden_), std::move(opaque_));
    }

    void keep_content(archive_entry *entry, Node &node)
    {
        node.content = target_.spool.next();
        std::uint64_t end = 0;
        const void *bytes = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        for (;;) {
            const int result = archive_read_data_block(in_.get(), &bytes, &size, &offset);
            if (result == ARCHIVE_EOF)
                break;
            check(result);
            target_.workers.check_stop();
            if (size == 0)
                continue;
            const auto at = static_cast<std::uint64_t>(offset);
            target_.spool.write(node.content + at, {static_cast<const std::byte *>(bytes), size});
            end = std::max(end, at + size);
        }
        const auto said = static_cast<std::uint64_t>(archive_entry_size(entry));
        node.size = archive_entry_size_is_set(entry) ? std::max(said, end) : end;
        target_.spool.take(node.size);
    }

    const std::string &name_;
    const ArchiveTarget &target_;
    ArchiveStream stream_;
    std::vector<std::string> hidden_;
    std::vector<std::string> opaque_;
    std::unique_ptr<archive, int (*)(archive *)> in_;
};

} // namespace

void read_archive(const ReadBytes &read, const std::string &name, const ArchiveTarget &target)
{
    // In UTF-8, libarchive composes letters and their accents: other bytes, another name.
    const ThreadLocale bytes("C");
    ArchiveReader(read, name, target).run();
}

} // namespace daxfs
