// SPDX-License-Identifier: Apache-2.0
#include "extract.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fmt/core.h>

#include "daxfs_format.h"
#include "error.hpp"
#include "image_walk.hpp"
#include "losses.hpp"
#include "set_attributes.hpp"
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

// One entry could not be written.
struct EntryFailure : std::runtime_error {
    EntryFailure(const std::string &what, int why) : std::runtime_error(what), code(why) {}
    int code;
};

// Is it the entry that the place does not take, and not all that may follow?
bool is_of_one_entry(int code)
{
    constexpr int codes[] = {EACCES,       EPERM,  EEXIST, EISDIR, ENOTDIR, ENOTEMPTY,  ELOOP,
                             ENAMETOOLONG, EINVAL, EILSEQ, EFBIG,  EMLINK,  EOPNOTSUPP, EBUSY};
    return std::find(std::begin(codes), std::end(codes), code) != std::end(codes);
}

class Extraction {
public:
    Extraction(const ImageReader &reader, const std::string &directory,
               const std::function<void(const std::string &)> &warn, const ExtractOptions &options)
        : reader_(reader), options_(options), losses_(warn),
          attributes_(reader, losses_, options.keeps_owners, options.existing != Existing::refuse),
          how_(reader.image().inode_count + 1, How::absent)
    {
        const bool is_new = mkdir(directory.c_str(), 0700) == 0;
        if (!is_new && errno != EEXIST)
            throw system_failure(errno, "cannot make the directory " + printable(directory));
        root_.reset(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!root_)
            throw system_failure(errno, "cannot open the directory " + printable(directory));
        if (options.existing == Existing::refuse && !is_empty(root_.get()))
            throw std::runtime_error(fmt::format(
                "expected an empty directory to extract to, {} is not (--overwrite, --skip-existing and "
                "--keep-newer are for those)",
                printable(directory)));
        how_[DAXFS_ROOT_INO] = adopt(root_.get(), "", is_new);
    }

    // Until all is there, hard links too, directories can be written to and entered; their
    // attributes come with a second walk.
    std::uint64_t run()
    {
        walk([this](Level &level, const std::string &name, std::uint32_t ino) { entry(level, name, ino); },
             [](const Level &) {});
        walk(
            [this](Level &level, const std::string &name, std::uint32_t ino) {
                if (S_ISDIR(reader_.inode(ino).mode) && how_[ino] != How::absent)
                    descend(level, name, ino);
            },
            [this](const Level &done) {
                if (how_[done.attr.node.ino] == How::made)
                    attributes_.of_fd(done.fd.get(), done.attr, done.path);
            });
        losses_.end();
        return losses_.count();
    }

private:
    // A directory of the image in the one that is extracted to: it is made what the image says, or kept.
    enum class How : std::uint8_t { absent, made, kept };

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
            if (options_.selection.has(path_of(level, name), ino, S_ISDIR(reader_.inode(ino).mode)))
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
            throw reader_.error(fmt::format("inode {}: a directory with more than one name", ino), ino);
        seen_[ino] = true;
        Level level;
        level.fd = std::move(fd);
        level.path = path;
        level.attr = reader_.inode(ino);
        if (!S_ISDIR(level.attr.mode))
            throw reader_.error("the root is no directory", ino);
        level.entries = sorted_entries(reader_, level.attr.node);
        return level;
    }

    static UniqueFd open_directory(int dir, const std::string &name)
    {
        return UniqueFd(openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }

    // Opens a directory that was made before.
    void descend(Level &level, const std::string &name, std::uint32_t ino)
    {
        const std::string path = path_of(level, name);
        UniqueFd fd = open_directory(level.fd.get(), name);
        if (!fd)
            throw system_failure(errno, "cannot write /" + printable(path));
        if (levels_.size() > 64)
            level.fd.reset();
        levels_.push_back(enter(std::move(fd), path, ino));
    }

    static std::string path_of(const Level &level, const std::string &name)
    {
        return level.path.empty() ? name : level.path + "/" + name;
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
                throw EntryFailure("cannot write it", errno);
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
        try {
            if (!S_ISDIR(attr.mode)) {
                if (is_free(dir, name, attr))
                    file(dir, name, path, attr);
                return;
            }
            how_[ino] = directory(dir, name, path, attr);
        } catch (const EntryFailure &failure) {
            if (!is_of_one_entry(failure.code))
                throw system_failure(failure.code, "cannot write /" + printable(path));
            losses_.add(path, failure.what(), std::strerror(failure.code));
            return;
        }
        descend(level, name, ino);
    }

    How directory(int dir, const std::string &name, const std::string &path, const daxfs_attr &attr)
    {
        if (mkdirat(dir, name.c_str(), 0700) == 0)
            return How::made;
        if (errno != EEXIST || options_.existing == Existing::refuse)
            throw EntryFailure("cannot make the directory", errno);
        if (const UniqueFd there = open_directory(dir, name))
            return adopt(there.get(), path, false);
        if (errno == EACCES && options_.existing != Existing::skip && let_in(dir, name))
            return directory(dir, name, path, attr);
        if (errno != ENOTDIR && errno != ELOOP)
            throw EntryFailure("cannot enter the directory that is there", errno);
        // Also a symlink to a directory, which may lead anywhere.
        if (options_.existing == Existing::skip || !is_free(dir, name, attr))
            throw EntryFailure("what is there stays, and nothing below is written", ENOTDIR);
        return directory(dir, name, path, attr);
    }

    // A directory that was there, or the one that is extracted to.
    How adopt(int fd, const std::string &path, bool is_new)
    {
        if (options_.existing == Existing::skip && !is_new)
            return How::kept;
        // All below would inherit it, and get a mode by it.
        if (!drop_xattr(fd, "system.posix_acl_default") && path.empty())
            throw system_failure(errno, "cannot remove the default ACL of the directory to extract to");
        if (!drop_xattr(fd, "system.posix_acl_access"))
            losses_.add(path, "cannot set its ACL", std::strerror(errno));
        struct stat st = {};
        if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
            fchmod(fd, (st.st_mode & 07777) | 0700); // where that fails, writing says why
        return How::made;
    }

    // Of a directory that its owner has locked himself out of. Never through a symlink.
    static bool let_in(int dir, const std::string &name)
    {
        struct stat st = {};
        const UniqueFd fd(openat(dir, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        const int why = EACCES;
        const bool done =
            fd && fstat(fd.get(), &st) == 0 && (st.st_mode & 0700) != 0700 &&
            chmod(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), (st.st_mode & 07777) | 0700) == 0;
        errno = why;
        return done;
    }

    // Can the name be made? What is there is removed, or stays: false. To what another name of a file is
    // linked would else be another file.
    bool is_free(int dir, const std::string &name, const daxfs_attr &attr)
    {
        struct stat st = {};
        if (options_.existing == Existing::refuse ||
            fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
            return true; // making it tells whether that is so
        if (options_.existing == Existing::skip)
            return false;
        if (options_.existing == Existing::keep_newer && !S_ISDIR(st.st_mode) &&
            std::pair<std::int64_t, std::int64_t>(st.st_mtim.tv_sec, st.st_mtim.tv_nsec) >
                std::pair<std::int64_t, std::int64_t>(attr.mtime_sec, attr.mtime_nsec))
            return false;
        if (unlinkat(dir, name.c_str(), S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) != 0)
            throw EntryFailure(S_ISDIR(st.st_mode) ? "cannot replace the directory" : "cannot replace it",
                               errno);
        return true;
    }

    // Anything but a directory, whose name is free.
    void file(int dir, const std::string &name, const std::string &path, const daxfs_attr &attr)
    {
        const auto first = first_.find(static_cast<std::uint32_t>(attr.node.ino));
        if (first != first_.end()) {
            std::string last;
            const UniqueFd from = parent_beneath(first->second, last);
            if (linkat(from.get(), last.c_str(), dir, name.c_str(), 0) != 0)
                throw EntryFailure("cannot link it to /" + printable(first->second), errno);
            return;
        }
        if (S_ISREG(attr.mode))
            regular(dir, name, path, attr);
        else if (!special(dir, name, path, attr))
            return;
        if (attr.nlink > 1)
            first_.emplace(attr.node.ino, path);
    }

    void regular(int dir, const std::string &name, const std::string &path, const daxfs_attr &attr)
    {
        const UniqueFd fd(
            openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd)
            throw EntryFailure("cannot write it", errno);
        try {
            content(fd.get(), attr);
        } catch (...) {
            unlinkat(dir, name.c_str(), 0); // half of it is none
            throw;
        }
        attributes_.of_fd(fd.get(), attr, path);
    }

    void content(int fd, const daxfs_attr &attr) const
    {
        std::uint64_t at = 0;
        reader_.for_each_piece(attr.node, [&](std::span<const std::uint8_t> data, std::uint64_t len) {
            for (std::size_t done = 0; done < data.size();) {
                const ssize_t put =
                    pwrite(fd, data.data() + done, data.size() - done, static_cast<off_t>(at + done));
                if (put < 0 && errno != EINTR)
                    throw EntryFailure("cannot write it", errno);
                done += static_cast<std::size_t>(std::max<ssize_t>(put, 0));
            }
            at += len;
        });
        if (ftruncate(fd, static_cast<off_t>(attr.node.size)) != 0)
            throw EntryFailure("cannot write it", errno);
    }

    // False when there is no such file now.
    bool special(int dir, const std::string &name, const std::string &path, const daxfs_attr &attr)
    {
        if (S_ISLNK(attr.mode)) {
            if (symlinkat(reader_.target(attr.node).c_str(), dir, name.c_str()) != 0)
                throw EntryFailure("cannot write it", errno);
        } else if (mknodat(dir, name.c_str(), static_cast<mode_t>(attr.mode & S_IFMT) | 0600,
                           makedev(attr.rdev_major, attr.rdev_minor)) != 0) {
            losses_.add(path, "cannot set it up as a special file", std::strerror(errno));
            return false;
        }
        attributes_.of_name(dir, name, attr, path);
        return true;
    }

    const ImageReader &reader_;
    const ExtractOptions &options_;
    Losses losses_;
    SetAttributes attributes_;
    UniqueFd root_;
    std::vector<Level> levels_;
    std::vector<bool> seen_; // directories
    std::vector<How> how_;   // by inode number, of directories
    std::unordered_map<std::uint32_t, std::string> first_;
};

} // namespace

std::uint64_t extract_image(const ImageReader &reader, const std::string &directory,
                            const std::function<void(const std::string &)> &warn,
                            const ExtractOptions &options)
{
    return Extraction(reader, directory, warn, options).run();
}

} // namespace daxfs
