// SPDX-License-Identifier: Apache-2.0
// The files of a container image: in a directory or in an archive.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tar_reader.hpp"
#include "unique_fd.hpp"

namespace daxfs {

class BlobStore {
public:
    virtual ~BlobStore() = default;
    virtual bool has(const std::string &path) = 0;
    // The file's bytes in order; throws when it is not there. The store outlives it.
    virtual ReadBytes open(const std::string &path) = 0;
    // Where it lies in a file as it is, if it does.
    virtual FilePart part(const std::string &) { return {}; }
};

// All of a JSON document, of at most 64 MiB; `name` is for messages.
std::string read_text(const ReadBytes &read, const std::string &name);

// path is a directory, or an archive in any form read_archive() takes.
std::unique_ptr<BlobStore> open_blobs(const std::string &path, const Workers &workers);

// What somebody says of a blob.
struct Stated {
    std::string algorithm; // "" when no digest is said
    std::string hex;
    std::optional<std::uint64_t> size;
    std::string by; // who says so, for messages: "its descriptor"
};

// "sha256:HEX" and the like. Throws when that is no digest that can be compared.
Stated parse_digest(const std::string &digest, const std::string &name);

// The same bytes; throws after the last one when they are not what is said. `name` says whose they are.
ReadBytes checked_bytes(ReadBytes read, Stated stated, std::string name);

} // namespace daxfs
