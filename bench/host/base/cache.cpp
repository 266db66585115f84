// SPDX-License-Identifier: Apache-2.0
#include "cache.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>

#include <fmt/format.h>

#include "error.hpp"
#include "interrupt.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

std::atomic<bool> nothing_is_made{false};

} // namespace

FileLock::FileLock(const fs::path &file)
{
    fs::create_directories(file.parent_path());
    fd_ = open_or_throw(file, O_RDWR | O_CREAT, 0666);
    while (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw daxfs::system_failure(errno, "locking " + file.string());
        throw_if_interrupted();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

fs::path Cache::root()
{
    const char *xdg = std::getenv("XDG_CACHE_HOME");
    if (xdg && *xdg == '/')
        return fs::path(xdg) / "daxbench";
    const char *home = std::getenv("HOME");
    if (home && *home == '/')
        return fs::path(home) / ".cache" / "daxbench";
    throw std::runtime_error(
        "expected a folder for the cache, but neither XDG_CACHE_HOME nor HOME is set: set one");
}

fs::path Cache::path(std::string_view kind, std::string_view key)
{
    return root() / kind / key;
}

bool Cache::has(std::string_view kind, std::string_view key)
{
    return fs::is_directory(path(kind, key));
}

void Cache::make_nothing()
{
    nothing_is_made = true;
}

fs::path Cache::scratch()
{
    if (nothing_is_made)
        throw std::runtime_error("nothing may be made");
    fs::create_directories(root() / "scratch");
    return root() / "scratch";
}

fs::path Cache::entry(std::string_view kind, std::string_view key,
                      const std::function<void(const fs::path &)> &make)
{
    const auto final_path = path(kind, key);
    if (fs::is_directory(final_path))
        return final_path;
    if (nothing_is_made)
        throw std::runtime_error(fmt::format("{}/{} is not made yet", kind, key));
    const auto parent = final_path.parent_path();
    const FileLock lock(parent / fmt::format(".{}.lock", key));
    if (fs::is_directory(final_path))
        return final_path;
    // Under the lock, so what is there was left by a run that was killed.
    const auto aside = parent / fmt::format(".new-{}", key);
    remove_tree(aside);
    fs::create_directories(aside);
    try {
        make(aside);
        fs::rename(aside, final_path);
    } catch (...) {
        remove_tree(aside);
        throw;
    }
    sync_dir(parent);
    return final_path;
}

} // namespace daxbench
