// SPDX-License-Identifier: Apache-2.0
// The files of a container image: in a directory or in an archive.
#pragma once

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
    // All of a file of at most 64 MiB.
    std::string read_all(const std::string &path);
};

// path is a directory, or an archive in any form read_archive() takes.
std::unique_ptr<BlobStore> open_blobs(const std::string &path, const Workers &workers);

// The same bytes; throws after the last one when they do not have this SHA-256
// (64 hexadecimal digits).
ReadBytes checked_sha256(ReadBytes read, std::string wanted, std::string name);

} // namespace daxfs
