// SPDX-License-Identifier: Apache-2.0
#include "lies.hpp"

#include <cstddef>
#include <cstdint>

namespace daxtest {

namespace {

using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

constexpr uint64_t huge = uint64_t{1} << 62;

} // namespace

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

std::uint32_t accused(const Lie &lie, const SharedImage &image)
{
    if (!lie.inode.empty() || lie.name == "loop to the root")
        return image.ino(lie.inode);
    return image.ino(lie.access.substr(lie.access.rfind(' ') + 1));
}

} // namespace daxtest
