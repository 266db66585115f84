// SPDX-License-Identifier: Apache-2.0
// How daxfs-fuse begins and ends, and who sees what it shows.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "daxfs_fuse.hpp"
#include "fuse_mount.hpp"
#include "memory_tree.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

constexpr uid_t nobody = 65534;

class FuseMounting : public TreeTest {
protected:
    void SetUp() override
    {
        TreeTest::SetUp();
        add_file("dir/file", "content");
        make();
        fs::create_directory(dir());
    }

    fs::path dir() const { return root() / "mnt"; }

    ToolResult tool(const std::vector<std::string> &args) const
    {
        std::ostringstream out;
        std::ostringstream err;
        const int status = daxfs_fuse_main(args, out, err);
        return {status, out.str(), err.str()};
    }

    // Processes that have the image's path among their arguments.
    std::string servers() const
    {
        std::string found;
        for (const auto &entry : fs::directory_iterator("/proc")) {
            const std::string line = read_file(entry.path() / "cmdline");
            if (line.find("daxfs-fuse") != line.npos && line.find(image().string()) != line.npos)
                found += entry.path().filename().string() + " ";
        }
        return found;
    }
};

// In the background: it is mounted when the command ends, and gone when it is unmounted.
TEST_F(FuseMounting, LeavesNothing)
{
    const std::string before = shell("ls -la " + dir().string());
    ASSERT_EQ(run({DAXFS_FUSE_TOOL, image(), dir()}, root() / "log"), 0) << read_file(root() / "log");
    EXPECT_EQ(read_file(dir() / "dir/file"), "content");
    EXPECT_NE(servers(), "");
    if (have_program("fusermount3"))
        EXPECT_EQ(shell("fusermount3 -u " + dir().string()), "");
    else
        EXPECT_EQ(shell("umount " + dir().string()), "");
    EXPECT_FALSE(is_mounted(dir()));
    for (int i = 0; i < 500 && !servers().empty(); ++i)
        usleep(10000);
    EXPECT_EQ(servers(), "");
    EXPECT_EQ(shell("ls -la " + dir().string()), before);
    EXPECT_EQ(shell("grep -F " + dir().string() + " /proc/self/mountinfo; true"), "");
}

TEST_F(FuseMounting, EndsWithASignal)
{
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        FuseMount mount(image(), dir());
        kill(mount.pid(), signal);
        EXPECT_EQ(mount.wait(), 0) << signal;
        EXPECT_FALSE(is_mounted(dir())) << signal;
    }
}

// A daemon's working directory is the root.
TEST_F(FuseMounting, TakesRelativePaths)
{
    ASSERT_EQ(shell("cd " + root().string() + " && " DAXFS_FUSE_TOOL " image mnt"), "");
    EXPECT_TRUE(is_mounted(dir()));
    kill(static_cast<pid_t>(std::stoi(servers().empty() ? "0" : shell("pgrep -f 'daxfs-fuse image mnt'"))),
         0);
    EXPECT_EQ(shell("umount " + dir().string()), "");
}

TEST_F(FuseMounting, IsReadOnlyWhateverIsAsked)
{
    FuseMount mount(image(), dir(), {"-o", "rw"});
    EXPECT_EQ(open((dir() / "dir/file").c_str(), O_RDWR), -1);
    EXPECT_EQ(errno, EROFS);
    EXPECT_EQ(mkdir((dir() / "new").c_str(), 0777), -1);
    EXPECT_EQ(errno, EROFS);
}

TEST_F(FuseMounting, NamesTheImageAsItsSource)
{
    const fs::path odd = root() / "a, comma \\ and ro";
    fs::rename(image(), odd);
    FuseMount mount(odd, dir(), {"-o", "noatime", "-onodev"});
    const std::string line = shell("findmnt -n -o SOURCE,FSTYPE " + dir().string());
    EXPECT_NE(line.find(odd.string()), line.npos) << line;
    EXPECT_NE(line.find("fuse.daxfs"), line.npos) << line;
}

TEST_F(FuseMounting, SaysWhatItExpected)
{
    const auto refused = [&](const std::vector<std::string> &args, int status, const std::string &words) {
        const ToolResult result = tool(args);
        EXPECT_EQ(result.status, status);
        EXPECT_NE(result.err.find(words), std::string::npos) << result.err << "\nwanted: " << words;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
        EXPECT_FALSE(is_mounted(dir()));
    };
    const std::string good = image();
    refused({}, 2, "IMAGE is required");
    refused({good}, 2, "DIR is required");
    refused({good, dir(), "more"}, 2, "more");
    refused({good, dir(), "-o", ""}, 2, "empty");
    refused({good, dir(), "-o", "nothing"}, 1, "unknown option(s): `-o nothing'");
    refused({good, root() / "none"}, 1, "none: No such file");
    refused({good, good}, 1, "expected a directory to mount on");
    refused({root(), dir()}, 1, "expected an image file or device, got the directory");
    refused({root() / "none", dir()}, 1, "cannot open the image");

    std::string bytes = read_file(good);
    const auto with = [&](std::size_t at, std::uint32_t value, bool mend) {
        std::string changed = bytes;
        std::memcpy(&changed[at], &value, sizeof(value));
        if (mend)
            mend_checksums(changed);
        std::ofstream(image("bad"), std::ios::binary) << changed;
        return image("bad").string();
    };
    refused({with(0, 7, false), dir()}, 1, "no DAXFS image");
    refused({with(offsetof(daxfs_super, incompat), 0x40000000, true), dir()}, 1, "a later DAXFS is needed");
    refused({with(offsetof(daxfs_super, crc), 7, false), dir()}, 1, "bad crc");
    const std::uint64_t inodes = ImageReader(good).image().inodes.off;
    refused({with(inodes, S_IFREG | 0755, true), dir()}, 1, "inode 1");
    refused({with(inodes, S_IFIFO | 0755, true), dir()}, 1, "the root is no directory");
    bytes.resize(4096);
    refused({with(4092, 0, false), dir()}, 1, "it was cut");
}

class FuseUsers : public FuseMounting {
protected:
    void SetUp() override
    {
        if (geteuid() != 0 || !have_program("setpriv") || !have_program("fusermount3"))
            GTEST_SKIP() << "needs root, setpriv and fusermount3";
        FuseMounting::SetUp();
        const std::string acl("\2\0\0\0\1\0\6\0\xff\xff\xff\xff\2\0\4\0\xfe\xff\0\0\4\0\0\0\xff\xff\xff\xff"
                              "\x10\0\4\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff",
                              44);
        daxtest::MemoryTree tree;
        tree["secret"] = {.mode = S_IFREG | 0600, .content = "secret\n"};
        tree["trusted"] = {.content = "t", .xattrs = {{"trusted.t", "t"}, {"user.u", "u"}}};
        tree["acl"] = {
            .mode = S_IFREG | 0640, .content = "by acl\n", .xattrs = {{"system.posix_acl_access", acl}}};
        daxtest::make_image(tree, image());
        fs::permissions(root(), fs::perms::all);
        fs::permissions(image(), fs::perms::owner_read | fs::perms::others_read);
        ASSERT_EQ(chown(dir().c_str(), nobody, nobody), 0);
    }

    // As a user who is nobody.
    static std::string as_user(const std::string &command)
    {
        return shell("setpriv --reuid=65534 --regid=65534 --clear-groups " + command);
    }
};

// Who can read the image can read what is in it, and mounts it for nobody else. Where /dev/fuse is root's
// alone, another one is put in its place for the test.
TEST_F(FuseUsers, MayMount)
{
    const std::string script = "mknod -m 666 device c 10 229 && mount --bind device /dev/fuse || exit\n"
                               "setpriv --reuid=65534 --regid=65534 --clear-groups sh -euc '" DAXFS_FUSE_TOOL
                               " image mnt; cat mnt/secret; touch mounted\n"
                               "while [ ! -e seen ]; do sleep 0.01; done; fusermount3 -u mnt' &\n"
                               "while [ ! -e mounted ]; do sleep 0.01; kill -0 $! || exit; done\n"
                               "cat mnt/secret; touch seen; wait $!; ls -A mnt";
    std::ofstream(root() / "script") << script;
    EXPECT_EQ(shell("cd " + root().string() + " && unshare -m sh script"),
              "secret\ncat: mnt/secret: Permission denied\n");
}

// Others go by modes and ACLs, as with the module.
TEST_F(FuseUsers, AreKeptToModesAndAcls)
{
    FuseMount mount(image(), dir(), {"-o", "allow_other"});
    const std::string secret = as_user("cat " + (dir() / "secret").string());
    EXPECT_NE(secret.find("Permission denied"), secret.npos) << secret;
    EXPECT_EQ(as_user("cat " + (dir() / "acl").string()), "by acl\n");
    EXPECT_EQ(read_file(dir() / "secret"), "secret\n");
}

TEST_F(FuseUsers, SeeNoTrustedAttributes)
{
    FuseMount mount(image(), dir(), {"-o", "allow_other"});
    const auto names = [&](uid_t uid) {
        const pid_t pid = fork();
        if (pid == 0) {
            char list[1000];
            const bool changed = setresuid(uid, uid, uid) == 0;
            const ssize_t size = listxattr((dir() / "trusted").c_str(), list, sizeof(list));
            _exit(changed && size > 0 ? static_cast<int>(std::count(list, list + size, '\0')) : 100);
        }
        int status = -1;
        waitpid(pid, &status, 0);
        return WEXITSTATUS(status);
    };
    EXPECT_EQ(names(0), 2);
    EXPECT_EQ(names(nobody), 1);
}

} // namespace

} // namespace daxfs::test
