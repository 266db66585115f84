// SPDX-License-Identifier: Apache-2.0
#include "temp_dir.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include <unistd.h>

#include "error.hpp"

namespace daxfs {

namespace fs = std::filesystem;

void remove_tree(const fs::path &path)
{
    std::error_code error;
    fs::remove_all(path, error);
    if (!error)
        return;
    // Folders without write permission keep a user (not root) from removing what is in them.
    for (auto it =
             fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied, error);
         it != fs::recursive_directory_iterator(); it.increment(error))
        if (!it->is_symlink() && it->is_directory()) {
            std::error_code ignored;
            fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
        }
    fs::remove_all(path);
}

namespace {

fs::path make_temp_dir(fs::path parent)
{
    auto pattern = (parent / "daxfs-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
        throw system_failure(errno, "making a folder in " + parent.string());
    return pattern;
}

fs::path short_temp_parent()
{
    const char *wanted = std::getenv("TMPDIR");
    // Unix sockets live below; their path may have 107 bytes.
    if (wanted && *wanted && std::strlen(wanted) < 60 && access(wanted, W_OK) == 0)
        return wanted;
    return "/tmp";
}

} // namespace

TempDir::TempDir() : path_(make_temp_dir(short_temp_parent())) {}
TempDir::TempDir(const fs::path &parent) : path_(make_temp_dir(parent)) {}
TempDir::TempDir(TempDir &&other) noexcept : path_(other.release()) {}

TempDir &TempDir::operator=(TempDir &&other) noexcept
{
    std::swap(path_, other.path_);
    return *this;
}

TempDir::~TempDir()
{
    if (path_.empty())
        return;
    try {
        remove_tree(path_);
    } catch (const std::exception &) {
        // Nothing better can be done from a destructor; the folder is in a temporary place.
    }
}

fs::path TempDir::release()
{
    return std::exchange(path_, fs::path());
}

} // namespace daxfs
