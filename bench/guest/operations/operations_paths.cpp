// SPDX-License-Identifier: Apache-2.0
// Operations on paths: open and close, stat, walk, lookup, mount.
#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mounts.hpp"
#include "operation_parts.hpp"

namespace daxbench {

namespace {

class OnPaths : public Operation {
public:
    explicit OnPaths(const std::vector<SelectedFile> &files) : paths_(files)
    {
        operations_ = paths_.size();
        units_ = static_cast<double>(operations_);
    }

protected:
    PathList paths_;
};

class OpenMmapTouchClose : public OnPaths {
public:
    explicit OpenMmapTouchClose(const std::vector<SelectedFile> &files) : OnPaths(files), files_(files) {}

    void warm_up() override
    {
        for (const SelectedFile &file : files_)
            read_whole_file(file.path);
    }

    void pass() override
    {
        for (const char *path : paths_)
            map_and_touch(path);
    }

    void single(std::size_t index) override { map_and_touch(files_[index].path.c_str()); }

private:
    [[gnu::always_inline]] static void map_and_touch(const char *path)
    {
        const int fd = ::open(path, O_RDONLY);
        struct stat st;
        if (fd < 0 || ::fstat(fd, &st) < 0)
            throw_errno(std::string("cannot open ") + path);
        const auto size = static_cast<std::size_t>(st.st_size);
        void *const map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            throw_errno(std::string("cannot map ") + path);
        touch_pages(static_cast<const char *>(map), (size + page_size - 1) / page_size);
        ::munmap(map, size);
        ::close(fd);
    }

    std::vector<SelectedFile> files_;
};

class OpenClose : public OnPaths {
public:
    using OnPaths::OnPaths;
    void pass() override
    {
        for (const char *path : paths_) {
            const int fd = ::open(path, O_RDONLY);
            if (fd < 0)
                throw_errno(std::string("cannot open ") + path);
            ::close(fd);
        }
    }
};

class Stat : public OnPaths {
public:
    using OnPaths::OnPaths;
    void pass() override
    {
        struct stat st;
        for (const char *path : paths_)
            if (::lstat(path, &st) < 0)
                throw_errno(std::string("cannot stat ") + path);
    }
};

// The kernel's own record, so that no library buffer comes between.
struct DirectoryRecord {
    ino64_t inode;
    off64_t next;
    unsigned short length;
    unsigned char type;
    char name[1];
};

class Walk : public Operation {
public:
    explicit Walk(std::string root) : root_(std::move(root)), buffers_(depth_limit * buffer_size)
    {
        operations_ = list_tree(root_).size();
        units_ = static_cast<double>(operations_);
    }

    void pass() override
    {
        seen_ = 0;
        walk(::open(root_.c_str(), O_RDONLY | O_DIRECTORY), 0);
        if (seen_ != operations_)
            throw std::runtime_error(fmt::format("expected {} entries below {}, walked over {}: it "
                                                 "does not list the same twice",
                                                 operations_, root_, seen_));
    }

private:
    static constexpr std::size_t depth_limit = 64;
    static constexpr std::size_t buffer_size = 32768;

    void walk(int fd, std::size_t depth)
    {
        if (fd < 0 || depth == depth_limit)
            throw_errno("cannot walk into a directory below " + root_);
        char *const buffer = buffers_.data() + depth * buffer_size;
        for (;;) {
            const long got = ::syscall(SYS_getdents64, fd, buffer, buffer_size);
            if (got == 0)
                break;
            if (got < 0)
                throw_errno("cannot list a directory below " + root_);
            for (long at = 0; at < got;)
                at += visit(fd, reinterpret_cast<const DirectoryRecord *>(buffer + at), depth);
        }
        ::close(fd);
    }

    long visit(int fd, const DirectoryRecord *entry, std::size_t depth)
    {
        const char *const name = entry->name;
        if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0)))
            return entry->length;
        struct stat st;
        if (::fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            throw_errno(std::string("cannot stat ") + name);
        ++seen_;
        if (S_ISDIR(st.st_mode))
            walk(::openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), depth + 1);
        return entry->length;
    }

    std::string root_;
    Buffer buffers_;
    std::uint64_t seen_ = 0;
};

std::vector<SelectedFile> names_in(const std::string &directory)
{
    std::vector<SelectedFile> names;
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(::opendir(directory.c_str()), ::closedir);
    if (!dir)
        throw_errno("cannot list " + directory);
    while (const dirent *entry = ::readdir(dir.get()))
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
            names.push_back({entry->d_name, 0, false});
    return names;
}

// Names in one directory, in random order, each looked up once.
std::vector<SelectedFile> some_names_in(const std::string &directory, std::size_t cap, std::uint64_t seed)
{
    std::vector<SelectedFile> names = names_in(directory);
    std::sort(names.begin(), names.end(),
              [](const SelectedFile &a, const SelectedFile &b) { return a.path < b.path; });
    std::vector<SelectedFile> chosen;
    for (const std::uint32_t index : permutation(names.size(), seed))
        if (cap == 0 || chosen.size() < cap)
            chosen.push_back(names[index]);
    return chosen;
}

class Lookup : public OnPaths {
public:
    Lookup(std::string directory, std::size_t cap, std::uint64_t seed)
        : OnPaths(some_names_in(directory, cap, seed)), directory_(std::move(directory))
    {
    }

    void before() override { fd_ = open_file(directory_, O_RDONLY | O_DIRECTORY); }
    void after() override { fd_.reset(); }

    void pass() override
    {
        struct stat st;
        for (const char *name : paths_)
            if (::fstatat(fd_.get(), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                throw_errno(std::string("cannot stat ") + name);
    }

private:
    std::string directory_;
    UniqueFd fd_;
};

class Mount : public Operation {
public:
    explicit Mount(std::string target) : target_(std::move(target))
    {
        operations_ = 1;
        units_ = 1;
    }

    void before() override { mount_ = unmount(target_); }
    void pass() override { mount_filesystem(mount_.type, mount_.source, mount_.options, target_); }

private:
    std::string target_;
    MountInfo mount_;
};

std::vector<SelectedFile> regular_files(std::vector<SelectedFile> files)
{
    std::erase_if(files, [](const SelectedFile &file) { return !file.regular; });
    return files;
}

} // namespace

std::unique_ptr<Operation> make_open_mmap_touch_close(const OperationRequest &request)
{
    return std::make_unique<OpenMmapTouchClose>(
        regular_files(select_files(request.target, request.workload)));
}

std::unique_ptr<Operation> make_open_close(const OperationRequest &request)
{
    return std::make_unique<OpenClose>(regular_files(select_files(request.target, request.workload)));
}

std::unique_ptr<Operation> make_stat(const OperationRequest &request)
{
    return std::make_unique<Stat>(select_files(request.target, request.workload));
}

std::unique_ptr<Operation> make_walk(const OperationRequest &request)
{
    return std::make_unique<Walk>(request.target);
}

std::unique_ptr<Operation> make_lookup(const OperationRequest &request)
{
    return std::make_unique<Lookup>(request.target + "/" + request.workload.at("file").get<std::string>(),
                                    request.cap(), request.seed);
}

std::unique_ptr<Operation> make_mount(const OperationRequest &request)
{
    return std::make_unique<Mount>(request.target);
}

} // namespace daxbench
