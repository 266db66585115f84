// SPDX-License-Identifier: Apache-2.0
#include "directory_source.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/core.h>

#include "error.hpp"
#include "open_beneath.hpp"
#include "sparse.hpp"

namespace daxfs {

namespace {

class DiskFile : public FileContent {
public:
    DiskFile(UniqueFd fd, const Tree &tree, NodeId node) : fd_(std::move(fd)), tree_(tree), node_(node)
    {
        DiskFile::check_unchanged();
    }

    void read(std::uint64_t offset, std::span<std::byte> to) override
    {
        while (!to.empty()) {
            const ssize_t got = pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                throw system_failure(errno, "cannot read " + tree_.shown_path(node_));
            if (got == 0)
                throw changed();
            offset += static_cast<std::uint64_t>(got);
            to = to.subspan(static_cast<std::size_t>(got));
        }
    }

    // The kernel starts to bring in what it does not have.
    bool read_now(std::uint64_t offset, std::span<std::byte> to) override
    {
        iovec part = {to.data(), to.size()};
        const ssize_t got = preadv2(fd_.get(), &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
        if (got >= 0 || errno == EAGAIN)
            return got == static_cast<ssize_t>(to.size());
        will_read(offset, to.size()); // not every filesystem can tell
        return false;
    }

    void will_read(std::uint64_t offset, std::uint64_t len) override
    {
        posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(len), POSIX_FADV_WILLNEED);
    }

    std::vector<ByteRange> data_ranges() override
    {
        const auto size = static_cast<off_t>(tree_.nodes[node_].size);
        std::vector<ByteRange> ranges;
        for (off_t at = 0; at < size;) {
            const off_t begin = lseek(fd_.get(), at, SEEK_DATA);
            if (begin < 0 && errno == ENXIO)
                break;
            if (begin < 0)
                return {{0, tree_.nodes[node_].size}}; // not every filesystem can tell
            const off_t hole = lseek(fd_.get(), begin, SEEK_HOLE);
            const off_t end = hole < 0 ? size : hole; // in the last block below 2^63 it overflows
            ranges.push_back(
                {static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(std::min(end, size))});
            at = end;
        }
        return ranges;
    }

    void check_unchanged() override
    {
        struct stat st = {};
        if (fstat(fd_.get(), &st) != 0)
            throw system_failure(errno, "cannot stat " + tree_.shown_path(node_));
        const Node &node = tree_.nodes[node_];
        if (!S_ISREG(st.st_mode) || static_cast<std::uint64_t>(st.st_size) != node.size ||
            change_stamp(st) != node.content)
            throw changed();
    }

    int fd() const override { return fd_.get(); }

    std::runtime_error changed() const
    {
        return std::runtime_error(
            fmt::format("{} changed while it was read, it had {} bytes: use a source that is at rest",
                        tree_.shown_path(node_), tree_.nodes[node_].size));
    }

private:
    UniqueFd fd_;
    const Tree &tree_;
    NodeId node_;
};

} // namespace

DirectorySource::DirectorySource(std::string path, PathFilter filter, OnUnreadable unreadable)
    : path_(std::move(path)), filter_(std::move(filter)), unreadable_(std::move(unreadable))
{
    root_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_)
        throw system_failure(errno, fmt::format("cannot read the source directory {}", printable(path_)));
}

std::unique_ptr<Tree> DirectorySource::scan(const Workers &workers)
{
    return scan_directory(root_.get(), filter_, unreadable_, workers);
}

void DirectorySource::add_to(TreeBuilder &builder, const Workers &workers)
{
    merged_ = scan(workers);
    merged_->finish(workers);
    builder.merge(*merged_);
}

std::unique_ptr<FileContent> DirectorySource::open(const Tree &tree, NodeId node) const
{
    const Tree &own = merged_ ? *merged_ : tree;
    const NodeId id = merged_ ? static_cast<NodeId>(tree.nodes[node].content) : node;
    UniqueFd fd(open_beneath(root_.get(), own.path(id), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    if (!fd)
        throw system_failure(errno, "cannot open " + own.shown_path(id));
    return std::make_unique<DiskFile>(std::move(fd), own, id);
}

} // namespace daxfs
