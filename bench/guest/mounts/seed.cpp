// SPDX-License-Identifier: Apache-2.0
#include "seed.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

class TreeCopy {
public:
    TreeCopy(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)), buffer_(1 << 19)
    {
    }

    SeedCount run()
    {
        std::vector<std::string> directories{""};
        for (const SelectedFile &entry : list_tree(from_)) {
            const std::string name = entry.path.substr(from_.size());
            if (copy_entry(name))
                directories.push_back(name);
        }
        // Children first: adding to a directory changes its time.
        for (auto name = directories.rbegin(); name != directories.rend(); ++name)
            copy_metadata(*name, stat_of(*name));
        count_.entries += 1;
        return count_;
    }

private:
    struct stat stat_of(const std::string &name) const
    {
        struct stat st {};
        if (::lstat((from_ + name).c_str(), &st) < 0)
            throw_errno("cannot stat " + from_ + name);
        return st;
    }

    // Returns whether it is a directory, whose metadata comes last.
    bool copy_entry(const std::string &name)
    {
        const struct stat st = stat_of(name);
        count_.entries += 1;
        if (make_link(name, st))
            return false;
        make(name, st);
        if (S_ISDIR(st.st_mode))
            return true;
        copy_metadata(name, st);
        return false;
    }

    bool make_link(const std::string &name, const struct stat &st)
    {
        if (st.st_nlink < 2 || S_ISDIR(st.st_mode))
            return false;
        const auto [first, is_new] = first_name_.emplace(st.st_ino, name);
        if (is_new)
            return false;
        if (::link((to_ + first->second).c_str(), (to_ + name).c_str()) < 0)
            throw_errno("cannot link " + to_ + name);
        return true;
    }

    void make(const std::string &name, const struct stat &st)
    {
        const std::string target = to_ + name;
        int result = 0;
        if (S_ISREG(st.st_mode))
            copy_content(name, st);
        else if (S_ISDIR(st.st_mode))
            result = ::mkdir(target.c_str(), 0700);
        else if (S_ISLNK(st.st_mode))
            result = ::symlink(link_target(name).c_str(), target.c_str());
        else
            result = ::mknod(target.c_str(), st.st_mode, st.st_rdev);
        if (result < 0)
            throw_errno("cannot make " + target);
    }

    std::string link_target(const std::string &name) const
    {
        std::string target(4096, '\0');
        const ssize_t size = ::readlink((from_ + name).c_str(), target.data(), target.size());
        if (size < 0)
            throw_errno("cannot read the link " + from_ + name);
        target.resize(static_cast<std::size_t>(size));
        return target;
    }

    void copy_content(const std::string &name, const struct stat &st)
    {
        const UniqueFd in = open_file(from_ + name, O_RDONLY);
        const UniqueFd out = open_file(to_ + name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (::ftruncate(out.get(), st.st_size) < 0)
            throw_errno("cannot size " + to_ + name);
        off_t at = 0;
        while (at < st.st_size) {
            const off_t data = ::lseek(in.get(), at, SEEK_DATA);
            if (data < 0 && errno == ENXIO)
                return; // only a hole is left
            const off_t start = std::max<off_t>(data, at);
            off_t end = ::lseek(in.get(), start, SEEK_HOLE);
            end = end < 0 ? st.st_size : std::min(end, st.st_size);
            copy_range(in.get(), out.get(), start, end, name);
            at = end;
        }
    }

    void copy_range(int in, int out, off_t start, off_t end, const std::string &name)
    {
        while (start < end) {
            const auto want = std::min(static_cast<std::size_t>(end - start), buffer_.size());
            const ssize_t got = ::pread(in, buffer_.data(), want, start);
            if (got <= 0)
                throw_errno("cannot read " + from_ + name);
            if (::pwrite(out, buffer_.data(), static_cast<std::size_t>(got), start) != got)
                throw_errno("cannot write " + to_ + name + " (is the guest's memory full?)");
            start += got;
            count_.bytes += static_cast<std::uint64_t>(got);
        }
    }

    void copy_xattrs(const std::string &name)
    {
        const std::string source = from_ + name;
        const ssize_t size = ::llistxattr(source.c_str(), names_.data(), names_.size());
        for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(std::strlen(&names_[at])) + 1) {
            const ssize_t length = ::lgetxattr(source.c_str(), &names_[at], value_.data(), value_.size());
            if (length < 0 || ::lsetxattr((to_ + name).c_str(), &names_[at], value_.data(),
                                          static_cast<std::size_t>(length), 0) < 0) {
                // ramfs keeps no xattrs at all; every other refusal is an error.
                if (length >= 0 && errno == EOPNOTSUPP)
                    return;
                throw_errno("cannot copy the xattr " + std::string(&names_[at]) + " to " + to_ + name);
            }
        }
    }

    // The mode after the owner, since chown clears setuid; xattrs after both, since chown clears
    // capabilities; times last.
    void copy_metadata(const std::string &name, const struct stat &st)
    {
        const std::string target = to_ + name;
        if (::lchown(target.c_str(), st.st_uid, st.st_gid) < 0)
            throw_errno("cannot give away " + target);
        if (!S_ISLNK(st.st_mode) && ::chmod(target.c_str(), st.st_mode & 07777) < 0)
            throw_errno("cannot set the mode of " + target);
        copy_xattrs(name);
        const timespec times[2] = {st.st_mtim, st.st_mtim};
        if (::utimensat(AT_FDCWD, target.c_str(), times, AT_SYMLINK_NOFOLLOW) < 0)
            throw_errno("cannot set the time of " + target);
    }

    std::string from_;
    std::string to_;
    std::vector<char> buffer_;
    // Of the size that xattrs have at most (XATTR_LIST_MAX, XATTR_SIZE_MAX), and made once.
    std::vector<char> names_ = std::vector<char>(65536);
    std::vector<char> value_ = std::vector<char>(65536);
    std::map<ino_t, std::string> first_name_;
    SeedCount count_;
};

} // namespace

SeedCount copy_tree(const std::string &from, const std::string &to)
{
    return TreeCopy(from, to).run();
}

} // namespace daxbench
