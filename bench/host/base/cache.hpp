// SPDX-License-Identifier: Apache-2.0
// The cache of everything that is made once: kernels, datasets, images, tools.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "files.hpp"

namespace daxbench {

// An exclusive flock(2) on a file; waiting honours Ctrl-C.
class FileLock {
public:
    explicit FileLock(const std::filesystem::path &file);

private:
    Fd fd_;
};

class Cache {
public:
    // $XDG_CACHE_HOME/daxbench or ~/.cache/daxbench.
    static std::filesystem::path root();

    // A finished folder root()/kind/key. When it is not there, `make` fills a folder beside it,
    // which then gets its name by rename: a folder under that name is always complete.
    // Several processes asking for the same one wait for the first.
    static std::filesystem::path entry(std::string_view kind, std::string_view key,
                                       const std::function<void(const std::filesystem::path &dir)> &make);

    static bool has(std::string_view kind, std::string_view key);

    // From here on entry() throws for what is not there instead of making it (--dry-run).
    static void make_nothing();

    // A folder for large files of passage, which the caller removes. Throws as entry() does.
    static std::filesystem::path scratch();

    // Where an entry is, or will be.
    static std::filesystem::path path(std::string_view kind, std::string_view key);
};

} // namespace daxbench
