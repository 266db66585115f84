// SPDX-License-Identifier: Apache-2.0
#include "blob_store.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/core.h>
#include <openssl/evp.h>

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
        UniqueFd file = opened(path);
        return bytes_of_file(std::move(file), path_ + "/" + path, stop_);
    }

    FilePart part(const std::string &path) override
    {
        const auto file = std::make_shared<const SharedFile>(opened(path), path_ + "/" + path);
        return file->is_regular() ? FilePart{file, 0, file->size()} : FilePart();
    }

private:
    UniqueFd opened(const std::string &path) const
    {
        UniqueFd file(openat(fd_.get(), inside(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        const std::string shown = path_ + "/" + path;
        if (!file)
            throw system_failure(errno, "cannot open " + printable(shown));
        return file;
    }

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
        read_archive(open_archive(path, workers.stop), path, {builder_, spool_, PathFilter(), workers});
    }

    bool has(const std::string &path) override { return find(path).has_value(); }

    ReadBytes open(const std::string &path) override
    {
        const Node &node = file(path);
        return [this, at = node.content, end = node.content + node.size](std::span<std::byte> to) mutable {
            to = to.first(std::min<std::uint64_t>(to.size(), end - at));
            spool_.read(at, to);
            at += to.size();
            return to.size();
        };
    }

    FilePart part(const std::string &path) override
    {
        const Node &node = file(path);
        return spool_.part_at(node.content, node.size);
    }

private:
    const Node &file(const std::string &path)
    {
        const std::optional<NodeId> id = find(path);
        if (!id || !S_ISREG(builder_.tree().nodes[*id].mode))
            throw std::runtime_error(fmt::format("{}: expected the file {} in it, it is not there",
                                                 printable(path_), printable(path)));
        return builder_.tree().nodes[*id];
    }

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

const EVP_MD *algorithm_of(const std::string &name)
{
    if (name == "sha256")
        return EVP_sha256();
    if (name == "sha384")
        return EVP_sha384();
    return name == "sha512" ? EVP_sha512() : nullptr;
}

class BlobCheck {
public:
    BlobCheck(Stated stated, std::string name)
        : stated_(std::move(stated)), name_(std::move(name)), hash_(EVP_MD_CTX_new(), EVP_MD_CTX_free)
    {
        if (!stated_.algorithm.empty() &&
            EVP_DigestInit_ex(hash_.get(), algorithm_of(stated_.algorithm), nullptr) != 1)
            throw std::runtime_error("cannot compute digests: libcrypto refuses");
    }

    bool is_at_end() const { return is_at_end_; }

    // Nothing is the end.
    void update(std::span<const std::byte> bytes)
    {
        size_ += bytes.size();
        if (!stated_.algorithm.empty() && !is_at_end_)
            EVP_DigestUpdate(hash_.get(), bytes.data(), bytes.size());
        if (!bytes.empty())
            return;
        if (!std::exchange(is_at_end_, true) && !stated_.algorithm.empty()) {
            std::string digest(static_cast<std::size_t>(EVP_MD_CTX_size(hash_.get())), '\0');
            EVP_DigestFinal_ex(hash_.get(), reinterpret_cast<unsigned char *>(digest.data()), nullptr);
            found_ = to_hex(digest);
        }
        refuse_wrong();
    }

private:
    void refuse_wrong() const
    {
        if (stated_.size && *stated_.size != size_)
            throw std::runtime_error(
                fmt::format("{}: expected {} bytes, as {} says, got {}: the image is damaged",
                            printable(name_), *stated_.size, stated_.by, size_));
        if (found_ != stated_.hex)
            throw std::runtime_error(
                fmt::format("{}: expected the SHA-{} {}, as {} says, got {}: the image is damaged",
                            printable(name_), stated_.algorithm.substr(3), stated_.hex, stated_.by, found_));
    }

    Stated stated_;
    std::string name_;
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)> hash_;
    std::uint64_t size_ = 0;
    bool is_at_end_ = false;
    std::string found_;
};

} // namespace

std::string read_text(const ReadBytes &read, const std::string &name)
{
    std::string text;
    std::vector<std::byte> buffer(65536);
    while (const std::size_t got = read(buffer)) {
        if (text.size() + got > most_bytes)
            throw std::runtime_error(printable(name) + ": expected at most 64 MiB of JSON, got more");
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

Stated parse_digest(const std::string &digest, const std::string &name)
{
    const std::size_t colon = std::min(digest.find(':'), digest.size());
    Stated stated = {digest.substr(0, colon), digest.substr(std::min(colon + 1, digest.size())), {}, ""};
    const EVP_MD *kind = algorithm_of(stated.algorithm);
    const bool is_good = kind && stated.hex.size() == static_cast<std::size_t>(EVP_MD_size(kind)) * 2 &&
                         std::all_of(stated.hex.begin(), stated.hex.end(), [](unsigned char c) {
                             return std::isdigit(c) || (c >= 'a' && c <= 'f');
                         });
    if (!is_good)
        throw std::runtime_error(fmt::format("{}: expected a sha256 digest (or sha384 or sha512), got {}",
                                             printable(name), digest.empty() ? "none" : printable(digest)));
    return stated;
}

ReadBytes checked_bytes(ReadBytes read, Stated stated, std::string name)
{
    if (stated.algorithm.empty() && !stated.size)
        return read;
    return [read = std::move(read), check = std::make_shared<BlobCheck>(std::move(stated), std::move(name))](
               std::span<std::byte> to) {
        const std::size_t got = check->is_at_end() ? 0 : read(to);
        check->update(to.first(got));
        return got;
    };
}

} // namespace daxfs
