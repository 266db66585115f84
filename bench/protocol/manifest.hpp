// SPDX-License-Identifier: Apache-2.0
// A manifest says everything a directory tree holds, one JSON object a line, so that two trees
// are equal when their manifests are equal as text.
//
// Keys, in this order: path (percent-encoded, "." for the root), type (reg, dir, lnk, chr, blk,
// fifo, sock), mode ("0755"), uid, gid, nlink, size (bytes; 0 for directories), mtime
// ("sec.nnnnnnnnn"), rdev ("major:minor", devices), target (percent-encoded, symbolic links),
// xattrs ({percent-encoded name: hex value}, when any), link (path of the first entry with the same
// inode, when nlink > 1 and not a directory), hash (XXH3-128 in hex, regular files).
// Sorted by the bytes of the path; the root comes first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace daxbench {

/// How file content is read: by read(2), or through a mapping, which also proves that the bytes
/// after the end of file in the last page are zero. `data`: by read(2), but for holes, which are zeros
/// without it.
enum class ManifestMode { read, data, mmap_shared, mmap_private };

/// "read", "data", "mmap-shared" or "mmap-private"; throws naming the four.
ManifestMode parse_manifest_mode(std::string_view text);

struct ManifestOptions {
    ManifestMode mode = ManifestMode::read;
    unsigned threads = 0; // 0: as many as the machine has cores
};

/// The lines, without newlines, of the tree at PATH (a directory). It is not followed into other
/// file systems mounted inside. Throws std::runtime_error naming the entry that could not be read.
std::vector<std::string> make_manifest(const std::string &path, const ManifestOptions &options);

/// One hash of all names and bytes of regular files, each inode by its first name: XXH3-128 of lines "PATH
/// HASH".
std::string content_digest(const std::vector<std::string> &manifest);

/// The first lines that differ, for people: "- " only in WANTED, "+ " only in GOT; empty if equal.
std::vector<std::string> diff_manifests(const std::vector<std::string> &wanted,
                                        const std::vector<std::string> &got, std::size_t limit = 10);

} // namespace daxbench
