// SPDX-License-Identifier: Apache-2.0
// A tree source that reads a directory of the machine it runs on.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "directory_scanner.hpp"
#include "path_filter.hpp"
#include "source.hpp"
#include "unique_fd.hpp"

namespace daxfs {

class DirectorySource : public TreeSource {
public:
    // An excluded directory is left out with all that is in it. Throws when path is not a directory that can be read.
    // With `unreadable`, what cannot be read is left out and told to it.
    DirectorySource(std::string path, PathFilter filter, OnUnreadable unreadable = {});

    std::unique_ptr<Tree> scan(const Workers& workers) override;
    std::unique_ptr<FileContent> open(const Tree& tree, NodeId node) const override;

    // What a change of a file's data changes.
    struct Stamp {
        std::int64_t mtime_ns = 0;
        std::int64_t ctime_ns = 0;
        std::uint64_t size = 0;
        bool operator==(const Stamp&) const = default;
    };

private:
    std::string path_;
    PathFilter filter_;
    OnUnreadable unreadable_;
    UniqueFd root_;
    // Of the files that are opened more than once, as they were the first time.
    mutable std::mutex mutex_;
    mutable std::unordered_map<NodeId, Stamp> stamps_;
};

// openat(2) below a directory for a path of any length ("" is the directory itself).
// -1 and errno on failure.
int open_beneath(int dir, const std::string& path, int flags);

}  // namespace daxfs
