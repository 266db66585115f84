// SPDX-License-Identifier: Apache-2.0
// What pax extended headers say of an entry: keywords of pax(1), and those that star, GNU tar and libarchive
// write. Each is honoured, known not to matter to an image, told as not kept, or refused by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "not_kept.hpp"

namespace daxfs {

struct PaxRecord {
    std::string keyword;
    std::string value;
};

// Where a sparse file has data, as its archive says it: offset and length.
using SparseMap = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

struct PaxFields {
    std::optional<std::string> path;
    std::optional<std::string> linkpath;
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<std::pair<std::int64_t, std::uint32_t>> mtime; // seconds, and nanoseconds after them
    std::optional<std::uint32_t> devmajor;
    std::optional<std::uint32_t> devminor;
    std::vector<std::pair<std::string, std::string>> xattrs; // full name, value
    std::optional<std::string> acl_access;                   // as text
    std::optional<std::string> acl_default;
    // GNU's sparse files.
    std::optional<std::string> sparse_name;
    std::optional<std::uint64_t> sparse_size;
    std::optional<SparseMap> sparse_map; // formats 0.0 and 0.1
    bool has_map_in_data = false;        // format 1.0
    bool has_star_size = false;          // SCHILY.realsize or Sun's map of holes, which libarchive reads
    // What an image does not keep, with what names it.
    std::vector<std::pair<NotKept::Kind, std::string>> not_kept;
};

// The records in the body of an extended header, in their order. What they throw, std::runtime_error, names
// the record and no entry.
std::vector<PaxRecord> split_pax_records(std::string_view body);
// What may not be said of all entries at once is refused.
void check_global_record(const PaxRecord &record);
// What they say, a later one instead of an earlier one of the same keyword.
PaxFields read_pax_records(const std::vector<PaxRecord> &records);

// Sparse maps: in order, without overlap, inside the file, and as much data as the archive stores.
void check_sparse_map(const SparseMap &map, std::uint64_t size, std::uint64_t stored);

} // namespace daxfs
