// SPDX-License-Identifier: Apache-2.0
#include "cache.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <xxhash.h>

namespace daxbench {

namespace fs = std::filesystem;

namespace {

std::atomic<bool> nothing_is_made{false};

[[noreturn]] void throw_errno(const std::string &what)
{
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

Fd open_or_throw(const fs::path &path, int flags, mode_t mode = 0)
{
    Fd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd)
        throw_errno("opening " + path.string());
    return fd;
}

void write_all(int fd, std::string_view content, const fs::path &path)
{
    while (!content.empty()) {
        const auto n = write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw_errno("writing " + path.string());
        content.remove_prefix(static_cast<std::size_t>(n));
    }
}

void sync_dir(const fs::path &dir)
{
    const Fd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd)
        fsync(fd.get());
}

// Calls `use` with the file's content in pieces.
template <typename Use> void read_pieces(const fs::path &path, const Use &use)
{
    const Fd fd = open_or_throw(path, O_RDONLY);
    posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    std::vector<char> buffer(1 << 20);
    for (;;) {
        const auto n = read(fd.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw_errno("reading " + path.string());
        if (n == 0)
            return;
        use(buffer.data(), static_cast<std::size_t>(n));
    }
}

std::string hex(const unsigned char *bytes, std::size_t count)
{
    std::string out;
    for (std::size_t i = 0; i < count; ++i)
        out += fmt::format("{:02x}", bytes[i]);
    return out;
}

std::string hex(XXH128_hash_t hash)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    return hex(canonical.digest, sizeof canonical.digest);
}

} // namespace

FileLock::FileLock(const fs::path &file)
{
    fs::create_directories(file.parent_path());
    fd_ = open_or_throw(file, O_RDWR | O_CREAT, 0666);
    while (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw_errno("locking " + file.string());
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
        "wanted a folder for the cache, but neither XDG_CACHE_HOME nor HOME is set: set one");
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

void write_file(const fs::path &path, std::string_view content)
{
    if (path.has_parent_path())
        fs::create_directories(path.parent_path());
    const fs::path aside =
        path.string() +
        fmt::format(".{}.{}", getpid(), std::hash<std::thread::id>()(std::this_thread::get_id()));
    {
        const Fd fd = open_or_throw(aside, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        write_all(fd.get(), content, aside);
        if (fsync(fd.get()) != 0)
            throw_errno("syncing " + aside.string());
    }
    fs::rename(aside, path);
    sync_dir(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

std::string read_file(const fs::path &path)
{
    std::string out;
    read_pieces(path, [&](const char *data, std::size_t size) { out.append(data, size); });
    return out;
}

std::string xxh3_text(std::string_view text)
{
    return hex(XXH3_128bits(text.data(), text.size()));
}

std::string xxh3_file(const fs::path &path)
{
    const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
    XXH3_128bits_reset(state.get());
    read_pieces(path, [&](const char *data, std::size_t size) {
        throw_if_interrupted();
        XXH3_128bits_update(state.get(), data, size);
    });
    return hex(XXH3_128bits_digest(state.get()));
}

std::string sha256_file(const fs::path &path)
{
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_DigestInit_ex(state.get(), EVP_sha256(), nullptr);
    read_pieces(path, [&](const char *data, std::size_t size) { EVP_DigestUpdate(state.get(), data, size); });
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(state.get(), digest.data(), &size);
    return hex(digest.data(), size);
}

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

} // namespace daxbench
