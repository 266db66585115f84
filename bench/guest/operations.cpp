// SPDX-License-Identifier: Apache-2.0
#include "operations.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <stdexcept>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io.hpp"
#include "mounts.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

constexpr std::size_t page_size = 4096;
constexpr std::size_t huge_size = std::size_t{2} << 20;
constexpr double mebibyte = 1 << 20;

// splitmix64 (Steele, Lea, Flood 2014).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next()
    {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    std::uint64_t below(std::uint64_t limit) { return next() % limit; }

private:
    std::uint64_t state_;
};

// Memory of our own, page-aligned and already there, so that no fault of it is counted.
class Buffer {
public:
    explicit Buffer(std::size_t size) : size_(size)
    {
        void *map =
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (map == MAP_FAILED)
            throw_errno(fmt::format("cannot get a buffer of {} bytes", size));
        data_ = static_cast<char *>(map);
        std::memset(data_, 1, size);
    }
    ~Buffer() { ::munmap(data_, size_); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    char *data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    char *data_ = nullptr;
    std::size_t size_ = 0;
};

// Names that end in NUL, in one piece of memory.
class PathList {
public:
    explicit PathList(const std::vector<SelectedFile> &files)
    {
        std::vector<std::size_t> starts;
        for (const SelectedFile &file : files) {
            starts.push_back(text_.size());
            text_ += file.path;
            text_ += '\0';
        }
        for (const std::size_t start : starts)
            paths_.push_back(text_.c_str() + start);
    }
    PathList(const PathList &) = delete;
    PathList &operator=(const PathList &) = delete;

    std::size_t size() const { return paths_.size(); }
    auto begin() const { return paths_.begin(); }
    auto end() const { return paths_.end(); }

private:
    std::string text_;
    std::vector<const char *> paths_;
};

void read_whole_file(const std::string &path)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    Buffer buffer(1 << 17);
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0)
            throw_errno("cannot read " + path);
        if (got == 0)
            return;
    }
}

// The lean heart of every mapping benchmark.
inline void touch_pages(const volatile char *base, std::size_t pages)
{
    const volatile char *const end = base + pages * page_size;
    for (; base != end; base += page_size)
        (void)*base;
}

// ---- read ----

class ReadFile : public Operation {
public:
    ReadFile(SelectedFile file, std::size_t block)
        : file_(std::move(file)), buffer_(std::max(block, page_size)), block_(block)
    {
    }

    void warm_up() override { read_whole_file(file_.path); }
    void before() override { fd_ = open_file(file_.path, O_RDONLY); }
    void after() override { fd_.reset(); }

protected:
    SelectedFile file_;
    Buffer buffer_;
    std::size_t block_;
    UniqueFd fd_;
};

class ReadRandom : public ReadFile {
public:
    ReadRandom(const SelectedFile &file, std::size_t block, std::size_t cap, std::uint64_t seed)
        : ReadFile(file, block)
    {
        const std::size_t blocks = file.size / block;
        if (blocks == 0)
            throw std::runtime_error(fmt::format("wanted a file of {} bytes or more, the largest "
                                                 "is {} with {}",
                                                 block, file.path, file.size));
        for (const std::uint32_t index : permutation(blocks, seed))
            offsets_.push_back(static_cast<off_t>(index) * static_cast<off_t>(block));
        if (cap && offsets_.size() > cap)
            offsets_.resize(cap);
        operations_ = offsets_.size();
        units_ = static_cast<double>(operations_);
    }

    void pass() override
    {
        const int fd = fd_.get();
        char *const buffer = buffer_.data();
        for (const off_t offset : offsets_)
            if (::pread(fd, buffer, block_, offset) != static_cast<ssize_t>(block_))
                throw_errno("cannot read a block of " + file_.path);
    }

private:
    std::vector<off_t> offsets_;
};

class ReadSequential : public ReadFile {
public:
    ReadSequential(const SelectedFile &file, std::size_t block, std::size_t cap)
        : ReadFile(file, block), bytes_(file.size)
    {
        if (cap)
            bytes_ = std::min<std::uint64_t>(bytes_, cap * block);
        operations_ = (bytes_ + block - 1) / block;
        units_ = static_cast<double>(bytes_) / mebibyte;
    }

    void pass() override
    {
        const int fd = fd_.get();
        for (std::uint64_t done = 0; done < bytes_;) {
            const ssize_t got = ::read(fd, buffer_.data(), block_);
            if (got <= 0)
                throw_errno("cannot read on in " + file_.path);
            done += static_cast<std::uint64_t>(got);
        }
    }

private:
    std::uint64_t bytes_;
};

// ---- mmap-touch ----

class Touch : public Operation {
public:
    Touch(SelectedFile file, int flags, std::size_t cap)
        : file_(std::move(file)), flags_(flags), pages_((file_.size + page_size - 1) / page_size)
    {
        operations_ = cap ? std::min(pages_, cap) : pages_;
        units_ = static_cast<double>(operations_);
    }

    void warm_up() override { read_whole_file(file_.path); }

    // At an address that is a multiple of 2 MiB, so that every file system may use 2 MiB pages and
    // the number of page tables is the same in every run.
    void before() override
    {
        const UniqueFd fd = open_file(file_.path, O_RDONLY);
        reserved_bytes_ = pages_ * page_size + huge_size;
        reserved_ =
            ::mmap(nullptr, reserved_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (reserved_ == MAP_FAILED)
            throw_errno("cannot reserve addresses for " + file_.path);
        const auto address = reinterpret_cast<std::uintptr_t>(reserved_);
        const std::size_t skip = (huge_size - address % huge_size) % huge_size;
        void *const aligned = static_cast<char *>(reserved_) + skip;
        void *const map = ::mmap(aligned, file_.size, protection_, flags_ | MAP_FIXED, fd.get(), 0);
        if (map == MAP_FAILED)
            throw_errno("cannot map " + file_.path);
        base_ = static_cast<const char *>(map);
    }

    void after() override { ::munmap(reserved_, reserved_bytes_); }

    void pass() override { touch_pages(base_, operations_); }

protected:
    SelectedFile file_;
    int flags_;
    std::size_t pages_;
    int protection_ = PROT_READ;
    const volatile char *base_ = nullptr;

private:
    void *reserved_ = nullptr;
    std::size_t reserved_bytes_ = 0;
};

class TouchInOrder : public Touch {
public:
    TouchInOrder(const SelectedFile &file, int flags, std::vector<std::uint32_t> order)
        : Touch(file, flags, order.size()), order_(std::move(order))
    {
    }

    void pass() override
    {
        for (const std::uint32_t page : order_)
            (void)base_[std::size_t{page} * page_size];
    }

private:
    std::vector<std::uint32_t> order_;
};

/// Takes away a mapping all of whose pages were touched.
class Unmap : public Touch {
public:
    explicit Unmap(const SelectedFile &file, int flags) : Touch(file, flags, 0) {}

    void before() override
    {
        Touch::before();
        touch_pages(base_, pages_);
    }

    void pass() override
    {
        if (::munmap(const_cast<char *>(base_), pages_ * page_size) != 0)
            throw_errno("cannot unmap " + file_.path);
    }
};

/// A child that ends at once, of a process that has touched all of a mapping; a private one has been
/// written to in one place, as a program's data are, so that the child gets a copy of its page tables.
class Fork : public Touch {
public:
    explicit Fork(const SelectedFile &file, int flags) : Touch(file, flags, 0)
    {
        operations_ = 1;
        units_ = 1;
        if (flags & MAP_PRIVATE)
            protection_ |= PROT_WRITE;
    }

    void before() override
    {
        Touch::before();
        touch_pages(base_, pages_);
        if (protection_ & PROT_WRITE)
            *const_cast<volatile char *>(base_) = 'w';
    }

    void pass() override
    {
        const pid_t child = ::fork();
        if (child == 0)
            ::_exit(0);
        int status = -1;
        if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0)
            throw_errno("cannot fork");
    }
};

// ---- paths ----

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
        for (const char *path : paths_) {
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
    }

private:
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

// ---- walk ----

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
            throw std::runtime_error(fmt::format("wanted {} entries below {}, walked over {}: it "
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

// ---- lookup ----

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

// ---- mount ----

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

// Any page, each once.
std::vector<std::uint32_t> random_pages(const SelectedFile &file, std::size_t cap, std::uint64_t seed)
{
    auto order = permutation((file.size + page_size - 1) / page_size, seed);
    if (cap && order.size() > cap)
        order.resize(cap);
    return order;
}

// One page of each 2 MiB, which is what a page table covers.
std::vector<std::uint32_t> sparse_pages(const SelectedFile &file, std::uint64_t seed)
{
    constexpr std::size_t pages_each = huge_size / page_size;
    if (file.size < huge_size)
        throw std::runtime_error("wanted a file of 2 MiB or more, got " + file.path);
    Random random(seed);
    auto order = permutation(file.size / huge_size, seed);
    for (std::uint32_t &page : order)
        page = static_cast<std::uint32_t>(page * pages_each + random.below(pages_each));
    return order;
}

int mapping_flags(const std::string &variant)
{
    if (variant != "shared" && variant != "private")
        throw std::runtime_error(fmt::format("wanted the variant shared or private, got '{}'", variant));
    return variant == "shared" ? MAP_SHARED : MAP_PRIVATE;
}

std::unique_ptr<Operation> make_touch(const SelectedFile &file, const std::string &variant,
                                      const std::string &pattern, std::size_t cap, std::uint64_t seed)
{
    const int flags = mapping_flags(variant);
    if (pattern == "random")
        return std::make_unique<TouchInOrder>(file, flags, random_pages(file, cap, seed));
    if (pattern == "sparse")
        return std::make_unique<TouchInOrder>(file, flags, sparse_pages(file, seed));
    return std::make_unique<Touch>(file, flags, cap);
}

std::vector<SelectedFile> regular_files(std::vector<SelectedFile> files)
{
    std::erase_if(files, [](const SelectedFile &file) { return !file.regular; });
    return files;
}

} // namespace

Cache parse_cache(const std::string &text)
{
    if (text == "warm")
        return Cache::warm;
    if (text == "cold")
        return Cache::cold;
    throw std::runtime_error(fmt::format("wanted the cache warm or cold, got '{}'", text));
}

std::vector<std::uint32_t> permutation(std::size_t count, std::uint64_t seed)
{
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    Random random(seed);
    for (std::size_t i = count; i > 1; --i)
        std::swap(order[i - 1], order[random.below(i)]);
    return order;
}

std::unique_ptr<Operation> make_operation(const std::string &target, const json &workload,
                                          const std::string &variant, std::uint64_t seed)
{
    const std::string op = workload.at("op");
    const std::string pattern = workload.value("pattern", "sequential");
    const std::size_t cap = workload.value("iterations", std::size_t{0});
    const std::size_t block = workload.value("block", page_size);
    if (op == "walk")
        return std::make_unique<Walk>(target);
    if (op == "mount")
        return std::make_unique<Mount>(target);
    if (op == "lookup")
        return std::make_unique<Lookup>(target + "/" + workload.at("file").get<std::string>(), cap, seed);
    const auto files = select_files(target, workload);
    if (op == "stat")
        return std::make_unique<Stat>(files);
    if (op == "open-close")
        return std::make_unique<OpenClose>(regular_files(files));
    if (op == "open-mmap-touch-close")
        return std::make_unique<OpenMmapTouchClose>(regular_files(files));
    if (op == "munmap")
        return std::make_unique<Unmap>(files[0], mapping_flags(variant));
    if (op == "fork")
        return std::make_unique<Fork>(files[0], mapping_flags(variant));
    if (op == "mmap-touch" || op == "touch")
        return make_touch(files[0], variant, pattern, cap, seed);
    if (op == "read" && pattern == "random")
        return std::make_unique<ReadRandom>(files[0], block, cap, seed);
    if (op == "read")
        return std::make_unique<ReadSequential>(files[0], block, cap);
    throw std::runtime_error(
        fmt::format("wanted the op read, mmap-touch, munmap, fork, open-mmap-touch-close, open-close, stat, "
                    "lookup, walk or mount, got '{}'",
                    op));
}

} // namespace daxbench
