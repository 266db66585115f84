// SPDX-License-Identifier: Apache-2.0
// Files and directories as system calls show them.
#include <map>
#include <set>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "probe.hpp"

namespace probe {

using daxbench::UniqueFd;

namespace {

std::string read_at(int fd, std::size_t bytes, off_t at)
{
    std::string text(bytes, '\0');
    const ssize_t got = pread(fd, text.data(), bytes, at);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
}

struct statx statx_of(const std::string &path)
{
    struct statx info = {};
    if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &info))
        daxbench::throw_errno(path);
    return info;
}

} // namespace

TEST(Files, StatxTellsDaxAndBirthTime)
{
    const auto info = statx_of(root + "/file");
    EXPECT_TRUE(info.stx_attributes & STATX_ATTR_DAX);
    EXPECT_TRUE(info.stx_attributes & STATX_ATTR_IMMUTABLE);
    EXPECT_TRUE(info.stx_mask & STATX_BTIME);
    EXPECT_EQ(info.stx_btime.tv_sec, 1700000000); // the newest mtime of the tree
    EXPECT_EQ(info.stx_blksize, 4096U);
    EXPECT_EQ(info.stx_blocks, 8U);
    EXPECT_FALSE(statx_of(root + "/types/dir").stx_attributes & STATX_ATTR_DAX);
}

TEST(Files, StatfsTellsTrueCounts)
{
    struct statfs info;
    ASSERT_OK(statfs(root.c_str(), &info));
    std::uint64_t fsid = 0;
    static_assert(sizeof fsid == sizeof info.f_fsid);
    std::memcpy(&fsid, &info.f_fsid, sizeof fsid);
    EXPECT_NE(fsid, 0U);
    EXPECT_EQ(info.f_bfree, 0U);
    EXPECT_EQ(info.f_ffree, 0U);
    EXPECT_EQ(info.f_namelen, 255);
    EXPECT_EQ(info.f_bsize, 4096);

    // Every inode is counted, and the image is not larger than its device.
    std::set<ino_t> inodes;
    const std::function<void(const std::string &)> walk = [&](const std::string &path) {
        struct stat st;
        ASSERT_OK(lstat(path.c_str(), &st));
        inodes.insert(st.st_ino);
        if (!S_ISDIR(st.st_mode))
            return;
        DIR *dir = opendir(path.c_str());
        ASSERT_NE(dir, nullptr) << path;
        while (const dirent *entry = readdir(dir))
            if (entry->d_name != std::string(".") && entry->d_name != std::string(".."))
                walk(path + "/" + entry->d_name);
        closedir(dir);
    };
    walk(root);
    EXPECT_EQ(info.f_files, inodes.size());
    const UniqueFd device = open_read("/dev/pmem0");
    EXPECT_LE(info.f_blocks * 4096, static_cast<std::uint64_t>(lseek(device.get(), 0, SEEK_END)));
    EXPECT_GT(info.f_blocks * 4096, 9U << 20);
}

TEST(Files, DirectoryEntriesTellTheType)
{
    const std::map<std::string, unsigned char> want = {{"chr", DT_CHR},   {"blk", DT_BLK}, {"fifo", DT_FIFO},
                                                       {"sock", DT_SOCK}, {"dir", DT_DIR}, {"lnk", DT_LNK},
                                                       {"reg", DT_REG}};
    std::map<std::string, unsigned char> got;
    DIR *dir = opendir((root + "/types").c_str());
    ASSERT_NE(dir, nullptr);
    while (const dirent *entry = readdir(dir))
        if (entry->d_name[0] != '.')
            got[entry->d_name] = entry->d_type;
    closedir(dir);
    EXPECT_EQ(got, want);
    EXPECT_EQ(statx_of(root + "/types/chr").stx_rdev_major, 1U);
    EXPECT_EQ(statx_of(root + "/types/blk").stx_rdev_minor, 1048575U);
}

TEST(Files, DirectoryCookiesAreStable)
{
    DIR *dir = opendir((root + "/many").c_str());
    ASSERT_NE(dir, nullptr);
    std::vector<std::pair<long, std::string>> seen; // where each name begins
    for (;;) {
        const long at = telldir(dir);
        const dirent *entry = readdir(dir);
        if (!entry)
            break;
        seen.emplace_back(at, entry->d_name);
    }
    ASSERT_EQ(seen.size(), 1002U);
    // Back and forth while reading, also through a second stream.
    DIR *other = opendir((root + "/many").c_str());
    for (std::size_t i = 0; i < seen.size(); i += 37) {
        const auto &[at, name] = seen[(i * 7919) % seen.size()];
        for (DIR *stream : {dir, other}) {
            seekdir(stream, at);
            const dirent *entry = readdir(stream);
            ASSERT_NE(entry, nullptr);
            EXPECT_EQ(entry->d_name, name);
        }
    }
    rewinddir(dir);
    EXPECT_EQ(readdir(dir)->d_name, seen[0].second);
    closedir(other);
    closedir(dir);
}

TEST(Files, HolesTakeNoSpaceAndAreFound)
{
    const auto info = statx_of(root + "/sparse");
    EXPECT_EQ(info.stx_size, (std::uint64_t{5} << 30) + 123);
    EXPECT_EQ(info.stx_blocks, 3U * 8);
    const UniqueFd fd = open_read(root + "/sparse");
    const off_t beyond = (off_t{4} << 30) + 8192;
    EXPECT_EQ(lseek(fd.get(), 0, SEEK_DATA), 0);
    EXPECT_EQ(lseek(fd.get(), 0, SEEK_HOLE), 4096);
    EXPECT_EQ(lseek(fd.get(), 4096, SEEK_DATA), beyond);
    EXPECT_EQ(lseek(fd.get(), beyond + 1, SEEK_DATA), beyond + 1);
    EXPECT_EQ(lseek(fd.get(), beyond, SEEK_HOLE), beyond + 4096);
    EXPECT_EQ(lseek(fd.get(), beyond + 4096, SEEK_DATA), off_t{5} << 30);
    EXPECT_EQ(lseek(fd.get(), off_t{5} << 30, SEEK_HOLE), (off_t{5} << 30) + 123);
    EXPECT_ERRNO(lseek(fd.get(), (off_t{5} << 30) + 123, SEEK_DATA), ENXIO);
    EXPECT_ERRNO(lseek(fd.get(), (off_t{5} << 30) + 123, SEEK_HOLE), ENXIO);
    EXPECT_ERRNO(lseek(fd.get(), -1, SEEK_HOLE), ENXIO);
}

TEST(Files, ReadsBeyondFourGigabytes)
{
    const UniqueFd fd = open_read(root + "/sparse");
    const off_t beyond = (off_t{4} << 30) + 8192;
    EXPECT_EQ(read_at(fd.get(), 6, 0), std::string("start\0", 6));
    EXPECT_EQ(read_at(fd.get(), 10, beyond), std::string("beyond 4 G"));
    EXPECT_EQ(read_at(fd.get(), 8, beyond - 4), std::string("\0\0\0\0beyo", 8));
    EXPECT_EQ(read_at(fd.get(), 100, (off_t{5} << 30) + 120), "end");
    EXPECT_EQ(read_at(fd.get(), 100, off_t{6} << 30), "");

    void *map = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd.get(), beyond - 4096);
    ASSERT_NE(map, MAP_FAILED);
    EXPECT_EQ(static_cast<char *>(map)[4095], 0);
    EXPECT_EQ(std::memcmp(static_cast<char *>(map) + 4096, "beyond", 6), 0);
    munmap(map, 8192);
}

TEST(Files, GoThroughPipesAndSockets)
{
    const UniqueFd fd = open_read(root + "/pages");
    int ends[2];
    ASSERT_OK(pipe(ends));
    off_t at = 3 * 4096;
    ASSERT_EQ(splice(fd.get(), &at, ends[1], nullptr, 8192, 0), 8192);
    std::string page(8192, '\0');
    ASSERT_EQ(read(ends[0], page.data(), page.size()), 8192);
    EXPECT_EQ(page_number(page.data()), 3U);
    EXPECT_EQ(page_number(page.data() + 4096), 4U);
    close(ends[0]);
    close(ends[1]);

    ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    at = 700 * 4096;
    ASSERT_EQ(sendfile(ends[1], fd.get(), &at, 4096), 4096);
    ASSERT_EQ(recv(ends[0], page.data(), 4096, MSG_WAITALL), 4096);
    EXPECT_EQ(page_number(page.data()), 700U);
    close(ends[0]);
    close(ends[1]);

    const UniqueFd copy(memfd_create("copy", 0));
    at = 0;
    for (off_t done = 0; done < 5 << 20;) {
        const ssize_t got = sendfile(copy.get(), fd.get(), &at, 1 << 20);
        ASSERT_GT(got, 0);
        done += got;
    }
    for (std::uint32_t i = 0; i < 1280; ++i) {
        const auto text = read_at(copy.get(), 4, i * off_t{4096});
        ASSERT_EQ(page_number(text.data()), i);
    }
}

TEST(Files, AreReadByIoUring)
{
    io_uring_params params = {};
    const UniqueFd ring(static_cast<int>(syscall(SYS_io_uring_setup, 4, &params)));
    ASSERT_TRUE(ring) << strerror(errno);
    ASSERT_TRUE(params.features & IORING_FEAT_SINGLE_MMAP);
    const auto map = [&](std::size_t size, off_t what) {
        return static_cast<char *>(
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.get(), what));
    };
    char *rings = map(std::max<std::size_t>(params.sq_off.array + params.sq_entries * 4,
                                            params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe)),
                      IORING_OFF_SQ_RING);
    auto *entries =
        reinterpret_cast<io_uring_sqe *>(map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    ASSERT_NE(rings, MAP_FAILED);
    const auto word = [&](unsigned offset) { return reinterpret_cast<volatile unsigned *>(rings + offset); };
    unsigned tail = 0;
    const UniqueFd fd = open_read(root + "/pages");
    const auto submit = [&](const io_uring_sqe &entry) {
        const unsigned slot = tail & *word(params.sq_off.ring_mask);
        entries[slot] = entry;
        word(params.sq_off.array)[slot] = slot;
        __sync_synchronize();
        *word(params.sq_off.tail) = ++tail;
        __sync_synchronize();
        if (syscall(SYS_io_uring_enter, ring.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1)
            return -1000;
        const unsigned head = *word(params.cq_off.head);
        const auto *done = reinterpret_cast<const io_uring_cqe *>(rings + params.cq_off.cqes) +
                           (head & *word(params.cq_off.ring_mask));
        const int result = done->res;
        *word(params.cq_off.head) = head + 1;
        return result;
    };
    std::vector<char> buffer(8192);
    io_uring_sqe entry = {};
    entry.opcode = IORING_OP_READ;
    entry.fd = fd.get();
    entry.off = 11 * 4096;
    entry.addr = reinterpret_cast<std::uintptr_t>(buffer.data());
    entry.len = 8192;
    for (const unsigned flags : {0U, 1U << IOSQE_ASYNC_BIT}) {
        std::fill(buffer.begin(), buffer.end(), 0);
        entry.flags = static_cast<std::uint8_t>(flags);
        EXPECT_EQ(submit(entry), 8192);
        EXPECT_EQ(page_number(buffer.data() + 4096), 12U);
    }
    const iovec whole = {buffer.data(), buffer.size()};
    ASSERT_OK(syscall(SYS_io_uring_register, ring.get(), IORING_REGISTER_BUFFERS, &whole, 1));
    entry.opcode = IORING_OP_READ_FIXED;
    entry.flags = 0;
    entry.off = 20 * 4096;
    EXPECT_EQ(submit(entry), 8192);
    EXPECT_EQ(page_number(buffer.data()), 20U);
}

TEST(Files, AreWatchedByFanotify)
{
    struct statfs stat_of;
    ASSERT_OK(statfs(root.c_str(), &stat_of));
    const UniqueFd by_handle(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK, O_RDONLY));
    const UniqueFd by_file(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY));
    ASSERT_TRUE(by_handle && by_file) << strerror(errno);
    ASSERT_OK(
        fanotify_mark(by_handle.get(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, AT_FDCWD, root.c_str()));
    ASSERT_OK(
        fanotify_mark(by_file.get(), FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_ACCESS, AT_FDCWD, root.c_str()));
    const UniqueFd fd = open_read(root + "/file");
    EXPECT_EQ(read_at(fd.get(), 7, 0), "content");

    alignas(8) char buffer[4096];
    ASSERT_GT(read(by_handle.get(), buffer, sizeof buffer), 0);
    const auto *event = reinterpret_cast<const fanotify_event_metadata *>(buffer);
    const auto *about = reinterpret_cast<const fanotify_event_info_fid *>(event + 1);
    EXPECT_TRUE(event->mask & FAN_OPEN);
    EXPECT_EQ(std::memcmp(&about->fsid, &stat_of.f_fsid, sizeof about->fsid), 0);
    const UniqueFd again(open_by_handle_at(
        fd.get(), reinterpret_cast<file_handle *>(const_cast<unsigned char *>(about->handle)), O_RDONLY));
    ASSERT_TRUE(again) << strerror(errno);
    EXPECT_EQ(read_at(again.get(), 7, 0), "content");

    ASSERT_GT(read(by_file.get(), buffer, sizeof buffer), 0);
    event = reinterpret_cast<const fanotify_event_metadata *>(buffer);
    EXPECT_TRUE(event->mask & FAN_ACCESS);
    struct stat st, want;
    ASSERT_OK(fstat(event->fd, &st));
    ASSERT_OK(fstat(fd.get(), &want));
    EXPECT_EQ(st.st_ino, want.st_ino);
    close(event->fd);
}

namespace {

// struct file_handle: how many bytes follow, what they are, and they: inode number, generation.
struct Handle {
    std::uint32_t bytes = 32;
    std::int32_t type = 0;
    std::uint32_t word[8] = {};

    file_handle *raw() { return reinterpret_cast<file_handle *>(this); }
};

Handle handle_of(const std::string &path)
{
    Handle handle;
    int mount_id;
    if (name_to_handle_at(AT_FDCWD, path.c_str(), handle.raw(), &mount_id, 0) < 0)
        daxbench::throw_errno("no handle of " + path);
    return handle;
}

UniqueFd open_handle(Handle handle, int flags = O_RDONLY)
{
    const UniqueFd mount = open_read(root);
    return UniqueFd(open_by_handle_at(mount.get(), handle.raw(), flags));
}

void mount_again()
{
    ASSERT_OK(umount(root.c_str()));
    ASSERT_OK(mount("/dev/pmem0", root.c_str(), "daxfs", MS_RDONLY, nullptr));
}

} // namespace

TEST(Handles, SurviveARemount)
{
    const auto file = handle_of(root + "/file");
    const auto dir = handle_of(root + "/deep/er/est");
    const auto top = handle_of(root);
    mount_again();
    const auto opened = open_handle(file);
    ASSERT_TRUE(opened) << strerror(errno);
    EXPECT_EQ(read_at(opened.get(), 7, 0), "content");
    const auto opened_dir = open_handle(dir, O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(opened_dir) << strerror(errno);
    // Its place in the tree was found again: the way up works, and the path is known.
    struct stat up, want;
    ASSERT_OK(fstatat(opened_dir.get(), "../../..", &up, 0));
    ASSERT_OK(stat(root.c_str(), &want));
    EXPECT_EQ(up.st_ino, want.st_ino);
    char path[256] = {};
    ASSERT_OK(readlink(("/proc/self/fd/" + std::to_string(opened_dir.get())).c_str(), path, sizeof path - 1));
    EXPECT_EQ(path, root + "/deep/er/est");
    EXPECT_TRUE(open_handle(top, O_RDONLY | O_DIRECTORY));
}

TEST(Handles, ThatMeanNothingAreStale)
{
    const auto good = handle_of(root + "/file");
    ASSERT_EQ(good.type, 1); // FILEID_INO32_GEN
    for (const std::uint32_t ino : {0U, 0x7fffffffU, 0xffffffffU}) {
        auto bad = good;
        bad.word[0] = ino;
        EXPECT_FALSE(open_handle(bad));
        EXPECT_EQ(errno, ESTALE) << ino;
    }
    auto other = good;
    other.word[1] ^= 1;
    EXPECT_FALSE(open_handle(other));
    EXPECT_EQ(errno, ESTALE) << "a handle of another image was taken";
}

TEST(Handles, NameAParent)
{
    // As nfsd's handles do: type 2 has inode and generation of a parent behind the file's.
    auto handle = handle_of(root + "/deep/er/file");
    const auto parent = handle_of(root + "/deep/er");
    handle.type = 2;
    handle.bytes = 16;
    handle.word[2] = parent.word[0];
    handle.word[3] = parent.word[1];
    mount_again();
    const auto opened = open_handle(handle);
    ASSERT_TRUE(opened) << strerror(errno);
    EXPECT_EQ(read_at(opened.get(), 4, 0), "deep");
}

TEST(Files, SeveralMountsOfOneRegion)
{
    for (const std::string place : {"/tmp/second", "/tmp/third"}) {
        mkdir(place.c_str(), 0755);
        ASSERT_OK(mount("/dev/pmem0", place.c_str(), "daxfs", MS_RDONLY, nullptr));
    }
    struct stat first, second;
    ASSERT_OK(stat((root + "/file").c_str(), &first));
    ASSERT_OK(stat("/tmp/second/file", &second));
    EXPECT_EQ(first.st_ino, second.st_ino);
    ASSERT_OK(umount("/tmp/second"));
    const UniqueFd fd = open_read("/tmp/third/file");
    EXPECT_EQ(read_at(fd.get(), 7, 0), "content");
    EXPECT_ERRNO(umount("/tmp/third"), EBUSY);
}

TEST(Files, SeveralMountsOfOneRegionEnd)
{
    ASSERT_OK(umount("/tmp/third"));
}

TEST(Tracepoints, TellOfMountsLookupsAndFaults)
{
    const std::string tracing = "/sys/kernel/tracing";
    mount("tracefs", tracing.c_str(), "tracefs", 0, nullptr);
    daxbench::write_file(tracing + "/events/daxfs/enable", "1");
    mount_again();
    struct stat st;
    EXPECT_ERRNO(stat((root + "/no such file").c_str(), &st), ENOENT);
    {
        const Mapping map(root + "/pages", PROT_READ, MAP_SHARED);
        EXPECT_EQ(page_number(map.at(1)), 1U);
        const Mapping packed(root + "/small-pages", PROT_READ, MAP_SHARED);
        EXPECT_EQ(page_number(packed.at(2)), 2U);
    }
    daxbench::write_file(tracing + "/events/daxfs/enable", "0");
    const auto trace = daxbench::read_file(tracing + "/trace");
    const auto has = [&](const std::string &part) { return trace.find(part) != std::string::npos; };
    EXPECT_TRUE(has("daxfs_mount: dev ")) << trace;
    EXPECT_TRUE(has("name no such file error -2")) << trace;
    EXPECT_TRUE(has(" pages 512 order 9")) << trace;
    EXPECT_TRUE(has(" order 0")) << trace;
}

} // namespace probe
