// SPDX-License-Identifier: Apache-2.0
// Images of one tree by several sources.
#pragma once

#include <sstream>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>

#include "mkdaxfs.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

// With all that a tar can say of a file.
inline const std::string pax = "--format=posix --xattrs --xattrs-include='*'";

class Sources : public TreeTest {
protected:
    ToolResult run(std::vector<std::string> args, const std::string &input = "") const
    {
        args.insert(args.begin(), image("other"));
        std::istringstream in(input);
        std::ostringstream out;
        std::ostringstream err;
        const int status = mkdaxfs_main(args, in, out, err);
        return {status, out.str(), err.str()};
    }

    void expect_same_image(const std::vector<std::string> &args, const std::string &input = "") const
    {
        const ToolResult result = run(args, input);
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_TRUE(read_file(image("other")) == read_file(image())) << args[0];
    }

    void expect_error(const ToolResult &result, const std::string &part, int status = 1) const
    {
        EXPECT_EQ(result.status, status) << result.err;
        EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
        EXPECT_FALSE(fs::exists(image("other")));
    }

    void tar(const std::string &name, const std::string &options) const
    {
        ASSERT_EQ(shell("tar -C " + source().string() + " --numeric-owner -cf " + (root() / name).string() +
                        " " + options + " ."),
                  "");
    }

    void make_tree() const
    {
        add_file("dir/file", noise(10000, 1));
        fs::create_hard_link(source() / "dir/file", source() / "a-link");
        for (const std::string name :
             {"new\nline", "quote\"'", "\xff\xfe", "\xc3\xbc", "u\xcc\x88", "back\\slash", "%41"}) {
            add_file("odd/" + name, name);
            add_file("odd/" + std::string(120, 'o') + name, name);
        }
        fs::create_symlink("dir/\xff", source() / "symlink");
        add_file("long/" + std::string(200, 'l') + "/" + std::string(200, 'm'), "long");
        add_file("large", noise(3 << 20, 2));
        const fs::path holes = add_file("holes", noise(5000, 3));
        fs::resize_file(holes, 10 << 20);
        ASSERT_EQ(mkfifo((source() / "fifo").c_str(), 0600), 0);
        ASSERT_EQ(chmod(add_file("setuid", "s").c_str(), 04755), 0);
        if (setxattr((source() / "dir").c_str(), "user.test", "a\0b", 3, 0) != 0)
            std::puts("no user xattrs on this filesystem, not tried");
        set_mtime("dir/file", 1234567890, 123456789);
        set_mtime("large", 5000000000, 1);
        set_mtime("setuid", -7, 0);
        set_mtime("dir", 77, 5);
    }
};

// cpio "newc", the initramfs form: of a file with several names, the last has the content.
inline std::string cpio_entry(const std::string &name, int ino, int nlink, unsigned mode,
                              const std::string &content, const std::string &magic = "070701",
                              unsigned checksum = 0)
{
    std::string entry =
        magic + fmt::format("{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                            ino, mode, 0, 0, nlink, 0, content.size(), 8, 1, 0, 0, name.size() + 1, checksum);
    const auto pad = [&] { entry.append((4 - entry.size() % 4) % 4, '\0'); };
    entry += name + '\0';
    pad();
    entry += content;
    pad();
    return entry;
}

} // namespace daxfs::test
