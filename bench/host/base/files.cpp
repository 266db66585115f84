// SPDX-License-Identifier: Apache-2.0
#include "files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "content_hash.hpp"
#include "error.hpp"
#include "interrupt.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

void write_all(int fd, std::string_view content, const fs::path &path)
{
    while (!content.empty()) {
        const auto n = write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw daxfs::system_failure(errno, "writing " + path.string());
        content.remove_prefix(static_cast<std::size_t>(n));
    }
}

// Calls `use` with what comes from here to `end`, or to the file's end, in pieces.
template <typename Use> void read_pieces(int fd, off_t end, const fs::path &path, const Use &use)
{
    std::vector<char> buffer(1 << 20);
    for (off_t at = lseek(fd, 0, SEEK_CUR); at < end;) {
        const auto wanted = std::min<off_t>(end - at, static_cast<off_t>(buffer.size()));
        const auto n = read(fd, buffer.data(), static_cast<std::size_t>(wanted));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw daxfs::system_failure(errno, "reading " + path.string());
        if (n == 0)
            return;
        use(buffer.data(), static_cast<std::size_t>(n));
        at += n;
    }
}

// The whole file so.
template <typename Use> void read_pieces(const fs::path &path, const Use &use)
{
    const Fd fd = open_or_throw(path, O_RDONLY);
    posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    read_pieces(fd.get(), std::numeric_limits<off_t>::max(), path, use);
}

std::string hex(const unsigned char *bytes, std::size_t count)
{
    std::string out;
    for (std::size_t i = 0; i < count; ++i)
        out += fmt::format("{:02x}", bytes[i]);
    return out;
}

} // namespace

Fd open_or_throw(const fs::path &path, int flags, mode_t mode)
{
    Fd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd)
        throw daxfs::system_failure(errno, "opening " + path.string());
    return fd;
}

void read_into_page_cache(const fs::path &path)
{
    const Fd fd = open_or_throw(path, O_RDONLY);
    for (off_t end = 0;;) {
        const off_t data = lseek(fd.get(), end, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return;
        end = data < 0 ? data : lseek(fd.get(), data, SEEK_HOLE);
        if (end < 0 || lseek(fd.get(), data, SEEK_SET) < 0)
            throw daxfs::system_failure(errno, "looking for data in " + path.string());
        read_pieces(fd.get(), end, path, [](const char *, std::size_t) {});
    }
}

void sync_dir(const fs::path &dir)
{
    const Fd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd)
        fsync(fd.get());
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
            throw daxfs::system_failure(errno, "syncing " + aside.string());
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
    return hash_of(text);
}

std::string xxh3_file(const fs::path &path)
{
    ContentHash hash;
    read_pieces(path, [&](const char *data, std::size_t size) {
        throw_if_interrupted();
        hash.add({data, size});
    });
    return hash.text();
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

} // namespace daxbench
