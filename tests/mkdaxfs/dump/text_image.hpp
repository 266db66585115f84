// SPDX-License-Identifier: Apache-2.0
// Images of a few lines of text, and what dump.daxfs makes of them, as root or as a user.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "daxfs_format.h"
#include "image_reader.hpp"
#include "mkdaxfs.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

class TextImage : public TreeTest {
protected:
    void make_of(const std::string &lines) const
    {
        std::istringstream text("daxfs-text 1\n" + lines);
        std::ostringstream out, err;
        ASSERT_EQ(mkdaxfs_main({image(), "--text", "-"}, text, out, err), 0) << err.str();
    }

    // Change what the image says of an inode.
    void patch(const std::string &path, const std::function<void(daxfs_inode &)> &change) const
    {
        std::string bytes = read_file(image());
        const ImageReader reader(image());
        char *at = &bytes[reader.image().inodes.off + (*reader.find(path) - 1) * sizeof(daxfs_inode)];
        daxfs_inode inode;
        std::memcpy(&inode, at, sizeof(inode));
        change(inode);
        std::memcpy(at, &inode, sizeof(inode));
        std::ofstream(image(), std::ios::binary | std::ios::in) << bytes;
    }

    std::filesystem::path extracted(const std::string &path = "") const { return root() / "out" / path; }

    ToolResult extract(std::vector<std::string> options = {}) const
    {
        options.insert(options.begin(), {"--extract", extracted()});
        return dump(options);
    }

    // The same by a user without rights, after `before`.
    ToolResult extract_as_user(
        const std::vector<std::string> &options = {}, const std::function<void()> &before = [] {}) const
    {
        EXPECT_EQ(chmod(root().c_str(), 0777), 0);
        const std::string said = root() / "said";
        std::ofstream(said).close();
        EXPECT_EQ(chmod(said.c_str(), 0666), 0);
        const pid_t child = fork();
        if (child == 0) {
            if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
                _exit(77);
            before();
            const ToolResult result = extract(options);
            std::ofstream(said) << result.out << result.err;
            _exit(result.status);
        }
        int status = 0;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status)) << status;
        return {WEXITSTATUS(status), "", read_file(said)};
    }

    // Of the user of extract_as_user().
    static uid_t user_id() { return geteuid() == 0 ? 65534 : geteuid(); }
    static std::string own_ids()
    {
        return geteuid() == 0 ? "uid=65534 gid=65534" : fmt::format("uid={} gid={}", geteuid(), getegid());
    }

    struct stat stat_of(const std::string &path) const
    {
        struct stat st = {};
        EXPECT_EQ(lstat(extracted(path).c_str(), &st), 0) << path;
        return st;
    }
    mode_t mode_of(const std::string &path) const { return stat_of(path).st_mode & 07777; }
};

} // namespace daxfs::test
