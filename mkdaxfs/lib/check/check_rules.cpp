// SPDX-License-Identifier: Apache-2.0
#include "check_rules.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>

#include <endian.h>
#include <sys/stat.h>

#include <fmt/core.h>

#include "acl.hpp"
#include "blocks.hpp"
#include "daxfs_format.h"
#include "error.hpp"
#include "linux_limits.hpp"

namespace daxfs {

namespace {

using Bytes = std::span<const std::uint8_t>;

bool all_zero(Bytes bytes)
{
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

template <typename T> T record_at(const ImageReader &reader, std::uint64_t off)
{
    T record;
    std::memcpy(&record, reader.bytes(off, sizeof(record)).data(), sizeof(record));
    return record;
}

std::uint64_t xattr_set_of(const ImageReader &reader, const daxfs_node &node)
{
    return reader.image().xattrs.off + (node.xattr - 1) * std::uint64_t{8};
}

void check_ranges(const daxfs_image &image, const Complain &complain)
{
    struct Range {
        std::string_view name;
        daxfs_span span;
    };
    std::vector<Range> ranges = {{"the superblock", {0, DAXFS_SUPER_SIZE}},
                                 {"inodes", image.inodes},
                                 {"dirs", image.dirs},
                                 {"extents", image.extents},
                                 {"symlinks", image.symlinks},
                                 {"xattrs", image.xattrs},
                                 {"digests", image.digests},
                                 {"data", image.data}};
    std::erase_if(ranges, [](const Range &range) { return range.span.len == 0; });
    std::sort(ranges.begin(), ranges.end(),
              [](const Range &a, const Range &b) { return a.span.off < b.span.off; });
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        if (ranges[i].span.off - ranges[i - 1].span.off < ranges[i - 1].span.len)
            complain(fmt::format("{} and {} overlap", ranges[i - 1].name, ranges[i].name));
    }
    if (image.metadata.off != DAXFS_SUPER_SIZE)
        complain(fmt::format("metadata begins at {}, expected {}", image.metadata.off, DAXFS_SUPER_SIZE));
    if (image.data.len != 0 && image.data.off < image.metadata.off + image.metadata.len)
        complain("data begins inside metadata");
    if (image.data.len != 0 && image.data.off + image.data.len != image.size)
        complain(
            fmt::format("data ends at {}, the image at {}", image.data.off + image.data.len, image.size));
}

// With the bit for them, check_image() looks at the digests themselves.
void check_digest_fields(const daxfs_image &image, const Complain &complain)
{
    if (image.compat & DAXFS_COMPAT_DIGESTS)
        return;
    if (image.digest_kind != 0 || image.digests.len != 0 || !all_zero(image.root_digest))
        complain(fmt::format("digests of kind {} in {} bytes, and the feature bit for them is not set",
                             image.digest_kind, image.digests.len));
}

} // namespace

void check_super(const ImageReader &reader, const Complain &complain)
{
    const auto super = record_at<daxfs_super>(reader, 0);
    if (super.huge_shift != DAXFS_HUGE_SHIFT)
        complain(fmt::format("huge_shift is {}, expected {}", super.huge_shift, DAXFS_HUGE_SHIFT));
    if (super.pad0 != 0 || super.pad1 != 0)
        complain("a pad is not 0");
    if (!all_zero(reader.bytes(sizeof(super), DAXFS_SUPER_SIZE - sizeof(super))))
        complain("the bytes behind its fields are not 0");
    const Bytes label(super.label);
    if (!all_zero(label.subspan(strnlen(reinterpret_cast<const char *>(super.label), label.size()))))
        complain("label goes on after its NUL");
    const std::string name = reader.image().label;
    if (!is_utf8(name))
        complain("label is not UTF-8: " + printable(name));
    check_digest_fields(reader.image(), complain);
    check_ranges(reader.image(), complain);
}

void check_unused_fields(const ImageReader &reader, const daxfs_attr &attr, const Complain &complain)
{
    const auto raw =
        record_at<daxfs_inode>(reader, reader.image().inodes.off + (attr.node.ino - 1) * sizeof(daxfs_inode));
    const bool is_dir = S_ISDIR(attr.mode);
    const bool is_file = S_ISREG(attr.mode);
    const bool is_device = S_ISCHR(attr.mode) || S_ISBLK(attr.mode);
    const bool is_list = is_file && attr.node.layout == DAXFS_LAYOUT_EXTENTS;
    const auto unused = [&](bool is_used, std::uint64_t value, std::string_view field) {
        if (!is_used && value != 0)
            complain(fmt::format("{} is {}, expected 0", field, value));
    };
    unused(is_file, le16toh(raw.flags), "flags");
    unused(is_file || is_dir || S_ISLNK(attr.mode), le64toh(raw.size), "size");
    unused(is_list || is_dir || is_device || S_ISLNK(attr.mode) || (is_file && raw.size != 0),
           le64toh(raw.data), "data");
    unused(is_list || is_dir, le32toh(raw.count), "count");
    unused(is_dir, le32toh(raw.parent), "parent");
    unused(false, le64toh(raw.pad), "pad");
    if (is_list && raw.size == 0)
        complain("an empty file has an extent list");
}

void check_directory_record(const ImageReader &reader, const daxfs_attr &dir, const Complain &complain)
{
    const daxfs_node &node = dir.node;
    const std::uint64_t buckets = std::uint64_t{1} << node.bucket_bits;
    const std::uint64_t table = node.data + sizeof(daxfs_dir);
    std::uint32_t before = 0;
    for (std::uint64_t i = 0; i <= buckets; ++i) {
        const std::uint32_t bound = le32toh(record_at<std::uint32_t>(reader, table + i * sizeof(bound)));
        const bool is_right = i == 0 ? bound == 0 : bound >= before && bound <= node.count;
        if (!is_right || (i == buckets && bound != node.count))
            return complain(fmt::format("bucket {} begins at entry {}, with {} before it and {} entries", i,
                                        bound, before, node.count));
        before = bound;
    }
    const std::uint64_t end = table + (buckets + 1) * sizeof(before);
    bool pads = all_zero(reader.bytes(end, node.data + node.entries - end));
    for (std::uint32_t i = 0; i < node.count; ++i)
        pads = pads &&
               record_at<daxfs_dirent>(reader, node.data + node.entries + i * sizeof(daxfs_dirent)).pad == 0;
    if (!pads)
        complain("a pad of the directory is not 0");
    std::uint64_t name = node.entries + node.count * sizeof(daxfs_dirent);
    for (std::uint32_t i = 0; i < node.count; ++i) {
        const auto entry =
            record_at<daxfs_dirent>(reader, node.data + node.entries + i * sizeof(daxfs_dirent));
        if (le32toh(entry.name) != name)
            return complain(
                fmt::format("the name of entry {} is at {}, expected {}, behind the one before it", i,
                            le32toh(entry.name), name));
        name += entry.name_len;
    }
    if (name != node.size)
        complain(fmt::format("its record has {} bytes, its names end at {}", node.size, name));
}

namespace {

// Pads and sizes, which reading does not show.
void check_xattr_set(const ImageReader &reader, std::uint64_t off, const Complain &complain)
{
    const auto head = record_at<daxfs_xattr_set>(reader, off);
    const std::uint64_t size = le32toh(head.size);
    std::uint64_t at = sizeof(head);
    bool pads = true;
    for (std::uint32_t i = 0; i < le32toh(head.count); ++i) {
        const auto entry = record_at<daxfs_xattr>(reader, off + at);
        const std::uint64_t end = at + sizeof(entry) + entry.name_len + le32toh(entry.value_len);
        at = (end + 3) / 4 * 4;
        if (at > size)
            break;
        pads = pads && entry.pad == 0 && all_zero(reader.bytes(off + end, at - end));
    }
    if (!pads)
        complain("a pad of its extended attributes is not 0");
    if (at != size)
        complain(fmt::format("its extended attributes have {} bytes, their set says {}", at, size));
    if (head.count == 0)
        complain("a set of no extended attributes");
}

} // namespace

void check_xattrs(const ImageReader &reader, const daxfs_attr &attr, const Complain &complain)
{
    const std::vector<Xattr> xattrs = reader.xattrs(attr.node);
    if (attr.node.xattr != 0)
        check_xattr_set(reader, xattr_set_of(reader, attr.node), complain);
    const auto unordered = [](const Xattr &a, const Xattr &b) {
        return std::tie(a.index, a.name) >= std::tie(b.index, b.name);
    };
    if (std::adjacent_find(xattrs.begin(), xattrs.end(), unordered) != xattrs.end())
        complain("extended attributes are not in order or occur twice");
    check_linux_xattrs(xattrs, complain);
    for (const Xattr &xattr : xattrs) {
        const bool is_acl_name = is_acl_index(xattr.index);
        if (is_acl_name != xattr.name.empty())
            complain(fmt::format("an extended attribute of kind {} is called \"{}\"", xattr.index,
                                 printable(xattr.name)));
        else if (is_acl_name && !is_acl(xattr.value))
            complain(fmt::format("{} is no ACL", join_xattr_name(xattr.index, "")));
    }
}

// Files may have one list: it is looked at once, however many they are.
const DataRuns::Data &DataRuns::list(const ImageReader &reader, const daxfs_node &node,
                                     const Complain &complain)
{
    const auto [known, is_new] = lists_.try_emplace({node.data, node.count});
    Data &list = known->second;
    shared_ |= !is_new;
    std::uint64_t at = 0;
    for (std::uint32_t i = 0; is_new && i < node.count; ++i) {
        const auto raw =
            record_at<daxfs_extent>(reader, node.data + sizeof(daxfs_extent_list) + i * sizeof(daxfs_extent));
        const std::uint64_t begin = le64toh(raw.file_off);
        const std::uint64_t off = le64toh(raw.off);
        const std::uint64_t len = le64toh(raw.len);
        const daxfs_span &data = reader.image().data;
        const bool is_aligned = (begin | off | len) % DAXFS_BLOCK_SIZE == 0 && len != 0;
        const bool is_inside = off >= data.off && len <= data.len && off - data.off <= data.len - len;
        if (!is_aligned || !is_inside || begin < at || begin > DAXFS_MAX_FILE_SIZE) {
            complain(fmt::format(
                "extent {} ({} bytes at {}, for the file's from {} on) is not behind the one before it, "
                "outside the data, or no whole blocks",
                i, len, off, begin));
            break;
        }
        list.last = {off, len, static_cast<std::uint32_t>(node.ino)};
        list.begin = begin;
        list.bytes += len;
        runs_.push_back(list.last);
        at = begin + len;
    }
    return list;
}

std::uint64_t DataRuns::add(const ImageReader &reader, const daxfs_attr &file, const Complain &complain)
{
    const daxfs_node &node = file.node;
    const std::uint64_t end = round_up(node.size, DAXFS_BLOCK_SIZE);
    Data data;
    if (node.layout == DAXFS_LAYOUT_EXTENTS) {
        data = list(reader, node, complain);
    } else if (node.size != 0) {
        data = {{node.data, end, static_cast<std::uint32_t>(node.ino)}, 0, end};
        runs_.push_back(data.last);
    }
    if (data.bytes == 0)
        return 0;
    if (data.begin + data.last.len > end)
        complain(fmt::format("its extents end at {}, the file at {}", data.begin + data.last.len, node.size));
    // A mapping shows the bytes after the end of the file.
    else if (data.begin + data.last.len > node.size) {
        const std::uint64_t rest = node.size - data.begin;
        if (!all_zero(reader.bytes(data.last.off + rest, data.last.len - rest)))
            complain("bytes after the end of the file are not 0");
    }
    return data.bytes;
}

bool DataRuns::check_sharing(const std::function<void(std::uint64_t ino, const std::string &what)> &complain)
{
    std::sort(runs_.begin(), runs_.end(), [](const Run &a, const Run &b) {
        return std::tie(a.off, a.len, a.ino) < std::tie(b.off, b.len, b.ino);
    });
    bool shared = shared_;
    for (std::size_t i = 1, farthest = 0; i < runs_.size(); ++i) {
        const Run &reach = runs_[farthest];
        const Run &run = runs_[i];
        if (run.off - reach.off < reach.len) {
            const bool same = run.off == reach.off && run.len == reach.len;
            shared |= same;
            if (!same)
                complain(
                    run.ino,
                    fmt::format("its {} bytes at {} overlap the {} at {} of inode {}, and are not the same",
                                run.len, run.off, reach.len, reach.off, reach.ino));
        }
        if (run.off + run.len > reach.off + reach.len)
            farthest = i;
    }
    return shared;
}

void DataRuns::check_gaps(const ImageReader &reader, const Workers &workers, const Complain &complain) const
{
    const daxfs_span &data = reader.image().data;
    std::uint64_t at = data.off;
    for (const Run &run : runs_) {
        if (run.off > at)
            check_zero(reader, at, run.off, workers, complain);
        at = std::max(at, run.off + run.len);
    }
    if (data.len != 0)
        check_zero(reader, at, data.off + data.len, workers, complain);
}

void check_zero(const ImageReader &reader, std::uint64_t begin, std::uint64_t end, const Workers &workers,
                const Complain &complain)
{
    constexpr std::uint64_t piece = 1 << 20;
    for (std::uint64_t at = begin; at < end; at += piece) {
        workers.check_stop();
        if (!all_zero(reader.bytes(at, std::min(piece, end - at))))
            return complain(
                fmt::format("the bytes from {} to {} belong to nothing and are not 0", begin, end));
    }
}

void UsedMetadata::add(const ImageReader &reader, const daxfs_attr &attr)
{
    const daxfs_node &node = attr.node;
    const auto ino = static_cast<std::uint32_t>(node.ino);
    if (S_ISDIR(attr.mode) || S_ISLNK(attr.mode))
        spans_.push_back({node.data, node.size, ino, S_ISLNK(attr.mode)});
    else if (S_ISREG(attr.mode) && node.layout == DAXFS_LAYOUT_EXTENTS)
        add_once({node.data, sizeof(daxfs_extent_list) + node.count * sizeof(daxfs_extent), ino, true});
    if (node.xattr != 0) {
        const std::uint64_t off = xattr_set_of(reader, node);
        add_once({off, le32toh(record_at<daxfs_xattr_set>(reader, off).size), ino, true});
    }
}

void UsedMetadata::add_once(const Span &span)
{
    if (known_.insert({span.off, span.len}).second)
        spans_.push_back(span);
}

void UsedMetadata::check(const ImageReader &reader, const Workers &workers,
                         const std::function<void(std::uint64_t ino, const std::string &what)> &complain)
{
    const daxfs_image &image = reader.image();
    for (const daxfs_span &table : {image.inodes, image.digests})
        spans_.push_back({table.off, table.len, 0, false});
    std::erase_if(spans_, [](const Span &span) { return span.len == 0; });
    std::sort(spans_.begin(), spans_.end(), [](const Span &a, const Span &b) {
        return std::tie(a.off, a.len, a.ino) < std::tie(b.off, b.len, b.ino);
    });
    const std::uint64_t metadata_end = image.metadata.off + image.metadata.len;
    const std::uint64_t end = image.data.len != 0 ? image.data.off : image.size;
    Span before = {image.metadata.off, 0, 0, false};
    std::uint64_t at = before.off;
    for (const Span &span : spans_) {
        const bool same =
            span.off == before.off && span.len == before.len && span.may_be_shared && before.may_be_shared;
        if (span.off < at && !same)
            complain(span.ino,
                     fmt::format("{} {} bytes at {} overlap the {} at {} of {}",
                                 span.ino == 0 ? "a table: its" : "its", span.len, span.off, before.len,
                                 before.off,
                                 before.ino == 0 ? "a table" : fmt::format("inode {}", before.ino)));
        check_zero(reader, at, std::min(span.off, metadata_end), workers,
                   [&](const std::string &what) { complain(0, what); });
        if (span.off + span.len > at) {
            at = span.off + span.len;
            before = span;
        }
    }
    if (at < end)
        check_zero(reader, at, end, workers, [&](const std::string &what) { complain(0, what); });
}

} // namespace daxfs
