// SPDX-License-Identifier: Apache-2.0
#include "blob_store.hpp"

#include <cerrno>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/core.h>

#include "digest.hpp"
#include "error.hpp"

namespace daxfs {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_bytes = 64 << 20;

class DirectoryBlobs : public BlobStore {
public:
    DirectoryBlobs(const std::string &path, const std::atomic<bool> *stop) : path_(path), stop_(stop)
    {
        fd_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd_)
            throw system_failure(errno, "cannot read the image directory " + printable(path));
    }

    bool has(const std::string &path) override
    {
        return faccessat(fd_.get(), inside(path).c_str(), F_OK, 0) == 0;
    }

    ReadBytes open(const std::string &path) override
    {
        UniqueFd file(openat(fd_.get(), inside(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        const std::string shown = path_ + "/" + path;
        if (!file)
            throw system_failure(errno, "cannot open " + printable(shown));
        return bytes_of_file(std::move(file), shown, stop_);
    }

private:
    // The image says which files it has; they must be its own.
    std::string inside(const std::string &path) const
    {
        for (const fs::path &part : fs::path(path)) {
            if (part == ".." || part == "/")
                throw std::runtime_error(fmt::format("{}: expected a file inside the image, it names {}",
                                                     printable(path_), printable(path)));
        }
        return path;
    }

    std::string path_;
    const std::atomic<bool> *stop_;
    UniqueFd fd_;
};

class ArchiveBlobs : public BlobStore {
public:
    ArchiveBlobs(const std::string &path, const Workers &workers) : path_(path)
    {
        const UniqueFd file = open_input(path, workers.stop);
        read_archive(bytes_of(file.get(), path, workers.stop), path,
                     {builder_, spool_, PathFilter(), workers});
    }

    bool has(const std::string &path) override { return find(path).has_value(); }

    ReadBytes open(const std::string &path) override
    {
        const std::optional<NodeId> id = find(path);
        if (!id || !S_ISREG(builder_.tree().nodes[*id].mode))
            throw std::runtime_error(fmt::format("{}: expected the file {} in it, it is not there",
                                                 printable(path_), printable(path)));
        const Node &node = builder_.tree().nodes[*id];
        return [this, at = node.content, end = node.content + node.size](std::span<std::byte> to) mutable {
            to = to.first(std::min<std::uint64_t>(to.size(), end - at));
            spool_.read(at, to);
            at += to.size();
            return to.size();
        };
    }

private:
    // docker save stores equal layers as symlinks.
    std::optional<NodeId> find(const std::string &wanted)
    {
        fs::path path = wanted;
        for (int links = 0; links < 40; ++links) {
            const std::optional<NodeId> id = builder_.find(path.lexically_normal().string());
            if (!id || !S_ISLNK(builder_.tree().nodes[*id].mode))
                return id;
            path = path.parent_path() / builder_.tree().target(builder_.tree().nodes[*id]);
        }
        throw std::runtime_error(fmt::format("{}: {} leads through more than 40 symbolic links",
                                             printable(path_), printable(wanted)));
    }

    std::string path_;
    TreeBuilder builder_;
    Spool spool_;
};

} // namespace

std::string BlobStore::read_all(const std::string &path)
{
    const ReadBytes read = open(path);
    std::string text;
    std::vector<std::byte> buffer(65536);
    while (const std::size_t got = read(buffer)) {
        if (text.size() + got > most_bytes)
            throw std::runtime_error(printable(path) + ": expected at most 64 MiB of JSON, got more");
        text.append(reinterpret_cast<const char *>(buffer.data()), got);
    }
    return text;
}

std::unique_ptr<BlobStore> open_blobs(const std::string &path, const Workers &workers)
{
    if (fs::is_directory(path))
        return std::make_unique<DirectoryBlobs>(path, workers.stop);
    return std::make_unique<ArchiveBlobs>(path, workers);
}

ReadBytes checked_sha256(ReadBytes read, std::string wanted, std::string name)
{
    auto hash = std::make_shared<Digester>(DigestKind::sha256);
    return [read = std::move(read), wanted = std::move(wanted), name = std::move(name), hash,
            found = std::string()](std::span<std::byte> to) mutable {
        const std::size_t got = found.empty() ? read(to) : 0;
        hash->update(to.first(got));
        if (got != 0)
            return got;
        if (found.empty())
            found = to_hex(hash->finish());
        if (found != wanted)
            throw std::runtime_error(fmt::format("{}: expected the SHA-256 {}, got {}: the image is damaged",
                                                 printable(name), wanted, found));
        return got;
    };
}

} // namespace daxfs
