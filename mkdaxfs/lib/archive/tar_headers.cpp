// SPDX-License-Identifier: Apache-2.0
#include "tar_headers.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include <fmt/core.h>

#include "error.hpp"
#include "text_form.hpp"

namespace daxfs {

namespace {

constexpr std::size_t block_size = 512;

struct Field {
    const char *what;
    std::size_t at;
    std::size_t size;
};
constexpr Field mode_field = {"mode", 100, 8};
constexpr Field size_field = {"size", 124, 12};
constexpr Field number_fields[] = {
    mode_field, {"uid", 108, 8}, {"gid", 116, 8}, size_field, {"mtime", 136, 12}};
constexpr Field device_fields[] = {{"device number", 329, 8}, {"device number", 337, 8}};

std::string_view field(std::string_view block, const Field &field)
{
    return block.substr(field.at, field.size);
}

std::string_view until_nul(std::string_view text)
{
    return text.substr(0, text.find('\0'));
}

// Blank is 0. The first bit says that the rest is a big-endian number, as GNU tar and star write large ones.
std::optional<std::uint64_t> number_in(std::string_view text)
{
    if (static_cast<unsigned char>(text.front()) & 0x80) {
        if (static_cast<unsigned char>(text.front()) == 0xff)
            return 0; // negative, which libarchive has as such
        std::uint64_t value = text.front() & 0x7f;
        for (const char c : text.substr(1)) {
            if (value >> 55 != 0)
                return std::nullopt;
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return value;
    }
    text = until_nul(text);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    text = text.substr(0, text.find(' '));
    return text.empty() ? 0 : parse_number<std::uint64_t>(text, 8);
}

std::uint64_t checked_number(std::string_view block, const Field &one)
{
    const auto value = number_in(field(block, one));
    if (!value)
        throw std::runtime_error(fmt::format("expected an octal number as its {}, got \"{}\"", one.what,
                                             printable(until_nul(field(block, one)))));
    return *value;
}

std::string name_in(std::string_view block)
{
    const std::string_view prefix = until_nul(block.substr(345, 155));
    const bool is_ustar = block.substr(257, 6) == std::string_view("ustar\0", 6);
    const std::string name(until_nul(block.substr(0, 100)));
    return is_ustar && !prefix.empty() ? std::string(prefix) + "/" + name : name;
}

// What is in front of an entry's data, part by part.
struct Parts {
    bool is_cut = false; // the last of these headers is not whole
    std::vector<std::string_view> global;
    std::vector<std::string_view> local;
    bool has_more = false;  // a header that an entry must follow
    std::string_view block; // the entry's own
    std::string_view rest;  // what follows it: maps of sparse files
};

Parts split(std::string_view headers)
{
    Parts parts;
    while (headers.size() >= block_size &&
           headers.substr(0, block_size).find_first_not_of('\0') != headers.npos) {
        const std::string_view block = headers.substr(0, block_size);
        const char type = block[156];
        if (std::string_view("xXgLKAV").find(type) == std::string_view::npos || type == '\0') {
            parts.block = block;
            parts.rest = headers.substr(block_size);
            return parts;
        }
        const std::uint64_t size = checked_number(block, size_field);
        headers.remove_prefix(block_size);
        const std::uint64_t whole =
            size / block_size * block_size + (size % block_size != 0 ? block_size : 0);
        parts.is_cut = size > headers.size() || whole > headers.size();
        if (parts.is_cut)
            return parts;
        if (type == 'x' || type == 'X')
            parts.local.push_back(headers.substr(0, size));
        if (type == 'g')
            parts.global.push_back(headers.substr(0, size));
        parts.has_more = type != 'g' && type != 'V';
        headers.remove_prefix(whole);
    }
    return parts;
}

// As GNU tar before pax had it: in the header, then in blocks of its own.
SparseMap old_sparse_map(std::string_view block, std::string_view rest)
{
    SparseMap map;
    const auto take = [&](std::string_view from, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::string_view pair = from.substr(i * 24, 24);
            if (pair.front() == '\0')
                return;
            map.emplace_back(checked_number(pair, {"map of holes", 0, 12}),
                             checked_number(pair, {"map of holes", 12, 12}));
        }
    };
    take(block.substr(386), 4);
    for (bool more = block[482] != '\0'; more && rest.size() >= block_size; rest.remove_prefix(block_size)) {
        take(rest, 21);
        more = rest[504] != '\0';
    }
    return map;
}

// GNU's format 1.0: lines in front of the data, how many pairs there are and the pairs.
SparseMap sparse_map_in_data(std::string_view lines)
{
    const auto next = [&] {
        const std::size_t end = std::min(lines.find('\n'), lines.size());
        const auto value = parse_number<std::uint64_t>(lines.substr(0, end));
        if (!value || end == lines.size())
            throw std::runtime_error("expected lines of numbers as its map of holes, got something else");
        lines.remove_prefix(end + 1);
        return *value;
    };
    SparseMap map;
    for (std::uint64_t left = next(); left != 0; --left) {
        const std::uint64_t start = next();
        map.emplace_back(start, next());
    }
    return map;
}

void check_sparse(const PaxFields &pax, std::string_view block, std::string_view rest)
{
    const std::uint64_t stored = pax.size.value_or(checked_number(block, size_field));
    if (block[156] == 'S' && !pax.sparse_size)
        return check_sparse_map(old_sparse_map(block, rest), checked_number(block, {"real size", 483, 12}),
                                stored);
    if (pax.has_map_in_data && stored < rest.size())
        throw std::runtime_error("expected a map of holes inside its data, got one behind it");
    if (pax.has_map_in_data)
        return check_sparse_map(sparse_map_in_data(rest), pax.sparse_size.value_or(0), stored - rest.size());
    if (pax.sparse_map)
        check_sparse_map(*pax.sparse_map, pax.sparse_size.value_or(0), stored);
}

PaxFields fields_of(const Parts &parts, std::vector<PaxRecord> &global)
{
    for (const std::string_view body : parts.global) {
        for (PaxRecord &record : split_pax_records(body)) {
            check_global_record(record);
            // All of them are read for each entry.
            std::erase_if(global, [&](const PaxRecord &old) { return old.keyword == record.keyword; });
            global.push_back(std::move(record));
        }
    }
    std::vector<PaxRecord> records = global;
    for (const std::string_view body : parts.local) {
        for (PaxRecord &record : split_pax_records(body))
            records.push_back(std::move(record));
    }
    return read_pax_records(records);
}

void check_end(const Parts &parts)
{
    if (parts.has_more && parts.block.empty())
        throw std::runtime_error("expected an entry behind its extended header, got the end");
}

std::runtime_error of_entry(const Parts &parts, const std::runtime_error &error)
{
    const std::string name =
        parts.block.empty() ? "an extended header" : "/" + printable(name_in(parts.block));
    return std::runtime_error(name + ": " + error.what());
}

void check_type(char type)
{
    if (type == 'M')
        throw std::runtime_error("this is the rest of a file in another volume: give all volumes as one");
    if (type == 'N')
        throw std::runtime_error("expected long names of type L and K, got the older type N");
}

} // namespace

void TarHeaders::check_records(std::string_view headers)
{
    const Parts parts = split(headers);
    try {
        std::vector<PaxRecord> global;
        fields_of(parts, global);
        check_end(parts);
    } catch (const std::runtime_error &error) {
        throw of_entry(parts, error);
    }
}

TarEntry TarHeaders::read(std::string_view headers)
{
    const Parts parts = split(headers);
    try {
        if (parts.is_cut || parts.block.empty())
            throw std::runtime_error("expected its header, got none");
        TarEntry entry;
        entry.pax = fields_of(parts, global_);
        for (const Field &one : number_fields)
            checked_number(parts.block, one);
        const char type = parts.block[156];
        if (type == '3' || type == '4') {
            for (const Field &one : device_fields)
                checked_number(parts.block, one);
        }
        check_type(type);
        check_sparse(entry.pax, parts.block, parts.rest);
        entry.is_sparse = type == 'S' || entry.pax.has_map_in_data || entry.pax.sparse_map ||
                          entry.pax.sparse_size || entry.pax.has_star_size;
        entry.permissions = static_cast<std::uint16_t>(checked_number(parts.block, mode_field) & 07777);
        entry.has_unknown_type =
            type != '\0' && std::string_view("01234567DS").find(type) == std::string_view::npos;
        return entry;
    } catch (const std::runtime_error &error) {
        throw of_entry(parts, error);
    }
}

void TarHeaders::read_end(std::string_view headers)
{
    check_end(split(headers));
}

} // namespace daxfs
