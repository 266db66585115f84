// SPDX-License-Identifier: Apache-2.0
// Images that lie. The host changes bytes of the image under a running guest, as another kernel could:
// once for each field between two mounts, and at random while the guest is at work.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "driver.hpp"
#include "harness.hpp"
#include "image_reader.hpp"
#include "io.hpp"
#include "memory_tree.hpp"
#include "protocol.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::json;
using daxtest::MemoryTree;
using daxtest::target;

constexpr std::uint64_t huge = std::uint64_t{1} << 62;

/// The image's file, which is the guest's memory: changes show at once, restore() takes them back.
class SharedImage {
public:
    explicit SharedImage(const fs::path &path)
        : fd_(daxbench::open_file(path.string(), O_RDWR)), good_(daxbench::read_file(path.string())),
          reader_(path.string())
    {
    }

    template <typename T> void set(std::uint64_t at, T value) { write(at, as_bytes(value)); }

    void write(std::uint64_t at, const std::string &bytes)
    {
        if (pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) !=
            static_cast<ssize_t>(bytes.size()))
            daxbench::throw_errno("cannot write into the image");
        changed_.emplace_back(at, bytes.size());
    }

    void restore()
    {
        const auto changed = std::exchange(changed_, {});
        for (const auto &[at, size] : changed)
            write(at, good_.substr(at, size));
        changed_.clear();
    }

    std::uint32_t ino(const std::string &path) const { return reader_.find(path).value(); }
    daxfs_node node(const std::string &path) const { return reader_.inode(ino(path)).node; }
    /// Where a field of an inode lies.
    std::uint64_t inode(const std::string &path, std::size_t field) const
    {
        return reader_.image().inodes.off + (ino(path) - 1) * sizeof(daxfs_inode) + field;
    }
    /// Where a field of the entry of a path lies.
    std::uint64_t entry(const fs::path &path, std::size_t field) const
    {
        const auto dir = node(path.parent_path().string());
        for (std::uint32_t i = 0;; ++i) {
            const auto found = reader_.entry(dir, i);
            if (reinterpret_cast<const char *>(found.name) == path.filename())
                return entries(dir) + i * sizeof(daxfs_dirent) + field;
        }
    }
    std::uint64_t name_of(const fs::path &path) const
    {
        std::uint32_t at;
        std::memcpy(&at, good_.data() + entry(path, offsetof(daxfs_dirent, name)), sizeof at);
        return node(path.parent_path().string()).data + at;
    }
    std::uint64_t bucket(const std::string &dir, std::uint32_t index) const
    {
        return node(dir).data + sizeof(daxfs_dir) + index * 4;
    }
    std::uint64_t extent(const std::string &path, std::uint32_t index, std::size_t field) const
    {
        return node(path).data + sizeof(daxfs_extent_list) + index * sizeof(daxfs_extent) + field;
    }
    std::uint64_t xattrs(const std::string &path) const
    {
        return reader_.image().xattrs.off + (node(path).xattr - 1) * std::uint64_t{8};
    }
    const daxfs_image &image() const { return reader_.image(); }

private:
    template <typename T> static std::string as_bytes(T value)
    {
        return {reinterpret_cast<const char *>(&value), sizeof value};
    }
    static std::uint64_t entries(const daxfs_node &dir)
    {
        const std::uint64_t buckets = ((std::uint64_t{1} << dir.bucket_bits) + 1) * 4;
        return dir.data + sizeof(daxfs_dir) + (buckets + 7) / 8 * 8;
    }

    daxbench::UniqueFd fd_;
    std::string good_;
    daxfs::ImageReader reader_;
    std::vector<std::pair<std::uint64_t, std::size_t>> changed_;
};

/// One lie: what is changed, what then is tried, and what comes of it.
struct Lie {
    std::string name;
    std::function<void(SharedImage &)> tell;
    std::string access;     // of the probe: "stat PATH", "list PATH", …
    int error = EUCLEAN;    // errno of the access; 0 where it is harmless
    std::string message;    // in the kernel's log, with EUCLEAN: what follows "bad "
    std::string inode = {}; // the message's; default: the access's path
    bool validates = false; // -o validate takes it: nothing a file system is harmed by
};

#define FIELD(path, member, type, value)                                                                     \
    [](SharedImage &image) { image.set<type>(image.inode(path, offsetof(daxfs_inode, member)), value); }
#define ENTRY(path, member, type, value)                                                                     \
    [](SharedImage &image) { image.set<type>(image.entry(path, offsetof(daxfs_dirent, member)), value); }
#define EXTENT(index, member, value)                                                                         \
    [](SharedImage &image) {                                                                                 \
        image.set<std::uint64_t>(image.extent("sparse", index, offsetof(daxfs_extent, member)), value);      \
    }
#define XATTR(path, offset, type, value)                                                                     \
    [](SharedImage &image) { image.set<type>(image.xattrs(path) + (offset), value); }

using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

std::vector<Lie> lies()
{
    const std::string dir = "dir", sub = "dir/sub";
    return {
        // Inodes.
        {"mode without a type", FIELD("file", mode, uint16_t, 0644), "stat file", EUCLEAN, "mode"},
        {"mode of no type", FIELD("file", mode, uint16_t, 0170644), "stat file", EUCLEAN, "mode"},
        {"flags", FIELD("file", flags, uint16_t, 0x8000), "stat file", EUCLEAN, "flags"},
        {"no links", FIELD("file", nlink, uint32_t, 0), "stat file", EUCLEAN, "nlink"},
        {"nanoseconds", FIELD("file", mtime_nsec, uint32_t, 1000000000), "stat file", EUCLEAN, "mtime_nsec"},
        {"size beyond s_maxbytes", FIELD("file", size, uint64_t, 1ULL << 63), "stat file", EUCLEAN, "size"},
        {"size beyond the image", FIELD("file", size, uint64_t, huge), "stat file", EUCLEAN, "data"},
        {"data beyond the image", FIELD("file", data, uint64_t, huge), "stat file", EUCLEAN, "data"},
        {"data whose sum wraps", FIELD("file", data, uint64_t, ~0ULL - 4095), "stat file", EUCLEAN, "data"},
        {"data not aligned", FIELD("file", data, uint64_t, 4097), "stat file", EUCLEAN, "data"},
        {"data in the metadata", FIELD("file", data, uint64_t, 4096), "stat file", EUCLEAN, "data"},
        // Directories.
        {"directory beyond its range", FIELD("dir", data, uint64_t, huge), "stat dir", EUCLEAN, "data"},
        {"directory that wraps", FIELD("dir", data, uint64_t, ~0ULL - 7), "stat dir", EUCLEAN, "data"},
        {"directory not aligned",
         [](SharedImage &image) {
             image.set(image.inode("dir", offsetof(daxfs_inode, data)), image.node("dir").data + 4);
         },
         "stat dir", EUCLEAN, "data"},
        {"directory of 4 bytes", FIELD("dir", size, uint64_t, 4), "stat dir", EUCLEAN, "data"},
        {"directory too large", FIELD("dir", size, uint64_t, 1ULL << 32), "stat dir", EUCLEAN, "data"},
        {"more entries than the record says", FIELD("dir", count, uint32_t, 1000), "stat dir", EUCLEAN,
         "count"},
        {"more entries than fit",
         [](SharedImage &image) {
             image.set(image.node("dir").data, 0xffffffffU); // first, while the reader finds it
             image.set(image.inode("dir", offsetof(daxfs_inode, count)), 0xffffffffU);
         },
         "stat dir", EUCLEAN, "size"},
        {"bucket bits beyond the limit",
         [](SharedImage &image) { image.set(image.node("dir").data + 4, 33U); }, "stat dir", EUCLEAN,
         "bucket_bits"},
        {"bucket bits beyond the record",
         [](SharedImage &image) { image.set(image.node("dir").data + 4, 28U); }, "stat dir", EUCLEAN, "size"},
        {"no parent", FIELD("dir/sub", parent, uint32_t, 0), "stat dir/sub", EUCLEAN, "parent"},
        {"parent beyond the inodes", FIELD("dir/sub", parent, uint32_t, 0xffffffff), "stat dir/sub", EUCLEAN,
         "parent"},
        {"another parent", FIELD("dir/sub", parent, uint32_t, 1), "stat dir/sub", EUCLEAN, "parent"},
        {"loop to the root", ENTRY("dir/sub/inner", ino, uint32_t, 1), "stat dir/sub/inner", EUCLEAN,
         "parent", ""},
        {"loop to itself",
         [](SharedImage &image) {
             image.set(image.entry("dir/sub/inner", offsetof(daxfs_dirent, ino)), image.ino("dir/sub"));
         },
         "stat dir/sub/inner", EUCLEAN, "parent", "dir/sub"},
        {"loop to what is above",
         [](SharedImage &image) {
             image.set(image.entry("dir/sub/inner", offsetof(daxfs_dirent, ino)), image.ino("dir"));
         },
         "stat dir/sub/inner", EUCLEAN, "parent", "dir"},
        {"loop that its parent confirms",
         [](SharedImage &image) {
             image.set(image.entry("dir/sub/inner", offsetof(daxfs_dirent, ino)), image.ino("dir"));
             image.set(image.inode("dir", offsetof(daxfs_inode, parent)), image.ino("dir/sub"));
         },
         "stat dir/sub/inner", EUCLEAN, "parent", "dir"},
        {"directory with two parents",
         [](SharedImage &image) {
             image.set(image.entry("twins/b", offsetof(daxfs_dirent, ino)), image.ino("dir/sub"));
         },
         "stat twins/b", EUCLEAN, "parent", "dir/sub"},
        {"directory with two names",
         [](SharedImage &image) {
             image.set(image.entry("twins/b", offsetof(daxfs_dirent, ino)), image.ino("twins/a"));
         },
         "stat-both twins/a twins/b", EUCLEAN, "second name in parent", "twins/a"},
        // Their entries.
        {"entry without an inode", ENTRY("dir/one", ino, uint32_t, 0), "stat dir/one", EUCLEAN, "dirent.ino",
         dir},
        {"entry beyond the inodes", ENTRY("dir/one", ino, uint32_t, 0xfffffffe), "list dir", EUCLEAN,
         "dirent.ino"},
        {"name beyond the record", ENTRY("dir/one", name, uint32_t, 0xfffffff0), "list dir", EUCLEAN,
         "dirent.name"},
        {"name of no bytes", ENTRY("dir/one", name_len, uint8_t, 0), "list dir", EUCLEAN, "dirent.name"},
        {"name that passes the record's end",
         [](SharedImage &image) {
             image.set(image.entry("dir/one", offsetof(daxfs_dirent, name)),
                       static_cast<uint32_t>(image.node("dir").size - 1));
         },
         "list dir", EUCLEAN, "dirent.name"},
        {"name with a slash", [](SharedImage &image) { image.set(image.name_of("dir/one") + 1, '/'); },
         "list dir", EUCLEAN, "dirent.name"},
        {"name with a NUL", [](SharedImage &image) { image.set(image.name_of("dir/one") + 1, '\0'); },
         "list dir", EUCLEAN, "dirent.name"},
        {"name that is ..", [](SharedImage &image) { image.write(image.name_of("dir/up"), ".."); },
         "list dir", EUCLEAN, "dirent.name"},
        {"buckets backwards",
         [](SharedImage &image) {
             for (uint32_t i = 0; i < 64; i += 2)
                 image.set(image.bucket("many", i), 200U);
             for (uint32_t i = 1; i < 64; i += 2)
                 image.set(image.bucket("many", i), 100U);
         },
         "stat many/f7", EUCLEAN, "bucket", "many"},
        {"buckets beyond the entries",
         [](SharedImage &image) {
             for (uint32_t i = 0; i < 64; ++i)
                 image.set(image.bucket("many", i), i * 0x1000000U);
         },
         "stat many/f7", EUCLEAN, "bucket", "many"},
        // A lookup goes by the hash; who lies there may hide names and harms no one else.
        {"wrong hash", ENTRY("dir/one", hash, uint32_t, 0), "list dir", 0, ""},
        {"wrong type of an entry", ENTRY("dir/one", type, uint8_t, 4), "list dir", 0, ""},
        // Symbolic links.
        {"empty target", FIELD("link", size, uint64_t, 0), "readlink link", EUCLEAN, "size"},
        {"target too long", FIELD("link", size, uint64_t, 4096), "readlink link", EUCLEAN, "size"},
        {"target without end", FIELD("link", size, uint64_t, ~0ULL), "readlink link", EUCLEAN, "size"},
        {"target beyond its range", FIELD("link", data, uint64_t, huge), "readlink link", EUCLEAN, "data"},
        {"target with a NUL", [](SharedImage &image) { image.set(image.node("link").data, '\0'); },
         "readlink link", EUCLEAN, "symlink"},
        // Files with holes.
        {"extents beyond their range", FIELD("sparse", data, uint64_t, huge), "stat sparse", EUCLEAN, "data"},
        {"more extents than there are", FIELD("sparse", count, uint32_t, 0xffffffff), "stat sparse", EUCLEAN,
         "data"},
        {"blocks beyond the data",
         [](SharedImage &image) { image.set<uint64_t>(image.node("sparse").data, huge); }, "stat sparse",
         EUCLEAN, "blocks"},
        {"extent beyond the data", EXTENT(0, off, huge), "read sparse", EUCLEAN, "extent"},
        {"extent that wraps", EXTENT(0, off, ~0ULL - 4095), "read sparse", EUCLEAN, "extent"},
        {"extent in the metadata", EXTENT(0, off, 4096), "read sparse", EUCLEAN, "extent"},
        {"extent not aligned", EXTENT(0, file_off, 1), "read sparse", EUCLEAN, "extent"},
        {"extent longer than the data", EXTENT(0, len, huge), "read sparse", EUCLEAN, "extent"},
        {"extent longer than the data, mapped", EXTENT(0, len, huge), "touch sparse", EFAULT, "extent",
         "sparse"},
        {"extents that overlap",
         [](SharedImage &image) {
             image.set<uint64_t>(image.extent("sparse", 1, offsetof(daxfs_extent, file_off)), 0);
         },
         "read sparse", 0, ""},
        // Extended attributes.
        {"attributes beyond their range", FIELD("attributes", xattr, uint32_t, 0xffffffff),
         "list-attributes attributes", EUCLEAN, "xattr"},
        {"attributes of no size", XATTR("attributes", 0, uint32_t, 0), "list-attributes attributes", EUCLEAN,
         "xattr.size"},
        {"attributes beyond the range", XATTR("attributes", 0, uint32_t, 0xfffffff8),
         "list-attributes attributes", EUCLEAN, "xattr.size"},
        {"attributes without number", XATTR("attributes", 4, uint32_t, 0xffffffff),
         "list-attributes attributes", EUCLEAN, "xattr.count"},
        {"attribute of no namespace", XATTR("attributes", 8, uint8_t, 0), "list-attributes attributes",
         EUCLEAN, "xattr.index"},
        {"attribute of an unknown one", XATTR("attributes", 8, uint8_t, 6), "list-attributes attributes",
         EUCLEAN, "xattr.index"},
        {"attribute too large", XATTR("attributes", 12, uint32_t, 65537), "get-attribute attributes", EUCLEAN,
         "xattr.value_len"},
        {"attribute beyond its set", XATTR("attributes", 12, uint32_t, 65536), "get-attribute attributes",
         EUCLEAN, "xattr.size"},
        {"attribute name with a NUL", XATTR("attributes", 17, uint8_t, 0), "list-attributes attributes",
         EUCLEAN, "xattr.name"},
        {"ACL of another version", XATTR("acl", 16, uint32_t, 77), "acl acl", EUCLEAN, "xattr.acl", "", true},
        {"ACL with an unknown tag", XATTR("acl", 20, uint16_t, 0x8000), "acl acl", EUCLEAN, "xattr.acl", "",
         true},
        {"ACL out of order", XATTR("acl", 20, uint16_t, 0x20), "acl acl", EUCLEAN, "xattr.acl", "", true},
        // What only a look at everything finds.
        {"wrong link count", FIELD("dir", nlink, uint32_t, 7), "stat dir", 0, ""},
        {"wrong checksum", FIELD("file", uid, uint32_t, 7), "stat file", 0, ""},
    };
}

MemoryTree hostile_tree()
{
    const daxtest::MemoryFile folder{.mode = S_IFDIR | 0755};
    MemoryTree tree;
    tree["good"] = {.content = "untouched"};
    tree["file"] = {.content = std::string(20000, 'f')};
    tree["dir/one"] = {.content = "1"};
    tree["dir/up"] = {.content = "2"};
    tree["dir/sub/inner/innermost"] = {.content = "3"};
    tree["twins/a"] = folder;
    tree["twins/b"] = folder;
    for (int i = 0; i < 100; ++i)
        tree[fmt::format("many/f{}", i)] = {.content = std::to_string(i)};
    tree["link"] = {.mode = S_IFLNK | 0777, .content = "dir/one"};
    tree["sparse"] = {.content = "start", .pieces = {{1 << 20, "middle"}, {4 << 20, "end"}}};
    tree["attributes"] = {.xattrs = {{"user.first", "value"}, {"user.second", "other"}}};
    std::string acl("\2\0\0\0", 4);
    for (const uint16_t tag : {1, 4, 32}) {
        const struct {
            uint16_t tag, perm;
            uint32_t id;
        } entry = {tag, 4, 0xffffffff};
        acl.append(reinterpret_cast<const char *>(&entry), sizeof entry);
    }
    tree["acl"] = {.mode = S_IFREG | 0444, .content = "acl", .xattrs = {{"system.posix_acl_access", acl}}};
    return tree;
}

class Hostile : public testing::Test {
protected:
    void SetUp() override
    {
        daxtest::make_image(hostile_tree(), path_);
        image_ = std::make_unique<SharedImage>(path_);
    }

    daxbench::Guest boot(unsigned cpus = 1)
    {
        daxtest::BootOptions options;
        options.cpus = cpus;
        return daxtest::boot(path_, dir_.path() / "logs", options);
    }

    /// What the kernel said since the last call.
    static std::string log_of(daxbench::Guest &guest)
    {
        std::string text;
        const auto lines = guest.call("dmesg", json::object(), Seconds(30)).at("lines");
        EXPECT_EQ(daxbench::kernel_complaint(lines), "");
        for (const auto &line : lines)
            text += line.at("text").get<std::string>() + "\n";
        return text;
    }

    static std::string mount_error(daxbench::Guest &guest, const std::string &options)
    {
        try {
            daxtest::mount(guest, options);
        } catch (const std::exception &error) {
            return error.what();
        }
        return "";
    }

    daxbench::TempDir dir_;
    fs::path path_ = dir_.path() / "image";
    std::unique_ptr<SharedImage> image_;
};

std::size_t count_of(const std::string &text, const std::string &part)
{
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

TEST_F(Hostile, EveryFieldThatLies)
{
    auto guest = boot();
    int told = 0;
    for (const auto &lie : lies()) {
        SCOPED_TRACE(lie.name);
        // A module loaded anew has all its messages before it.
        if (told++ % 3 == 2) {
            daxtest::run(guest, {"/bin/busybox", "rmmod", "daxfs"});
            guest.call("load", {{"modules", {"daxfs"}}}, Seconds(30));
        }
        std::string words = lie.access;
        std::replace(words.begin(), words.end(), ' ', '\n');
        const auto inode = lie.inode.empty() && lie.name != "loop to the root"
                               ? image_->ino(words.substr(words.rfind('\n') + 1))
                               : image_->ino(lie.inode);
        lie.tell(*image_);
        ASSERT_EQ(mount_error(guest, "ro"), "");
        std::vector<std::string> argv{"/bin/probe", "access"};
        for (std::size_t at = 0; at < words.size();) {
            const auto end = std::min(words.find('\n', at), words.size());
            argv.push_back(words.substr(at, end - at));
            at = end + 1;
        }
        const auto result = daxtest::run(guest, argv);
        EXPECT_EQ(result.at("stdout"), lie.error ? fmt::format("{}%20untouched", lie.error) : "0%20untouched")
            << strerror(lie.error);
        const auto log = log_of(guest);
        const auto message = fmt::format("inode {}: bad {} 0x", inode, lie.message);
        const auto said = count_of(log, "the image is corrupt");
        EXPECT_EQ(said > 0, !lie.message.empty()) << log;
        EXPECT_EQ(count_of(log, message), said) << "expected " << message << " in " << log;
        EXPECT_LE(said, 10U) << log; // some accesses are tried again
        guest.call("umount", {{"target", target}}, Seconds(30));

        // The checksum alone would do: a liar would fit it to the lie.
        const auto error = mount_error(guest, "ro,validate");
        EXPECT_NE(error, "") << "was taken with -o validate";
        EXPECT_NE(error.find(lie.validates || lie.name == "wrong checksum" ? "metadata_crc" : "inode "),
                  std::string::npos)
            << error;
        log_of(guest);
        image_->restore();
    }
    ASSERT_EQ(mount_error(guest, "ro,validate"), "");
    EXPECT_NE(daxtest::run(guest, {"/bin/busybox", "grep", target, "/proc/mounts"})
                  .at("stdout")
                  .get<std::string>()
                  .find("validate"),
              std::string::npos);
    log_of(guest);
    guest.shutdown();
}

// Two directories that are each other's parents: looking for the way up must come to an end.
TEST_F(Hostile, AHandleInALoop)
{
    const auto sub = image_->ino("dir/sub");
    const auto inner = image_->ino("dir/sub/inner");
    image_->set(image_->entry("dir/sub/inner/innermost", offsetof(daxfs_dirent, ino)), sub);
    image_->set(image_->inode("dir/sub", offsetof(daxfs_inode, parent)), inner);
    auto guest = boot();
    daxtest::mount(guest);
    for (const auto ino : {sub, inner}) {
        const auto out =
            daxtest::run(guest, {"/bin/probe", "access", "open-handle", std::to_string(ino)}).at("stdout");
        EXPECT_TRUE(out == fmt::format("{}%20untouched", ESTALE) ||
                    out == fmt::format("{}%20untouched", ELOOP))
            << out;
    }
    log_of(guest);
    guest.call("umount", {{"target", target}}, Seconds(30));
    guest.shutdown();
}

// fs/dax.c has room for one file a page, and later kernels corrupt what they know of a page that two
// claim. The image says that it shares none, and does.
TEST_F(Hostile, FilesThatShareDataInSecret)
{
    const auto tree = dir_.path() / "tree";
    fs::create_directories(tree);
    std::ofstream(tree / "good") << "untouched";
    for (const std::string name : {"one", "two"})
        std::ofstream(tree / name) << std::string(3 << 20, name[0]);
    daxbench::run_checked({(daxtest::bench().build / "mkdaxfs/mkdaxfs").string(), "--quiet", "--no-dedupe",
                           "--force", path_.string(), tree.string()});
    daxtest::pad_image(path_);
    image_ = std::make_unique<SharedImage>(path_);
    auto guest = boot();
    ASSERT_EQ(mount_error(guest, "ro,fault=iomap"), "");
    image_->set(image_->inode("two", offsetof(daxfs_inode, data)), image_->node("one").data + 4096);
    const auto touch = [&](const std::string &name) {
        return daxtest::run(guest, {"/bin/probe", "access", "touch", name}).at("stdout").get<std::string>();
    };
    EXPECT_EQ(touch("one"), "0%20untouched");
    EXPECT_NE(touch("two"), "0%20untouched");
    EXPECT_EQ(touch("one"), "0%20untouched");
    EXPECT_GE(count_of(log_of(guest), "bad data of another inode"), 1U);
    guest.call("umount", {{"target", target}}, Seconds(30));
    // The module's own way shares, whoever says so.
    ASSERT_EQ(mount_error(guest, "ro"), "");
    EXPECT_EQ(touch("one"), "0%20untouched");
    EXPECT_EQ(touch("two"), "0%20untouched");
    log_of(guest);
    guest.shutdown();
}

// A directory that says it has one name, and has two, is not taken by both.
TEST_F(Hostile, ADirectoryWithTwoNames)
{
    image_->set(image_->inode("twins/a", offsetof(daxfs_inode, nlink)), 1U);
    image_->set(image_->entry("twins/b", offsetof(daxfs_dirent, ino)), image_->ino("twins/a"));
    auto guest = boot();
    ASSERT_EQ(mount_error(guest, "ro"), "");
    const auto out =
        daxtest::run(guest, {"/bin/busybox", "sh", "-c", "cd /mnt/x/twins/a && stat ../b; echo $?"});
    EXPECT_NE(out.at("stdout").get<std::string>().find("1"), std::string::npos) << out.dump();
    log_of(guest);
    guest.call("umount", {{"target", target}}, Seconds(30));
    guest.shutdown();
}

TEST_F(Hostile, OneMessageManyTimes)
{
    image_->set(image_->inode("file", offsetof(daxfs_inode, nlink)), 0U);
    auto guest = boot();
    daxtest::mount(guest);
    const auto took =
        daxtest::run(guest, {"/bin/busybox", "sh", "-c",
                             "a=$(cut -d. -f1 /proc/uptime); for i in $(seq 300); do stat /mnt/x/file; done "
                             "2>/dev/null; echo $(($(cut -d. -f1 /proc/uptime) - a))"});
    const auto seconds = std::stoul(took.at("stdout").get<std::string>());
    const auto said = count_of(log_of(guest), "bad nlink");
    EXPECT_GE(said, 1U);
    // The kernel lets ten messages pass in five seconds.
    EXPECT_LE(said, 20U + seconds / 5 * 10) << "messages are not limited in " << seconds << " s";
    guest.shutdown();
}

TEST_F(Hostile, AnotherKernelWritesMeanwhile)
{
    auto guest = boot(2);
    daxtest::mount(guest);
    std::atomic<bool> stop = false;
    std::uint64_t writes = 0;
    std::thread writer([&] {
        std::mt19937_64 random(20261122);
        const auto &range = image_->image().metadata;
        while (!stop) {
            // Mostly single bytes, at times a whole inode; taken back now and then.
            const auto at = range.off + random() % (range.len - 64);
            if (random() % 4)
                image_->set(at, static_cast<std::uint8_t>(random()));
            else
                image_->write(at / 64 * 64, std::string(64, static_cast<char>(random())));
            if (++writes % 64 == 0)
                image_->restore();
            usleep(200);
        }
    });
    const auto result = daxtest::run(guest, {"/bin/probe", "churn", "12"});
    stop = true;
    writer.join();
    EXPECT_EQ(result.at("status"), 0) << result.dump();
    EXPECT_GT(writes, 1000U);
    std::printf("%lu writes; %s", writes,
                daxbench::percent_decode(result.at("stdout").get<std::string>()).c_str());
    log_of(guest);

    image_->restore();
    guest.call("umount", {{"target", target}}, Seconds(30));
    ASSERT_EQ(mount_error(guest, "ro,validate"), "");
    EXPECT_EQ(daxtest::run(guest, {"/bin/probe", "access", "stat", "file"}).at("stdout"), "0%20untouched");
    log_of(guest);
    guest.shutdown();
}

} // namespace
