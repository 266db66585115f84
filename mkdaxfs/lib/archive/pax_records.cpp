// SPDX-License-Identifier: Apache-2.0
#include "pax_records.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include <fmt/core.h>

#include "error.hpp"
#include "percent.hpp"
#include "text_form.hpp"
#include "tree.hpp"

namespace daxfs {

namespace {

constexpr std::string_view schily_xattr = "SCHILY.xattr.";
constexpr std::string_view libarchive_xattr = "LIBARCHIVE.xattr.";

// Times and names that an image does not have, and what a filesystem or an archiver kept for itself.
constexpr std::array<std::string_view, 18> ignored = {
    "atime",
    "ctime",
    "uname",
    "gname",
    "comment",
    "charset",
    "LIBARCHIVE.creationtime",
    "LIBARCHIVE.symlinktype",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "SCHILY.filetype",
    "SCHILY.archtype",
    "SCHILY.release",
    "SCHILY.dir",
    "SCHILY.tarfiletype",
    "GNU.volume.label",
    "GNU.dumpdir",
};

// What is too long for one line is cut.
std::string shown(std::string_view text)
{
    constexpr std::size_t most = 60;
    return text.size() <= most ? printable(text) : printable(text.substr(0, most)) + "...";
}

std::runtime_error wrong(const PaxRecord &record, const std::string &expected)
{
    return std::runtime_error(
        fmt::format("expected {} as {}, got {}", expected, printable(record.keyword),
                    record.value.empty() ? std::string("nothing") : '"' + shown(record.value) + '"'));
}

template <typename T> T number(const PaxRecord &record, T most)
{
    const auto value = parse_number<T>(record.value);
    if (!value || *value > most)
        throw wrong(record, fmt::format("a number from 0 to {}", most));
    return *value;
}

std::uint64_t size_in(const PaxRecord &record)
{
    return number<std::uint64_t>(record, INT64_MAX - 4096);
}

std::string name_in(const PaxRecord &record)
{
    if (record.value.empty() || record.value.find('\0') != record.value.npos)
        throw wrong(record, "a path without NUL");
    return record.value;
}

// "-1.25" is a quarter of a second before -1. What is below a nanosecond is cut off, towards the past.
std::pair<std::int64_t, std::uint32_t> time_in(const PaxRecord &record)
{
    const std::string_view text = record.value;
    const std::size_t point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    const std::string_view part = point == text.npos ? "" : text.substr(point + 1);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    auto seconds = parse_number<std::int64_t>(whole);
    if (!seconds || (whole.starts_with('-') ? whole.size() < 2 : false) ||
        !std::all_of(part.begin(), part.end(), is_digit))
        throw wrong(record, "seconds since 1970");
    std::uint32_t nanoseconds = 0;
    for (std::size_t i = 0; i < 9; ++i)
        nanoseconds = nanoseconds * 10 + (i < part.size() ? static_cast<std::uint32_t>(part[i] - '0') : 0);
    const bool is_cut = part.size() > 9 && part.find_first_not_of('0', 9) != part.npos;
    if (!whole.starts_with('-'))
        return {*seconds, nanoseconds};
    nanoseconds += is_cut;
    if (nanoseconds == 0)
        return {*seconds, 0};
    if (*seconds == INT64_MIN)
        throw wrong(record, "seconds since 1970");
    return {*seconds - (nanoseconds != 0), 1000000000 - nanoseconds};
}

// GNU tar writes "=" as %3D and "%" as %25, since a record's keyword ends at "=".
std::string gnu_name(std::string_view name)
{
    std::string plain;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const std::string_view three = name.substr(i, 3);
        const bool is_escape = three == "%3D" || three == "%25";
        plain += three == "%3D" ? '=' : name[i];
        i += is_escape ? 2 : 0;
    }
    return plain;
}

// libarchive writes base64 without padding, and reads it with or without.
std::string base64_in(const PaxRecord &record)
{
    std::string text = record.value;
    while (text.ends_with('='))
        text.pop_back();
    text.append((4 - text.size() % 4) % 4, '=');
    const auto bytes = base64_decode(text);
    if (!bytes)
        throw wrong(record, "base64");
    return *bytes;
}

class Reader {
public:
    PaxFields read(const std::vector<PaxRecord> &records)
    {
        // libarchive writes each attribute twice, and only its own form holds every name.
        has_libarchives_xattrs_ = std::any_of(records.begin(), records.end(), [](const PaxRecord &record) {
            return record.keyword.starts_with(libarchive_xattr);
        });
        for (const PaxRecord &record : records) {
            if (!take_number(record) && !take_text(record) && !take_xattr(record) && !take_sparse(record))
                take_rest(record);
        }
        if (!starts_.empty()) {
            SparseMap map;
            if (starts_.size() != lengths_.size() || starts_.size() != blocks_.value_or(starts_.size()))
                throw std::runtime_error(
                    fmt::format("expected as many GNU.sparse.offset as numbytes as numblocks says, got {} "
                                "and {}",
                                starts_.size(), lengths_.size()));
            for (std::size_t i = 0; i < starts_.size(); ++i)
                map.emplace_back(starts_[i], lengths_[i]);
            fields_.sparse_map = std::move(map);
        }
        return std::move(fields_);
    }

private:
    bool take_number(const PaxRecord &record)
    {
        if (record.keyword == "size")
            fields_.size = size_in(record);
        else if (record.keyword == "uid")
            fields_.uid = number<std::uint32_t>(record, no_owner);
        else if (record.keyword == "gid")
            fields_.gid = number<std::uint32_t>(record, no_owner);
        else if (record.keyword == "SCHILY.devmajor")
            fields_.devmajor = number<std::uint32_t>(record, UINT32_MAX);
        else if (record.keyword == "SCHILY.devminor")
            fields_.devminor = number<std::uint32_t>(record, UINT32_MAX);
        else if (record.keyword == "mtime")
            fields_.mtime = time_in(record);
        else
            return false;
        return true;
    }

    bool take_text(const PaxRecord &record)
    {
        if (record.keyword == "path")
            fields_.path = name_in(record);
        else if (record.keyword == "linkpath")
            fields_.linkpath = name_in(record);
        else if (record.keyword == "SCHILY.acl.access")
            fields_.acl_access = record.value;
        else if (record.keyword == "SCHILY.acl.default")
            fields_.acl_default = record.value;
        else if (record.keyword == "hdrcharset" && record.value != "BINARY" &&
                 record.value != "ISO-IR 10646 2000 UTF-8")
            throw wrong(record, "BINARY or \"ISO-IR 10646 2000 UTF-8\"");
        else
            return record.keyword == "hdrcharset";
        return true;
    }

    bool take_xattr(const PaxRecord &record)
    {
        const std::string_view keyword = record.keyword;
        if (keyword.starts_with(schily_xattr)) {
            if (!has_libarchives_xattrs_)
                fields_.xattrs.emplace_back(gnu_name(keyword.substr(schily_xattr.size())), record.value);
        } else if (keyword.starts_with(libarchive_xattr)) {
            const auto name = percent_decode(keyword.substr(libarchive_xattr.size()));
            if (!name)
                throw std::runtime_error("expected a name with %XX in it, got " + shown(keyword));
            fields_.xattrs.emplace_back(*name, base64_in(record));
        } else if (keyword == "RHT.security.selinux") {
            fields_.xattrs.emplace_back("security.selinux", record.value + '\0'); // as setfilecon(3) sets it
        } else {
            return false;
        }
        return true;
    }

    bool take_sparse(const PaxRecord &record)
    {
        const std::string_view keyword = record.keyword;
        if (!keyword.starts_with("GNU.sparse."))
            return false;
        const std::string_view what = keyword.substr(11);
        if (what == "name")
            fields_.sparse_name = name_in(record);
        else if (what == "size" || what == "realsize")
            fields_.sparse_size = size_in(record);
        else if (what == "numblocks")
            blocks_ = size_in(record);
        else if (what == "offset")
            starts_.push_back(size_in(record));
        else if (what == "numbytes")
            lengths_.push_back(size_in(record));
        else if (what == "map")
            fields_.sparse_map = map_in(record);
        else if (what == "major" || what == "minor")
            take_sparse_version(record, what == "major");
        else
            return false;
        return true;
    }

    void take_sparse_version(const PaxRecord &record, bool is_major)
    {
        const auto value = number<std::uint32_t>(record, 1);
        if (is_major)
            fields_.has_map_in_data = value == 1;
        else if (value == 1 && fields_.has_map_in_data)
            throw wrong(record, "0");
    }

    static SparseMap map_in(const PaxRecord &record)
    {
        SparseMap map;
        std::string_view rest = record.value;
        const auto next = [&] {
            const std::size_t comma = std::min(rest.find(','), rest.size());
            const auto value = parse_number<std::uint64_t>(rest.substr(0, comma));
            if (!value)
                throw wrong(record, "pairs of numbers with commas between them");
            rest.remove_prefix(std::min(comma + 1, rest.size()));
            return *value;
        };
        while (!rest.empty()) {
            const std::uint64_t start = next();
            map.emplace_back(start, next());
        }
        return map;
    }

    void take_rest(const PaxRecord &record)
    {
        const std::string_view keyword = record.keyword;
        if (keyword == "GNU.volume.offset" || keyword == "GNU.volume.size" ||
            keyword == "GNU.volume.filename")
            throw std::runtime_error(fmt::format("{}: this archive begins in the middle of a file: give all "
                                                 "of its volumes as one",
                                                 record.keyword));
        if (keyword == "SCHILY.realsize" || keyword == "SUN.holesdata")
            fields_.has_star_size = true;
        else if (keyword == "SCHILY.fflags")
            fields_.not_kept.emplace_back(NotKept::flags, shown(record.value));
        else if (keyword == "SCHILY.acl.ace")
            fields_.not_kept.emplace_back(NotKept::acl, record.keyword);
        else if (std::find(ignored.begin(), ignored.end(), keyword) == ignored.end() &&
                 !keyword.starts_with("MSWINDOWS."))
            fields_.not_kept.emplace_back(NotKept::record, shown(keyword));
    }

    PaxFields fields_;
    bool has_libarchives_xattrs_ = false;
    std::optional<std::uint64_t> blocks_;
    std::vector<std::uint64_t> starts_;
    std::vector<std::uint64_t> lengths_;
};

} // namespace

std::vector<PaxRecord> split_pax_records(std::string_view body)
{
    std::vector<PaxRecord> records;
    while (!body.empty()) {
        std::size_t length = 0;
        const auto [digits, failure] = std::from_chars(body.data(), body.data() + body.size(), length);
        const auto front = static_cast<std::size_t>(digits - body.data());
        const bool has_length = failure == std::errc() && front != 0 && length <= body.size() &&
                                length > front + 2 && body[front] == ' ' && body[length - 1] == '\n';
        const std::string_view record =
            has_length ? body.substr(front + 1, length - front - 2) : std::string_view();
        const std::size_t equals = record.find('=');
        if (!has_length || equals == record.npos || equals == 0)
            throw std::runtime_error(
                "expected records of the form \"LENGTH KEYWORD=VALUE\" and a newline, got \"" +
                shown(body.substr(0, body.find('\n'))) + '"');
        records.push_back({std::string(record.substr(0, equals)), std::string(record.substr(equals + 1))});
        body.remove_prefix(length);
    }
    return records;
}

void check_global_record(const PaxRecord &record)
{
    const std::string_view keyword = record.keyword;
    if (keyword == "path" || keyword == "linkpath" || keyword == "size" ||
        keyword.starts_with("GNU.sparse.") || keyword == "SCHILY.realsize")
        throw std::runtime_error(
            fmt::format("expected {} of single entries, got one for all", printable(keyword)));
}

PaxFields read_pax_records(const std::vector<PaxRecord> &records)
{
    return Reader().read(records);
}

void check_sparse_map(const SparseMap &map, std::uint64_t size, std::uint64_t stored)
{
    std::uint64_t end = 0;
    std::uint64_t data = 0;
    for (const auto &[start, length] : map) {
        if (start < end || start > size || length > size - start)
            throw std::runtime_error(
                fmt::format("expected a map of data in order and inside its {} bytes, got "
                            "{} bytes at {} behind {}",
                            size, length, start, end));
        end = start + length;
        data += length;
    }
    if (data != stored)
        throw std::runtime_error(
            fmt::format("expected {} bytes of data, as its map says, got {}", data, stored));
}

} // namespace daxfs
