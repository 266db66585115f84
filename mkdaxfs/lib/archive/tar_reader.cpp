// SPDX-License-Identifier: Apache-2.0
#include "tar_reader.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include "archive_entry.hpp"
#include "daxfs_format.h"
#include "decompress.hpp"
#include "error.hpp"
#include "text_form.hpp"
#include "thread_locale.hpp"
#include "tree_paths.hpp"

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
    ArchiveReader(const ArchiveInput &input, const std::string &name, const ArchiveTarget &target)
        : name_(name), target_(target), part_(part_of(input, name, target)),
          stream_(!part_.file || input.read ? ArchiveStream(decompressed(bytes_of(input, target), name))
                                            : ArchiveStream(part_, target.workers.stop)),
          in_(archive_read_new(), archive_read_free)
    {
        support(in_.get());
        check(stream_.open(in_.get()));
    }

    void run()
    {
        archive_entry *entry = nullptr;
        std::uint64_t end_of_entries = 0;
        for (;;) {
            target_.workers.check_stop();
            const std::uint64_t begin = position();
            stream_.keep_from(begin);
            const int result = archive_read_next_header(in_.get(), &entry);
            const bool is_bad = result != ARCHIVE_OK && result != ARCHIVE_EOF;
            std::string_view headers = stream_.since_kept(is_bad ? UINT64_MAX : position());
            const bool is_empty = archive_format(in_.get()) == ARCHIVE_FORMAT_EMPTY;
            if (result == ARCHIVE_EOF && is_empty && !target_.has_digest)
                throw std::runtime_error(
                    fmt::format("archive {}: expected an archive, got no bytes: see what was to write it",
                                printable(name_)));
            if (result == ARCHIVE_EOF) {
                if (is_tar())
                    headers_of([&] { headers_.read_end(headers); });
                check_cpio(headers, begin);
                refuse_cut(end_of_entries);
                return finish();
            }
            if (is_bad && is_tar()) {
                stream_.rethrow();
                headers_of([&] { TarHeaders::check_records(headers); });
            }
            check(result, true);
            headers = headers.substr(0, position() - begin);
            check_cpio(headers, begin);
            checksum_ = cpio_checksum(headers);
            if (is_tar())
                headers_of([&] { tar_ = headers_.read(headers); });
            located(entry);
            check(archive_read_data_skip(in_.get()));
            end_of_entries = position();
            target_.workers.add_entries(1);
        }
    }

private:
    static ReadBytes bytes_of(const ArchiveInput &input, const ArchiveTarget &target)
    {
        return input.read ? ReadBytes(std::cref(input.read)) : bytes_of_part(input.part, target.workers.stop);
    }

    // Where the archive lies in a file as it is.
    static FilePart part_of(const ArchiveInput &input, const std::string &name, const ArchiveTarget &target)
    {
        const bool is_plain =
            input.part.file && (input.read || !is_compressed(bytes_of(input, target), name));
        return is_plain ? input.part : FilePart();
    }

    // A tar ends with blocks of zeros; cut between two entries it looks like a smaller one.
    // Where digests tell, nothing is wanted there: not every tool writes it.
    void refuse_cut(std::uint64_t end_of_entries)
    {
        if (is_tar() && !target_.has_digest && position() == end_of_entries)
            throw std::runtime_error(fmt::format("archive {}: expected blocks of zeros at its end, got none: "
                                                 "it was cut, see what was to write it",
                                                 printable(name_)));
    }

    bool is_tar() const
    {
        return (archive_format(in_.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    }

    // libarchive looks for a header until it finds one.
    void check_cpio(std::string_view header, std::uint64_t begin) const
    {
        const int format = archive_format(in_.get());
        const bool has_text = format == ARCHIVE_FORMAT_CPIO_POSIX || format == ARCHIVE_FORMAT_CPIO_SVR4_CRC ||
                              format == ARCHIVE_FORMAT_CPIO_SVR4_NOCRC;
        const std::string_view numbers =
            header.substr(0, format == ARCHIVE_FORMAT_CPIO_POSIX ? std::size_t{76} : std::size_t{110});
        const bool is_header = numbers.size() >= 76 && numbers.starts_with("0707") &&
                               std::all_of(numbers.begin(), numbers.end(),
                                           [](unsigned char c) { return std::isxdigit(c) != 0; });
        if (has_text && !is_header)
            throw std::runtime_error(
                fmt::format("cannot read the archive {}: expected the header of an entry at byte "
                            "{}, got something else: it is damaged, see what was to write it",
                            printable(name_), begin));
    }

    // Of the form "crc", the sum of the bytes of a file, which libarchive does not compare.
    std::optional<std::uint32_t> cpio_checksum(std::string_view header) const
    {
        constexpr std::size_t at = 6 + 12 * 8; // behind twelve other numbers
        if (archive_format(in_.get()) != ARCHIVE_FORMAT_CPIO_SVR4_CRC || !header.starts_with("070702") ||
            header.size() < at + 8)
            return std::nullopt;
        return parse_number<std::uint32_t>(header.substr(at, 8), 16);
    }

    // How much of the archive libarchive has used.
    std::uint64_t position() const { return static_cast<std::uint64_t>(archive_filter_bytes(in_.get(), 0)); }

    template <typename Step> void headers_of(const Step &step) const
    {
        try {
            step();
        } catch (const std::runtime_error &error) {
            throw std::runtime_error(fmt::format("archive {}: {}", printable(name_), error.what()));
        }
    }

    // A warning may say that something is lost. Only those of a header that concern names in some character
    // set, or ACLs, do not: both are read from the header itself.
    void check(int result, bool is_header = false)
    {
        stream_.rethrow();
        const char *text = archive_error_string(in_.get());
        // Of cpio, that there was something else in front of a header, or nothing.
        const std::string why =
            text ? text
                 : fmt::format(
                       "expected the header of an entry before byte {}, got something else or the end: it "
                       "was cut or damaged, see what was to write it",
                       position());
        const bool is_harmless = is_header && (why.find("can't be converted") != why.npos ||
                                               why.find("error: SCHILY.acl") != why.npos);
        if (result == ARCHIVE_OK || (result == ARCHIVE_WARN && is_harmless))
            return;
        throw std::runtime_error(
            fmt::format("cannot read the archive {}: {}", printable(name_), printable(why)));
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
        const std::string path = path_of(entry);
        if (apply_whiteout(path))
            return;
        const bool excluded = target_.filter.excludes_or_above(path);
        const bool has_link = is_tar() && tar_.pax.linkpath.has_value();
        if (const char *to = archive_entry_hardlink(entry))
            return add_link(entry, path, has_link ? tar_.pax.linkpath->c_str() : to, excluded);
        NotKept not_kept;
        Node node;
        try {
            const std::string shown = "/" + printable(path);
            EntryMetadata metadata =
                metadata_of(entry, is_tar() ? &tar_ : nullptr, shown,
                            target_.not_kept && !excluded ? *target_.not_kept : not_kept);
            if (target_.whiteouts == Whiteouts::overlay)
                escape(path, metadata);
            node = metadata.node;
            node.xattrs = target_.builder.xattrs().intern(std::move(metadata.xattrs));
        } catch (const std::runtime_error &error) {
            if (!excluded)
                throw TreeError(error.what());
            return; // may be why
        }
        const char *symlink = S_ISLNK(node.mode) ? archive_entry_symlink(entry) : nullptr;
        if (symlink && has_link)
            symlink = tar_.pax.linkpath->c_str();
        if (S_ISREG(node.mode))
            keep_content(entry, node);
        if (excluded)
            target_.builder.put_excluded(path, node, symlink ? symlink : "");
        else
            target_.builder.put(path, node, symlink ? symlink : "");
    }

    // What overlayfs would take for its own, as another overlayfs has it in its upper directory: shown by it
    // (Linux 6.7) or at least not taken for it. A whiteout becomes a file that is marked as one, and its
    // directory says that such files are in it.
    void escape(const std::string &path, EntryMetadata &metadata)
    {
        for (Xattr &xattr : metadata.xattrs)
            escape_overlay(xattr);
        if (!S_ISCHR(metadata.node.mode) || metadata.node.data != 0)
            return;
        metadata.node.mode = static_cast<std::uint16_t>(S_IFREG | (metadata.node.mode & 07777));
        metadata.xattrs.push_back({DAXFS_XATTR_TRUSTED, "overlay.overlay.whiteout", ""});
        nested_whiteouts_.push_back(path);
    }

    std::string path_of(archive_entry *entry) const
    {
        if (is_tar() && tar_.pax.sparse_name)
            return *tar_.pax.sparse_name;
        if (is_tar() && tar_.pax.path)
            return *tar_.pax.path;
        const char *name = archive_entry_pathname(entry);
        if (!name)
            name = archive_entry_pathname_utf8(entry);
        if (!name)
            throw std::runtime_error(
                fmt::format("archive {}: an entry without a name that can be read", printable(name_)));
        return name;
    }

    void add_link(archive_entry *entry, const std::string &path, const char *to, bool excluded)
    {
        const std::optional<NodeId> id =
            excluded ? target_.builder.link_excluded(path, to) : target_.builder.link(path, to);
        // cpio has the content with the last name, and a symlink's target with each.
        if (id && S_ISREG(target_.builder.tree().nodes[*id].mode) && archive_entry_size_is_set(entry) &&
            archive_entry_size(entry) > 0)
            keep_content(entry, target_.builder.file(*id));
        if (id && !excluded && !nested_whiteouts_.empty())
            linked_.push_back(path);
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
        const bool only_padding = stream_.is_zero_from(position());
        if (!only_padding && !target_.has_digest)
            throw std::runtime_error(fmt::format(
                "archive {}: expected nothing after its end, got more bytes (another archive?): give each "
                "archive by itself",
                printable(name_)));
        // Once all that the layer itself has is there: that is not what its whiteouts hide.
        target_.builder.hide(std::move(hidden_), std::move(opaque_));
        mark_nested();
    }

    void mark_nested()
    {
        // overlayfs makes one whiteout and links it.
        std::unordered_set<NodeId> whiteouts;
        for (const std::string &path : nested_whiteouts_) {
            if (const auto id = target_.builder.find(path))
                whiteouts.insert(*id);
        }
        for (const std::string &path : linked_) {
            const auto id = target_.builder.find(path);
            if (id && whiteouts.contains(*id))
                nested_whiteouts_.push_back(path);
        }
        for (const std::string &path : nested_whiteouts_)
            target_.builder.mark_parent(path, {DAXFS_XATTR_TRUSTED, "overlay.overlay.opaque", "x"});
    }

    // The content lies in the archive's file in one piece.
    bool is_in_file(archive_entry *entry) const
    {
        return part_.file && is_tar() && !tar_.is_sparse && archive_entry_size_is_set(entry) &&
               archive_entry_sparse_count(entry) == 0;
    }

    void adopt_content(archive_entry *entry, Node &node)
    {
        node.size = static_cast<std::uint64_t>(archive_entry_size(entry));
        if (node.size > part_.size - std::min(part_.size, position()))
            throw std::runtime_error(fmt::format(
                "cannot read the archive {}: it was cut, see what was to write it", printable(name_)));
        if (!adopted_at_)
            adopted_at_ = target_.spool.adopt(part_);
        node.content = *adopted_at_ + position();
    }

    void keep_content(archive_entry *entry, Node &node)
    {
        if (is_in_file(entry))
            return adopt_content(entry, node);
        node.content = target_.spool.next();
        std::uint64_t end = 0;
        std::uint32_t sum = 0;
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
            const std::span got(static_cast<const std::byte *>(bytes), size);
            if (checksum_)
                sum = std::accumulate(got.begin(), got.end(), sum, [](std::uint32_t all, std::byte one) {
                    return all + std::to_integer<std::uint32_t>(one);
                });
            target_.spool.write(node.content + at, got);
            end = std::max(end, at + size);
        }
        if (checksum_ && end != 0 && sum != *checksum_)
            throw std::runtime_error(
                fmt::format("archive {}: {}: expected the checksum {:08x}, got {:08x}: it is "
                            "damaged",
                            printable(name_), shown_path(path_of(entry)), *checksum_, sum));
        const auto said = static_cast<std::uint64_t>(archive_entry_size(entry));
        node.size = archive_entry_size_is_set(entry) ? std::max(said, end) : end;
        target_.spool.take(node.size);
    }

    const std::string &name_;
    const ArchiveTarget &target_;
    FilePart part_;
    std::optional<std::uint64_t> adopted_at_; // where it begins in the spool
    ArchiveStream stream_;
    TarHeaders headers_;
    TarEntry tar_;                          // the entry that is being read, of a tar
    std::optional<std::uint32_t> checksum_; // of its content, of a cpio
    std::vector<std::string> hidden_;
    std::vector<std::string> opaque_;
    std::vector<std::string> nested_whiteouts_; // of an overlayfs inside the layer
    std::vector<std::string> linked_;           // names that may be of such ones, too
    std::unique_ptr<archive, int (*)(archive *)> in_;
};

} // namespace

ArchiveInput open_archive(const std::string &path, const std::atomic<bool> *stop)
{
    UniqueFd fd = open_input(path, stop);
    struct stat st = {};
    if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
        return {bytes_of_file(std::move(fd), path, stop)};
    const auto file = std::make_shared<const SharedFile>(std::move(fd), path);
    return {{}, {file, 0, file->size()}};
}

void read_archive(const ArchiveInput &input, const std::string &name, const ArchiveTarget &target)
{
    // In UTF-8, libarchive composes letters and their accents: other bytes, another name.
    const ThreadLocale bytes("C");
    ArchiveReader(input, name, target).run();
}

} // namespace daxfs
