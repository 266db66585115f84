// SPDX-License-Identifier: Apache-2.0
#include "manifest.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "content_hash.hpp"
#include "file_type.hpp"
#include "io.hpp"
#include "protocol.hpp"

namespace daxbench {

namespace {

struct Entry {
    std::string path; // from the root, "" for the root itself
    struct stat st {};
    unsigned subdirectories = 0;
    std::string target;                        // symbolic links
    std::map<std::string, std::string> xattrs; // name → value
    std::size_t first = 0;                     // index of the first entry with the same inode
    std::string hash;
};

struct Tree {
    std::string name; // for messages
    UniqueFd root;
    std::vector<Entry> entries;

    std::string place(const Entry &entry) const
    {
        return entry.path.empty() ? name : name + "/" + entry.path;
    }
};

const char *or_dot(const std::string &path)
{
    return path.empty() ? "." : path.c_str();
}

[[noreturn]] void fail(const Tree &tree, const Entry &entry, std::string_view verb)
{
    throw_errno(fmt::format("cannot {} {}", verb, tree.place(entry)));
}

std::vector<std::string> list_directory(const Tree &tree, const Entry &entry)
{
    const int fd = ::openat(tree.root.get(), or_dot(entry.path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail(tree, entry, "open");
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(::fdopendir(fd), ::closedir);
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent *found = ::readdir(dir.get());
        if (!found)
            break;
        if (std::strcmp(found->d_name, ".") != 0 && std::strcmp(found->d_name, "..") != 0)
            names.emplace_back(found->d_name);
    }
    if (errno)
        fail(tree, entry, "list");
    return names;
}

// Breadth first, so that no chain of directories stays open however deep the tree is.
void collect(Tree &tree)
{
    Entry root;
    if (::fstat(tree.root.get(), &root.st) < 0)
        fail(tree, root, "stat");
    tree.entries.push_back(root);
    for (std::size_t i = 0; i < tree.entries.size(); ++i) {
        if (!S_ISDIR(tree.entries[i].st.st_mode) || tree.entries[i].st.st_dev != root.st.st_dev)
            continue;
        for (const std::string &name : list_directory(tree, tree.entries[i])) {
            Entry child;
            child.path = tree.entries[i].path;
            child.path += child.path.empty() ? name : "/" + name;
            if (::fstatat(tree.root.get(), child.path.c_str(), &child.st, AT_SYMLINK_NOFOLLOW) < 0)
                fail(tree, child, "stat");
            tree.entries[i].subdirectories += S_ISDIR(child.st.st_mode) ? 1 : 0;
            tree.entries.push_back(std::move(child));
        }
    }
    std::sort(tree.entries.begin(), tree.entries.end(),
              [](const Entry &a, const Entry &b) { return a.path < b.path; });
}

void find_links(Tree &tree)
{
    std::map<std::pair<dev_t, ino_t>, std::size_t> seen;
    for (std::size_t i = 0; i < tree.entries.size(); ++i) {
        Entry &entry = tree.entries[i];
        entry.first = i;
        if (entry.st.st_nlink > 1 && !S_ISDIR(entry.st.st_mode))
            entry.first = seen.emplace(std::pair(entry.st.st_dev, entry.st.st_ino), i).first->second;
    }
}

void read_target(const Tree &tree, Entry &entry)
{
    std::string target(65536, '\0');
    const ssize_t got = ::readlinkat(tree.root.get(), entry.path.c_str(), target.data(), target.size());
    if (got < 0)
        fail(tree, entry, "read the link");
    target.resize(static_cast<std::size_t>(got));
    entry.target = std::move(target);
}

// There is no lgetxattrat(2) yet; the descriptor's proc path does the same without a long prefix.
void read_xattrs(const Tree &tree, Entry &entry)
{
    const std::string path = fmt::format("/proc/self/fd/{}/{}", tree.root.get(), entry.path);
    std::string names(65536, '\0');
    const ssize_t got = ::llistxattr(path.c_str(), names.data(), names.size());
    if (got < 0) {
        if (errno == ENOTSUP)
            return;
        fail(tree, entry, "list the xattrs of");
    }
    names.resize(static_cast<std::size_t>(got));
    std::string value(65536, '\0');
    for (std::size_t at = 0; at < names.size(); at += std::strlen(&names[at]) + 1) {
        const char *name = &names[at];
        const ssize_t size = ::lgetxattr(path.c_str(), name, value.data(), value.size());
        if (size < 0)
            fail(tree, entry, fmt::format("read the xattr {} of", name));
        entry.xattrs[name] = value.substr(0, static_cast<std::size_t>(size));
    }
}

std::string hash_by_read(const Tree &tree, const Entry &entry, int fd)
{
    ContentHash hash;
    std::vector<char> buffer(1 << 18);
    std::uint64_t total = 0;
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got == 0)
            break;
        if (got < 0)
            fail(tree, entry, "read");
        hash.add({buffer.data(), static_cast<std::size_t>(got)});
        total += static_cast<std::uint64_t>(got);
    }
    if (total != static_cast<std::uint64_t>(entry.st.st_size))
        throw std::runtime_error(fmt::format("expected {} bytes of {}, read {}: it changes, or its "
                                             "size is wrong",
                                             entry.st.st_size, tree.place(entry), total));
    return hash.text();
}

// The same hash, with what the filesystem says is a hole taken as zeros and not read.
std::string hash_by_data(const Tree &tree, const Entry &entry, int fd)
{
    ContentHash hash;
    std::vector<char> buffer(1 << 18);
    const std::vector<char> zeros(1 << 18);
    const off_t size = entry.st.st_size;
    for (off_t at = 0; at < size;) {
        off_t data = ::lseek(fd, at, SEEK_DATA);
        data = data < 0 ? size : std::min(data, size); // ENXIO: a hole up to the end
        for (; at < data; at += std::min<off_t>(data - at, static_cast<off_t>(zeros.size())))
            hash.add(
                {zeros.data(), std::min<std::size_t>(static_cast<std::size_t>(data - at), zeros.size())});
        const off_t hole = ::lseek(fd, data, SEEK_HOLE);
        const off_t end = hole < 0 ? size : std::min(hole, size);
        while (at < end) {
            const auto want = std::min<std::size_t>(static_cast<std::size_t>(end - at), buffer.size());
            const ssize_t got = ::pread(fd, buffer.data(), want, at);
            if (got <= 0)
                fail(tree, entry, "read");
            hash.add({buffer.data(), static_cast<std::size_t>(got)});
            at += got;
        }
    }
    return hash.text();
}

std::string hash_by_mmap(const Tree &tree, const Entry &entry, int fd, int flags)
{
    const auto size = static_cast<std::size_t>(entry.st.st_size);
    if (size == 0)
        return hash_of("");
    void *map = ::mmap(nullptr, size, PROT_READ, flags, fd, 0);
    if (map == MAP_FAILED)
        fail(tree, entry, "map");
    const auto *bytes = static_cast<const char *>(map);
    const std::string hash = hash_of({bytes, size});
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t end = (size + page - 1) / page * page;
    const auto *stray = std::find_if(bytes + size, bytes + end, [](char c) { return c != 0; });
    const auto at = stray - bytes;
    const int value = stray == bytes + end ? 0 : static_cast<unsigned char>(*stray);
    ::munmap(map, size);
    if (value)
        throw std::runtime_error(fmt::format("expected zeros after the end of {} ({} bytes), found "
                                             "0x{:02x} at {}: a mapping shows foreign data",
                                             tree.place(entry), size, value, at));
    return hash;
}

std::string hash_file(const Tree &tree, const Entry &entry, ManifestMode mode)
{
    const UniqueFd fd(
        ::openat(tree.root.get(), entry.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd)
        fail(tree, entry, "open");
    if (mode == ManifestMode::read)
        return hash_by_read(tree, entry, fd.get());
    if (mode == ManifestMode::data)
        return hash_by_data(tree, entry, fd.get());
    const int flags = mode == ManifestMode::mmap_shared ? MAP_SHARED : MAP_PRIVATE;
    return hash_by_mmap(tree, entry, fd.get(), flags);
}

void fill(const Tree &tree, Entry &entry, bool is_first, ManifestMode mode)
{
    read_xattrs(tree, entry);
    if (S_ISLNK(entry.st.st_mode))
        read_target(tree, entry);
    if (S_ISREG(entry.st.st_mode) && is_first)
        entry.hash = hash_file(tree, entry, mode);
}

// One worker after the other takes the next entry; the first error stops all and is thrown.
void fill_all(Tree &tree, const ManifestOptions &options)
{
    std::atomic<std::size_t> next = 0;
    std::mutex lock;
    std::exception_ptr error;
    const auto work = [&] {
        for (std::size_t i = next++; i < tree.entries.size(); i = next++) {
            try {
                fill(tree, tree.entries[i], tree.entries[i].first == i, options.mode);
            } catch (...) {
                const std::lock_guard guard(lock);
                if (!error)
                    error = std::current_exception();
                next = tree.entries.size();
            }
        }
    };
    const unsigned threads =
        options.threads ? options.threads : std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < threads; ++i)
        workers.emplace_back(work);
    work();
    workers.clear();
    if (error)
        std::rethrow_exception(error);
}

std::string hex(std::string_view bytes)
{
    std::string text;
    for (const char c : bytes)
        text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return text;
}

// Some file systems do not count subdirectories and say 1; the classic count is meant then.
nlink_t link_count(const Entry &entry)
{
    if (S_ISDIR(entry.st.st_mode) && entry.st.st_nlink == 1)
        return 2 + entry.subdirectories;
    return entry.st.st_nlink;
}

std::string to_manifest_line(const Tree &tree, const Entry &entry)
{
    const struct stat &st = entry.st;
    const Entry &first = tree.entries[entry.first];
    nlohmann::ordered_json line;
    line["path"] = percent_encode(or_dot(entry.path));
    line["type"] = daxfs::file_type_name(st.st_mode);
    line["mode"] = fmt::format("{:04o}", st.st_mode & 07777);
    line["uid"] = st.st_uid;
    line["gid"] = st.st_gid;
    line["nlink"] = link_count(entry);
    line["size"] = S_ISDIR(st.st_mode) ? 0 : st.st_size;
    line["mtime"] = fmt::format("{}.{:09}", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        line["rdev"] = fmt::format("{}:{}", major(st.st_rdev), minor(st.st_rdev));
    if (S_ISLNK(st.st_mode))
        line["target"] = percent_encode(entry.target);
    for (const auto &[name, value] : entry.xattrs)
        line["xattrs"][percent_encode(name)] = hex(value);
    if (st.st_nlink > 1 && !S_ISDIR(st.st_mode))
        line["link"] = percent_encode(first.path);
    if (S_ISREG(st.st_mode))
        line["hash"] = first.hash;
    return line.dump();
}

} // namespace

ManifestMode parse_manifest_mode(std::string_view text)
{
    if (text == "read")
        return ManifestMode::read;
    if (text == "data")
        return ManifestMode::data;
    if (text == "mmap-shared")
        return ManifestMode::mmap_shared;
    if (text == "mmap-private")
        return ManifestMode::mmap_private;
    throw std::runtime_error(
        fmt::format("expected the mode read, data, mmap-shared or mmap-private, got '{}'", text));
}

std::vector<std::string> make_manifest(const std::string &path, const ManifestOptions &options)
{
    Tree tree;
    tree.name = path;
    tree.root = open_file(path, O_RDONLY | O_DIRECTORY);
    collect(tree);
    find_links(tree);
    fill_all(tree, options);
    std::vector<std::string> lines;
    lines.reserve(tree.entries.size());
    for (const Entry &entry : tree.entries)
        lines.push_back(to_manifest_line(tree, entry));
    return lines;
}

std::vector<std::string> diff_manifests(const std::vector<std::string> &wanted,
                                        const std::vector<std::string> &got, std::size_t limit)
{
    std::vector<std::string> sorted_wanted = wanted;
    std::vector<std::string> sorted_got = got;
    std::sort(sorted_wanted.begin(), sorted_wanted.end());
    std::sort(sorted_got.begin(), sorted_got.end());
    std::vector<std::string> missing;
    std::vector<std::string> extra;
    std::set_difference(sorted_wanted.begin(), sorted_wanted.end(), sorted_got.begin(), sorted_got.end(),
                        std::back_inserter(missing));
    std::set_difference(sorted_got.begin(), sorted_got.end(), sorted_wanted.begin(), sorted_wanted.end(),
                        std::back_inserter(extra));
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < limit && (i < missing.size() || i < extra.size()); ++i) {
        if (i < missing.size())
            lines.push_back("- " + missing[i]);
        if (i < extra.size())
            lines.push_back("+ " + extra[i]);
    }
    return lines;
}

std::string content_digest(const std::vector<std::string> &manifest)
{
    ContentHash digest;
    for (const auto &line : manifest) {
        const auto entry = nlohmann::json::parse(line);
        const bool named_before = entry.contains("link") && entry.at("link") != entry.at("path");
        if (entry.at("type") == "reg" && !named_before)
            digest.add(entry.at("path").get<std::string>() + " " + entry.at("hash").get<std::string>() +
                       "\n");
    }
    return digest.text();
}

} // namespace daxbench
