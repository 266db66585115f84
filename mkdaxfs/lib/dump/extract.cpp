// SPDX-License-Identifier: Apache-2.0
#include "extract.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>

#include "daxfs_format.h"
#include "error.hpp"
#include "image_walk.hpp"
#include "unique_fd.hpp"

namespace daxfs {

namespace {

bool is_empty(int dir)
{
    const std::unique_ptr<DIR, int (*)(DIR *)> stream(fdopendir(dup(dir)), closedir);
    if (!stream)
        throw system_failure(errno, "cannot read the directory to extract to");
    while (const dirent *entry = readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..")
            return false;
    }
    return true;
}

bool drop_xattr(int fd, const char *name)
{
    return fgetxattr(fd, name, nullptr, 0) < 0 || fremovexattr(fd, name) == 0;
}

class Extraction {
public:
    Extraction(const ImageReader &reader, const std::string &directory,
               const std::function<void(const std::string &)> &warn)
        : reader_(reader), warn_(warn)
    {
        if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
            throw system_failure(errno, "cannot make the directory " + printable(directory));
        root_.reset(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!root_)
            throw system_failure(errno, "cannot open the directory " + printable(directory));
        if (!is_empty(root_.get()))
            throw std::runtime_error(
                fmt::format("expected an empty directory to extract to, {} is not", printable(directory)));
        // All below would inherit it, and get a mode by it.
        if (!drop_xattr(root_.get(), "system.posix_acl_default"))
            throw system_failure(errno, "cannot remove the default ACL of " + printable(directory));
        if (!drop_xattr(root_.get(), "system.posix_acl_access"))
            this->warn("", "its ACL");
    }

    // Until all is there, hard links too, directories can be written to and entered; their
    // attributes come with a second walk.
    std::uint64_t run()
    {
        walk([this](Level &level, const std::string &name, std::uint32_t ino) { entry(level, name, ino); },
             [](const Level &) {});
        walk(
            [this](Level &level, const std::string &name, std::uint32_t ino) {
                if (S_ISDIR(reader_.inode(ino).mode))
                    descend(level, name, ino);
            },
            [this](const Level &done) { attributes_of_fd(done.fd.get(), done.attr, done.path); });
        return warnings_;
    }

private:
    struct Level {
        UniqueFd fd;
        std::string path;
        daxfs_attr attr = {};
        std::vector<std::pair<std::string, std::uint32_t>> entries;
        std::size_t next = 0;
    };

    // One open directory a level, closed on the way up.
    template <typename OnEntry, typename OnLeave> void walk(const OnEntry &on_entry, const OnLeave &on_leave)
    {
        seen_.assign(reader_.image().inode_count + 1, false);
        levels_.push_back(enter(UniqueFd(dup(root_.get())), "", DAXFS_ROOT_INO));
        while (!levels_.empty()) {
            Level &level = levels_.back();
            if (level.next == level.entries.size()) {
                on_leave(leave());
                continue;
            }
            const auto [name, ino] = level.entries[level.next++];
            on_entry(level, name, ino);
        }
    }

    Level leave()
    {
        Level done = std::move(levels_.back());
        levels_.pop_back();
        // A deep tree holds few descriptors: those above were closed on the way down.
        if (!levels_.empty() && !levels_.back().fd) {
            UniqueFd above(openat(done.fd.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            if (!above)
                throw system_failure(errno, "cannot open the directory above /" + printable(done.path));
            levels_.back().fd = std::move(above);
        }
        return done;
    }

    Level enter(UniqueFd fd, const std::string &path, std::uint32_t ino)
    {
        if (seen_[ino])
            throw ImageError(fmt::format("inode {}: a directory with more than one name", ino));
        seen_[ino] = true;
        Level level;
        level.fd = std::move(fd);
        level.path = path;
        level.attr = reader_.inode(ino);
        if (!S_ISDIR(level.attr.mode))
            throw ImageError("the root is no directory");
        level.entries = sorted_entries(reader_, level.attr.node);
        return level;
    }

    // Opens a directory that was made before.
    void descend(Level &level, const std::string &name, std::uint32_t ino)
    {
        const std::string path = path_of(level, name);
        UniqueFd fd(openat(level.fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd)
            throw failure(path);
        if (levels_.size() > 64)
            level.fd.reset();
        levels_.push_back(enter(std::move(fd), path, ino));
    }

    static std::string path_of(const Level &level, const std::string &name)
    {
        return level.path.empty() ? name : level.path + "/" + name;
    }

    void warn(const std::string &path, const char *what, const char *why)
    {
        ++warnings_;
        warn_(fmt::format("/{}: cannot set {}: {}", printable(path), what, why));
    }

    void warn(const std::string &path, const char *what) { warn(path, what, std::strerror(errno)); }

    std::runtime_error failure(const std::string &path) const
    {
        return system_failure(errno, "cannot write /" + printable(path));
    }

    // Where the first name of a hard-linked inode is: the descriptor may be closed by now,
    // so it is reached from the root, name by name, without following symlinks.
    UniqueFd parent_beneath(const std::string &path, std::string &last) const
    {
        UniqueFd dir(dup(root_.get()));
        std::string_view rest = path;
        for (std::size_t cut = rest.find('/'); cut != rest.npos; cut = rest.find('/')) {
            const std::string part(rest.substr(0, cut));
            dir.reset(openat(dir.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (!dir)
                throw failure(path);
            rest.remove_prefix(cut + 1);
        }
        last = rest;
        return dir;
    }

    void entry(Level &level, const std::string &name, std::uint32_t ino)
    {
        const daxfs_attr attr = reader_.inode(ino);
        const std::string path = path_of(level, name);
        const int dir = level.fd.get();
        if (S_ISDIR(attr.mode)) {
            if (mkdirat(dir, name.c_str(), 0700) != 0)
                throw failure(path);
            descend(level, name, ino);
            return;
        }
        if (attr.nlink > 1) {
            const auto [known, added] = first_.try_emplace(ino, path);
            if (!added) {
                std::string last;
                const UniqueFd from = parent_beneath(known->second, last);
                if (linkat(from.get(), last.c_str(), dir, name.c_str(), 0) != 0)
                    throw failure(path);
                return;
            }
        }
        if (S_ISREG(attr.mode))
            regular(dir, name, path, attr);
        else if (!special(dir, name, path, attr))
            first_.erase(ino);
    }

    void regular(int dir, const std::string &name, const std::string &path, const daxfs_attr &attr)
    {
        const UniqueFd fd(
            openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd)
            throw failure(path);
        std::uint64_t at = 0;
        reader_.for_each_piece(attr.node, [&](std::span<const std::uint8_t> data, std::uint64_t len) {
            for (std::size_t done = 0; done < data.size();) {
                const ssize_t put =
                    pwrite(fd.get(), data.data() + done, data.size() - done, static_cast<off_t>(at + done));
                if (put < 0 && errno != EINTR)
                    throw failure(path);
                done += static_cast<std::size_t>(std::max<ssize_t>(put, 0));
            }
            at += len;
        });
        if (ftruncate(fd.get(), static_cast<off_t>(attr.node.size)) != 0)
            throw failure(path);
        attributes_of_fd(fd.get(), attr, path);
    }

    // Never through a symlink that someone else has put in its place.
    static bool set_mode(int dir, const std::string &name, mode_t mode)
    {
        const UniqueFd file(openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        return file && chmod(fmt::format("/proc/self/fd/{}", file.get()).c_str(), mode) == 0;
    }

    // False when there is no such file now.
    bool special(int dir, const std::string &name, const std::string &path, const daxfs_attr &attr)
    {
        if (S_ISLNK(attr.mode)) {
            if (symlinkat(reader_.target(attr.node).c_str(), dir, name.c_str()) != 0)
                throw failure(path);
        } else if (mknodat(dir, name.c_str(), static_cast<mode_t>(attr.mode & S_IFMT) | 0600,
                           makedev(attr.rdev_major, attr.rdev_minor)) != 0) {
            warn(path, "it up as a special file");
            return false;
        }
        // No descriptor of it that could be written through: by its name in the directory.
        const bool owned = is_owned(
            attr, path, [&] { return fchownat(dir, name.c_str(), attr.uid, attr.gid, AT_SYMLINK_NOFOLLOW); });
        if (!S_ISLNK(attr.mode) && !set_mode(dir, name, mode_of(attr, owned, path)))
            warn(path, "its mode");
        const std::string proc = fmt::format("/proc/self/fd/{}/{}", dir, name);
        for (const Xattr &xattr : reader_.xattrs(attr.node)) {
            const std::string full = join_xattr_name(xattr.index, xattr.name);
            if (lsetxattr(proc.c_str(), full.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
                warn(path, full.c_str());
        }
        const timespec times[2] = {{0, UTIME_OMIT}, {attr.mtime_sec, attr.mtime_nsec}};
        struct stat now = {};
        if (utimensat(dir, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0 ||
            fstatat(dir, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0)
            warn(path, "its time");
        else
            compare_time(now, attr, path);
        return true;
    }

    // Gives it the owner by chown(2), to which an id of -1 means to leave it. Is it the
    // image's then?
    template <typename Chown>
    bool is_owned(const daxfs_attr &attr, const std::string &path, const Chown &chown)
    {
        constexpr auto nobody = static_cast<uid_t>(-1);
        if (attr.uid == nobody || attr.gid == nobody) {
            warn(path, "its owner", "4294967295 is no id");
            return false;
        }
        if (chown() == 0)
            return true;
        warn(path, "its owner");
        return false;
    }

    // What a filesystem has no room for it changes without a word.
    void compare_time(const struct stat &now, const daxfs_attr &attr, const std::string &path)
    {
        if (now.st_mtim.tv_sec != attr.mtime_sec || now.st_mtim.tv_nsec != attr.mtime_nsec)
            warn(path, "its time", "the filesystem does not hold it");
    }

    // Under another owner a program is not to run as who extracts it.
    mode_t mode_of(const daxfs_attr &attr, bool owned, const std::string &path)
    {
        if (!owned && (attr.mode & (S_ISUID | S_ISGID)) != 0)
            warn(path, "set-user-ID and set-group-ID", "it has another owner");
        return attr.mode & (owned ? 07777 : 01777);
    }

    // The owner before the mode and capabilities, which a change of owner takes away.
    void attributes_of_fd(int fd, const daxfs_attr &attr, const std::string &path)
    {
        const bool owned = is_owned(attr, path, [&] { return fchown(fd, attr.uid, attr.gid); });
        for (const Xattr &xattr : reader_.xattrs(attr.node)) {
            const std::string full = join_xattr_name(xattr.index, xattr.name);
            if (fsetxattr(fd, full.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
                warn(path, full.c_str());
        }
        if (fchmod(fd, mode_of(attr, owned, path)) != 0)
            warn(path, "its mode");
        const timespec times[2] = {{0, UTIME_OMIT}, {attr.mtime_sec, attr.mtime_nsec}};
        struct stat now = {};
        if (futimens(fd, times) != 0 || fstat(fd, &now) != 0)
            warn(path, "its time");
        else
            compare_time(now, attr, path);
    }

    const ImageReader &reader_;
    const std::function<void(const std::string &)> &warn_;
    UniqueFd root_;
    std::vector<Level> levels_;
    std::vector<bool> seen_; // directories
    std::unordered_map<std::uint32_t, std::string> first_;
    std::uint64_t warnings_ = 0;
};

} // namespace

std::uint64_t extract_image(const ImageReader &reader, const std::string &directory,
                            const std::function<void(const std::string &)> &warn)
{
    return Extraction(reader, directory, warn).run();
}

} // namespace daxfs
