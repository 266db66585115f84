// SPDX-License-Identifier: Apache-2.0
// Temporary folders, and how trees are removed.
#pragma once

#include <filesystem>

namespace daxfs {

// Removes a tree, including folders without write permission.
void remove_tree(const std::filesystem::path &path);

// A private (0700) folder below $TMPDIR or /tmp, removed with its content on destruction. The
// path is short, since unix sockets live in it (limit: 107 bytes).
class TempDir {
public:
    TempDir();
    explicit TempDir(const std::filesystem::path &parent); // beside what it will be renamed to
    TempDir(TempDir &&other) noexcept;
    TempDir &operator=(TempDir &&other) noexcept;
    ~TempDir();
    const std::filesystem::path &path() const { return path_; }
    std::filesystem::path release(); // keep it

private:
    std::filesystem::path path_;
};

} // namespace daxfs
