// SPDX-License-Identifier: Apache-2.0
// Requests of the kernel, answered. A node's number is the inode's, so nothing is remembered of what the
// kernel knows, and to be told that it forgets means nothing.
#include "operations.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <endian.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

namespace daxfs {

namespace {

static_assert(DAXFS_ROOT_INO == FUSE_ROOT_ID);

constexpr double for_good = 86400; // seconds: an image does not change

Session &session_of(fuse_req_t req)
{
    return *static_cast<Session *>(fuse_req_userdata(req));
}

ImageFiles &files_of(fuse_req_t req)
{
    return session_of(req).files;
}

struct stat stat_of(const daxfs_attr &attr)
{
    struct stat st = {};
    st.st_ino = attr.node.ino;
    st.st_mode = attr.mode;
    st.st_nlink = attr.nlink;
    st.st_uid = attr.uid;
    st.st_gid = attr.gid;
    st.st_rdev = makedev(attr.rdev_major, attr.rdev_minor);
    st.st_size = static_cast<off_t>(attr.node.size);
    st.st_blksize = DAXFS_BLOCK_SIZE;
    st.st_blocks = static_cast<blkcnt_t>(attr.blocks * (DAXFS_BLOCK_SIZE / 512));
    st.st_mtim = {attr.mtime_sec, attr.mtime_nsec};
    st.st_ctim = st.st_mtim;
    st.st_atim = st.st_mtim;
    return st;
}

fuse_entry_param entry_of(const ImageFiles &files, const daxfs_attr &attr)
{
    fuse_entry_param entry = {};
    entry.ino = attr.node.ino;
    entry.generation = files.generation();
    entry.attr = stat_of(attr);
    entry.attr_timeout = for_good;
    entry.entry_timeout = for_good;
    return entry;
}

// A file handle of NFS may name any number.
int find_by_number(const ImageFiles &files, fuse_ino_t ino, bool parent, daxfs_attr &attr)
{
    if (ino == 0 || ino > files.image().inode_count)
        return -ESTALE;
    const int result = files.attributes(ino, attr);
    return result != 0 || !parent ? result : files.attributes(attr.parent, attr);
}

void on_init(void *data, fuse_conn_info *connection)
{
    const auto want = [&](unsigned flag) { connection->want |= connection->capable & flag; };
    want(FUSE_CAP_EXPORT_SUPPORT);
    want(FUSE_CAP_CACHE_SYMLINKS);
    if (static_cast<Session *>(data)->checks_access)
        want(FUSE_CAP_POSIX_ACL);
}

void on_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
    ImageFiles &files = files_of(req);
    const std::string_view wanted = name;
    daxfs_attr attr = {};
    const int result = wanted == "." || wanted == ".." ? find_by_number(files, dir, wanted == "..", attr)
                                                       : files.child(dir, wanted, attr);
    fuse_entry_param entry = {};
    entry.entry_timeout = for_good; // that there is none holds, too
    if (result == 0)
        entry = entry_of(files, attr);
    if (result == 0 || result == -ENOENT)
        fuse_reply_entry(req, &entry);
    else
        fuse_reply_err(req, -result);
}

void on_getattr(fuse_req_t req, fuse_ino_t ino, fuse_file_info *)
{
    daxfs_attr attr = {};
    const int result = files_of(req).attributes(ino, attr);
    if (result != 0) {
        fuse_reply_err(req, -result);
        return;
    }
    const struct stat st = stat_of(attr);
    fuse_reply_attr(req, &st, for_good);
}

void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
    std::string target;
    const int result = files_of(req).target(ino, target);
    if (result == 0)
        fuse_reply_readlink(req, target.c_str());
    else
        fuse_reply_err(req, -result);
}

void on_open(fuse_req_t req, fuse_ino_t, fuse_file_info *file)
{
    file->keep_cache = 1;
    fuse_reply_open(req, file);
}

void on_read(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t off, fuse_file_info *)
{
    std::string bytes;
    const int result = files_of(req).read(ino, static_cast<std::uint64_t>(off), size, bytes);
    if (result == 0)
        fuse_reply_buf(req, bytes.data(), bytes.size());
    else
        fuse_reply_err(req, -result);
}

void on_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, fuse_file_info *)
{
    std::uint64_t found = 0;
    int result = -EINVAL;
    if (whence == SEEK_DATA || whence == SEEK_HOLE)
        result = files_of(req).seek(ino, static_cast<std::uint64_t>(off), whence == SEEK_HOLE, found);
    if (result == 0)
        fuse_reply_lseek(req, static_cast<off_t>(found));
    else
        fuse_reply_err(req, -result);
}

// One answer to readdir: entries until it is full. A position is an index behind "." and "..", as in the
// module.
class Listing {
public:
    Listing(fuse_req_t req, fuse_ino_t dir, std::size_t size, bool with_attributes)
        : req_(req), files_(files_of(req)), dir_(dir), bytes_(size, '\0'), with_attributes_(with_attributes)
    {
    }

    // Entries before a bad one are given; the next call is told of it.
    void answer(off_t off)
    {
        const int result = fill(off);
        if (result < 0 && used_ == 0)
            fuse_reply_err(req_, -result);
        else
            fuse_reply_buf(req_, bytes_.data(), used_);
    }

private:
    int fill(off_t off)
    {
        daxfs_attr attr = {};
        if (off < 0)
            return -EINVAL;
        if (const int result = files_.attributes(dir_, attr); result != 0)
            return result;
        for (; off < 2; ++off) {
            fuse_entry_param entry = {};
            entry.attr.st_ino = off == 0 ? dir_ : attr.parent;
            entry.attr.st_mode = S_IFDIR;
            if (!add(off == 0 ? "." : "..", entry, off + 1))
                return 0;
        }
        for (;;) {
            daxfs_dir_batch batch;
            const auto index = static_cast<std::uint64_t>(off - 2);
            if (index >= attr.node.count)
                return 0;
            if (const int result = files_.entries(dir_, static_cast<std::uint32_t>(index), batch);
                result != 0)
                return result;
            if (!add(batch, off))
                return 0;
        }
    }

    bool add(const daxfs_dir_batch &batch, off_t &off)
    {
        const char *name = reinterpret_cast<const char *>(batch.names);
        for (std::uint32_t i = 0; i < batch.count; ++i, ++off) {
            const daxfs_dirent &raw = batch.raw[i];
            fuse_entry_param entry = {};
            daxfs_attr attr = {};
            // What cannot be had has its name at least, as in the module; a look at it gives the error.
            if (with_attributes_ &&
                files_.child(dir_, static_cast<std::uint32_t>(off - 2), le32toh(raw.ino), attr) == 0)
                entry = entry_of(files_, attr);
            entry.attr.st_ino = le32toh(raw.ino);
            if (entry.ino == 0)
                entry.attr.st_mode = static_cast<mode_t>(raw.type) << 12;
            if (!add(std::string(name, raw.name_len), entry, off + 1))
                return false;
            name += raw.name_len;
        }
        return true;
    }

    bool add(const std::string &name, const fuse_entry_param &entry, off_t next)
    {
        char *const to = bytes_.data() + used_;
        const std::size_t left = bytes_.size() - used_;
        const std::size_t size = with_attributes_
                                     ? fuse_add_direntry_plus(req_, to, left, name.c_str(), &entry, next)
                                     : fuse_add_direntry(req_, to, left, name.c_str(), &entry.attr, next);
        if (size > left)
            return false;
        used_ += size;
        return true;
    }

    fuse_req_t req_;
    ImageFiles &files_;
    fuse_ino_t dir_;
    std::string bytes_;
    std::size_t used_ = 0;
    bool with_attributes_;
};

void on_readdir(fuse_req_t req, fuse_ino_t dir, std::size_t size, off_t off, fuse_file_info *)
{
    Listing(req, dir, size, false).answer(off);
}

void on_readdirplus(fuse_req_t req, fuse_ino_t dir, std::size_t size, off_t off, fuse_file_info *)
{
    Listing(req, dir, size, true).answer(off);
}

void on_statfs(fuse_req_t req, fuse_ino_t)
{
    const daxfs_image &image = files_of(req).image();
    struct statvfs st = {};
    st.f_bsize = DAXFS_BLOCK_SIZE;
    st.f_frsize = DAXFS_BLOCK_SIZE;
    st.f_blocks = image.size / DAXFS_BLOCK_SIZE;
    st.f_files = image.inode_count;
    st.f_namemax = DAXFS_NAME_MAX;
    fuse_reply_statfs(req, &st);
}

// Size 0 asks how large the value is.
void reply_value(fuse_req_t req, int result, const std::string &value, std::size_t size)
{
    if (result != 0)
        fuse_reply_err(req, -result);
    else if (size == 0)
        fuse_reply_xattr(req, value.size());
    else if (value.size() > size)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, value.data(), value.size());
}

void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, std::size_t size)
{
    std::string value;
    const int result = files_of(req).xattr(ino, name, value);
    reply_value(req, result, value, size);
}

// Who may see trusted attributes is not told; root may.
void on_listxattr(fuse_req_t req, fuse_ino_t ino, std::size_t size)
{
    std::string names;
    const int result = files_of(req).xattr_names(ino, fuse_req_ctx(req)->uid == 0, names);
    reply_value(req, result, names, size);
}

void on_forget(fuse_req_t req, fuse_ino_t, std::uint64_t)
{
    fuse_reply_none(req);
}

// C++ lets no exception pass through C.
template <auto Operation> struct Guard;

template <typename... Args, void (*Operation)(fuse_req_t, Args...)> struct Guard<Operation> {
    static void run(fuse_req_t req, Args... args)
    {
        try {
            Operation(req, args...);
        } catch (const std::bad_alloc &) {
            fuse_reply_err(req, ENOMEM);
        }
    }
};

template <auto Operation> constexpr auto safe = &Guard<Operation>::run;

constexpr fuse_lowlevel_ops all_operations()
{
    fuse_lowlevel_ops ops = {};
    ops.init = on_init;
    ops.lookup = safe<on_lookup>;
    ops.forget = on_forget;
    ops.getattr = safe<on_getattr>;
    ops.readlink = safe<on_readlink>;
    ops.open = on_open;
    ops.read = safe<on_read>;
    ops.readdir = safe<on_readdir>;
    ops.readdirplus = safe<on_readdirplus>;
    ops.statfs = on_statfs;
    ops.getxattr = safe<on_getxattr>;
    ops.listxattr = safe<on_listxattr>;
    ops.lseek = safe<on_lseek>;
    return ops;
}

} // namespace

constinit const fuse_lowlevel_ops operations = all_operations();

} // namespace daxfs
