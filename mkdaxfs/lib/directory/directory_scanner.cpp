// SPDX-License-Identifier: Apache-2.0
#include "directory_scanner.hpp"

#include <cerrno>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daxfs_format.h"
#include "disk_xattrs.hpp"
#include "error.hpp"
#include "open_beneath.hpp"
#include "start_thread.hpp"
#include "unique_fd.hpp"

namespace daxfs {

namespace {

struct Directory {
    NodeId node = 0;
    std::string path;
};

// What one directory holds, collected before the tree is locked.
struct Found {
    Node node;              // data of a symlink: position in Listing::text
    std::uint64_t name = 0; // position in Listing::text
    std::size_t name_len = 0;
    dev_t dev = 0; // 0 unless it may have other names
    ino_t ino = 0;
    bool is_elsewhere = false; // on another filesystem, which is not wanted
    bool is_own_image = false;
};

struct Listing {
    std::string text;
    std::vector<Found> found;
    std::uint32_t root_xattrs = 0;

    std::string_view part(std::uint64_t at, std::uint64_t len) const
    {
        return std::string_view(text).substr(at, len);
    }
};

std::string join(const std::string &dir, std::string_view name)
{
    std::string path = dir;
    if (!path.empty())
        path += '/';
    return path += name;
}

class Scanner {
public:
    Scanner(int root, const PathFilter &filter, const DirectoryOptions &options, const Workers &workers)
        : root_(root), filter_(filter), options_(options), workers_(workers)
    {
    }

    std::unique_ptr<Tree> run()
    {
        add_root();
        // On threads of its own, since they change their working directories.
        std::exception_ptr failure;
        start_thread([&] {
            try {
                read_all();
            } catch (...) {
                failure = std::current_exception();
            }
        }).join();
        if (failure)
            std::rethrow_exception(failure);
        return std::move(tree_);
    }

private:
    void read_all()
    {
        workers_.run(
            [this](Crew &crew) {
                DiskXattrs xattrs(tree_->xattrs);
                xattrs.own_working_directory();
                while (const auto dir = next())
                    scan(*dir, xattrs, crew);
            },
            [this] { fail(); });
    }

    void add_root()
    {
        struct stat st = {};
        if (fstat(root_, &st) != 0)
            throw system_failure(errno, "cannot stat the source directory");
        dev_ = st.st_dev;
        pending_.push_back({tree_->add_node(to_node(st)), ""});
    }

    // The next directory to read; none once all are. One being read may add others.
    std::optional<Directory> next()
    {
        workers_.check_stop();
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !pending_.empty() || busy_ == 0 || failed_; });
        if (pending_.empty() || failed_)
            return std::nullopt;
        ++busy_;
        Directory dir = std::move(pending_.back());
        pending_.pop_back();
        return dir;
    }

    void scan(const Directory &dir, DiskXattrs &xattrs, Crew &crew)
    {
        Listing listing;
        crew.piece([&] { listing = list_or_skip(dir, xattrs); });
        workers_.add_entries(listing.found.size());
        const std::lock_guard lock(mutex_);
        if (dir.path.empty())
            tree_->nodes[dir.node].xattrs = listing.root_xattrs;
        for (const Found &found : listing.found)
            add(dir, listing, found);
        --busy_;
        changed_.notify_all();
    }

    void fail()
    {
        const std::lock_guard lock(mutex_);
        failed_ = true;
        changed_.notify_all();
    }

    // With someone to tell, a directory that cannot be read is an empty one.
    Listing list_or_skip(const Directory &dir, DiskXattrs &xattrs) const
    {
        if (!options_.unreadable)
            return list(dir, xattrs);
        try {
            return list(dir, xattrs);
        } catch (const Interrupted &) {
            throw;
        } catch (const std::runtime_error &error) {
            options_.unreadable(error.what());
            return {};
        }
    }

    Listing list(const Directory &dir, DiskXattrs &xattrs) const
    {
        const int fd = open_beneath(root_, dir.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        const std::unique_ptr<DIR, int (*)(DIR *)> stream(fd < 0 ? nullptr : fdopendir(fd), closedir);
        if (!stream)
            throw system_failure(errno, "cannot read the directory /" + printable(dir.path));
        xattrs.enter(fd);
        Listing listing;
        const bool has_own_image = may_have_own_image(fd);
        if (dir.path.empty())
            listing.root_xattrs = xattrs.read(fd, ".", "");
        for (;;) {
            errno = 0;
            const dirent *entry = readdir(stream.get());
            if (!entry && errno != 0)
                throw system_failure(errno, "cannot read the directory /" + printable(dir.path));
            if (!entry)
                return listing;
            const std::string_view name = entry->d_name;
            if (name == "." || name == ".." || (!filter_.empty() && filter_.excludes(join(dir.path, name))))
                continue;
            if (has_own_image && name == options_.own_image->name) {
                options_.own_image_left(join(dir.path, name));
                continue;
            }
            look_or_skip(fd, dir.path, entry->d_name, listing, xattrs);
        }
    }

    bool may_have_own_image(int dir) const
    {
        struct stat st = {};
        return options_.own_image && fstat(dir, &st) == 0 && st.st_dev == options_.own_image->dev &&
               st.st_ino == options_.own_image->ino;
    }

    void look_or_skip(int dir, const std::string &dir_path, const char *name, Listing &listing,
                      DiskXattrs &xattrs) const
    {
        try {
            Found found = look(dir, dir_path, name, listing.text, xattrs);
            if (found.is_own_image)
                return options_.own_image_left(join(dir_path, name));
            // access(2) does not ask everyone whom open(2) asks.
            if (options_.unreadable && S_ISREG(found.node.mode) &&
                !UniqueFd(openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)))
                throw system_failure(errno, "cannot open /" + printable(join(dir_path, name)));
            listing.found.push_back(found);
        } catch (const std::runtime_error &error) {
            if (!options_.unreadable)
                throw;
            options_.unreadable(error.what());
        }
    }

    Found look(int dir, const std::string &dir_path, const char *name, std::string &text,
               DiskXattrs &xattrs) const
    {
        struct stat st = {};
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            throw system_failure(errno, "cannot stat /" + printable(join(dir_path, name)));
        Found found;
        found.node = to_node(st);
        found.name = text.size();
        text += name;
        found.name_len = text.size() - found.name;
        if (S_ISLNK(st.st_mode))
            read_target(dir, dir_path, name, found.node, text);
        found.is_elsewhere = options_.one_file_system && st.st_dev != dev_;
        found.is_own_image = options_.own_image && options_.own_image->name.empty() &&
                             st.st_dev == options_.own_image->dev && st.st_ino == options_.own_image->ino;
        if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !options_.hard_dereference) {
            found.dev = st.st_dev;
            found.ino = st.st_ino;
        }
        found.node.xattrs = xattrs.read(dir, name, dir_path);
        return found;
    }

    void read_target(int dir, const std::string &dir_path, const char *name, Node &node,
                     std::string &text) const
    {
        char target[DAXFS_SYMLINK_MAX + 1];
        const ssize_t len = readlinkat(dir, name, target, sizeof(target));
        if (len < 0)
            throw system_failure(errno, "cannot read the link /" + printable(join(dir_path, name)));
        if (len == 0 || len > DAXFS_SYMLINK_MAX)
            throw std::runtime_error("target of /" + printable(join(dir_path, name)) +
                                     " is not 1 to 4095 bytes long, an image holds no other");
        node.data = text.size();
        node.size = static_cast<std::uint64_t>(len);
        text.append(target, node.size);
    }

    // With the lock held.
    void add(const Directory &dir, const Listing &listing, const Found &found)
    {
        const std::string_view name = listing.part(found.name, found.name_len);
        if (found.ino != 0) {
            const auto known = links_.find({found.dev, found.ino});
            if (known != links_.end()) {
                tree_->add_entry(dir.node, name, known->second);
                return;
            }
        }
        Node node = found.node;
        if (S_ISLNK(node.mode))
            node.data = tree_->add_text(listing.part(node.data, node.size));
        const NodeId id = tree_->add_node(node);
        tree_->add_entry(dir.node, name, id);
        if (found.ino != 0)
            links_.emplace(std::pair{found.dev, found.ino}, id);
        if (S_ISDIR(node.mode) && !found.is_elsewhere)
            pending_.push_back({id, join(dir.path, name)});
    }

    int root_;
    dev_t dev_ = 0; // the root's
    const PathFilter &filter_;
    const DirectoryOptions &options_;
    const Workers &workers_;

    std::mutex mutex_; // guards all below
    std::condition_variable changed_;
    std::unique_ptr<Tree> tree_ = std::make_unique<Tree>();
    std::map<std::pair<dev_t, ino_t>, NodeId> links_;
    std::vector<Directory> pending_;
    unsigned busy_ = 0;
    bool failed_ = false;
};

} // namespace

std::uint64_t change_stamp(const struct stat &st)
{
    return static_cast<std::uint64_t>(st.st_ctim.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(st.st_ctim.tv_nsec);
}

Node to_node(const struct stat &st)
{
    Node node;
    node.mode = static_cast<std::uint16_t>(st.st_mode);
    node.uid = st.st_uid;
    node.gid = st.st_gid;
    node.mtime_sec = st.st_mtim.tv_sec;
    node.mtime_nsec = static_cast<std::uint32_t>(st.st_mtim.tv_nsec);
    if (S_ISREG(st.st_mode)) {
        node.size = static_cast<std::uint64_t>(st.st_size);
        node.content = change_stamp(st);
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        node.data = static_cast<std::uint64_t>(major(st.st_rdev)) << 32 | minor(st.st_rdev);
    return node;
}

std::unique_ptr<Tree> scan_directory(int root, const PathFilter &filter, const DirectoryOptions &options,
                                     const Workers &workers)
{
    return Scanner(root, filter, options, workers).run();
}

} // namespace daxfs
