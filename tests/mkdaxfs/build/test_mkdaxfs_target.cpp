// SPDX-License-Identifier: Apache-2.0
// Where an image goes: beside and inside its source, to standard output, and what a killed run leaves.
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_image.hpp"
#include "directory_source.hpp"
#include "mkdaxfs.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"
#include "unique_fd.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class Target : public TreeTest {
protected:
    ToolResult run(const std::vector<std::string> &args, bool out_is_terminal = false) const
    {
        std::istringstream in;
        std::ostringstream out;
        std::ostringstream err;
        const int status = mkdaxfs_main(args, in, out, err, nullptr, false, out_is_terminal);
        return {status, out.str(), err.str()};
    }

    std::string names_in(const fs::path &directory) const
    {
        std::set<std::string> names;
        for (const auto &entry : fs::directory_iterator(directory))
            names.insert(entry.path().filename());
        std::string all;
        for (const std::string &name : names)
            all += name + " ";
        return all;
    }
};

TEST_F(Target, InsideItsSourceIsLeftOut)
{
    add_file("a", noise(10000, 1));
    add_file("dir/b", "b");
    const auto expect_left_out = [&](const std::string &target, const std::string &from,
                                     const std::string &name) {
        const ToolResult first = run({target, from});
        ASSERT_EQ(first.status, 0) << first.err;
        EXPECT_EQ(first.err, "") << "there was nothing yet";
        const ToolResult again = run({target, from});
        ASSERT_EQ(again.status, 0) << again.err;
        EXPECT_EQ(again.err, "mkdaxfs: left out: /" + name + ", which is the image itself\n");
        EXPECT_EQ(run({target, from, "-q"}).err, "");
        EXPECT_EQ(run({target, from, "-x", name}).err, "") << "left out by a pattern";
        const ImageReader reader(target);
        EXPECT_FALSE(reader.find(name));
        EXPECT_TRUE(reader.find("a") && reader.find("dir/b"));
        fs::remove(target);
    };
    expect_left_out(source() / "image", source(), "image");
    expect_left_out(source() / "dir/image", source(), "dir/image");
    const fs::path before = fs::current_path();
    fs::current_path(source());
    expect_left_out("./o.img", ".", "o.img");
    expect_left_out("new", source(), "new");
    fs::current_path(before);
    // A symlink is what it is: what it leads to is the image.
    fs::create_symlink("image", source() / "dir/link");
    ASSERT_EQ(run({source() / "dir/link", source()}).status, 0);
    ASSERT_EQ(run({source() / "dir/link", source()}).err,
              "mkdaxfs: left out: /dir/image, which is the image itself\n");
    // Another name of an older image is a file like others, and so is one of that name elsewhere.
    fs::create_hard_link(source() / "dir/image", source() / "older");
    add_file("image", "not it");
    ASSERT_EQ(run({source() / "dir/link", source()}).status, 0);
    const ImageReader reader(source() / "dir/image");
    EXPECT_TRUE(reader.find("older") && reader.find("image") && reader.find("dir/link"));
    EXPECT_FALSE(reader.find("dir/image"));
}

TEST_F(Target, InsideItsSourceByAnotherName)
{
    add_file("a", "a");
    const std::string bound = root() / "bound";
    fs::create_directory(bound);
    const std::string said = shell("mount --bind " + source().string() + " " + bound);
    if (!said.empty())
        GTEST_SKIP() << "cannot bind here: " << said;
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(run({bound + "/image", source()}).status, 0);
    EXPECT_FALSE(ImageReader(source() / "image").find("image"));
    EXPECT_EQ(shell("umount " + bound), "");
}

TEST_F(Target, StandardOutput)
{
    add_file("a", noise(3 << 20, 1));
    add_file("b", "b");
    make();
    const fs::path before = fs::current_path();
    fs::current_path(root());
    const ToolResult result = run({"-", source()});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(result.out == read_file(image()));
    EXPECT_EQ(result.err.find("standard output: 5.2 MB, 3 inodes"), 0u) << result.err;
    const ToolResult json = run({"--json", "-", source()});
    EXPECT_TRUE(json.out == read_file(image()));
    EXPECT_EQ(json.err.find("{\"image\":\"standard output\""), 0u) << json.err;
    EXPECT_EQ(run({"-q", "-", source()}).err, "");
    EXPECT_FALSE(fs::exists("-"));
    const ToolResult terminal = run({"-", source()}, true);
    EXPECT_EQ(terminal.status, 2);
    EXPECT_EQ(terminal.out, "");
    EXPECT_NE(terminal.err.find("expected a pipe or a file as standard output, got a terminal"),
              std::string::npos);
    EXPECT_EQ(run({"./-", source(), "-q"}).status, 0);
    EXPECT_TRUE(read_file("-") == read_file(image()));
    fs::remove("-");
    setenv("TMPDIR", (root() / "nothing").c_str(), 1);
    const ToolResult no_place = run({"-", source()});
    unsetenv("TMPDIR");
    EXPECT_EQ(no_place.status, 1);
    EXPECT_EQ(no_place.out, "");
    EXPECT_NE(no_place.err.find("TMPDIR names another directory"), std::string::npos) << no_place.err;
    fs::current_path(before);
}

// Runs this in a child as a user who may not do everything.
template <typename Check> bool holds_for_a_user(const Check &check)
{
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(77);
        _exit(check() ? 0 : 1);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(Target, AWritableImageInADirectoryThatIsNot)
{
    add_file("a", "a");
    ASSERT_EQ(chmod(root().c_str(), 0755), 0);
    const fs::path locked = root() / "locked";
    fs::create_directory(locked);
    std::ofstream(locked / "image") << "old";
    ASSERT_EQ(chmod((locked / "image").c_str(), 0666), 0);
    ASSERT_EQ(chmod(locked.c_str(), 0555), 0);
    EXPECT_TRUE(holds_for_a_user([&] {
        const ToolResult result = run({locked / "image", source()});
        const std::string there = locked / "image";
        return result.status == 1 &&
               result.err ==
                   "mkdaxfs: cannot write the image " + there +
                       ": Permission denied (an image is made as a new file in " + locked.string() +
                       ": name one in a directory that can be written to, or write over it: mkdaxfs - "
                       "SOURCE >" +
                       there + ")\n";
    }));
    EXPECT_EQ(read_file(locked / "image"), "old");
    EXPECT_EQ(run({root() / "no/image", source()}).err,
              "mkdaxfs: cannot write the image " + (root() / "no/image").string() +
                  ": No such file or directory (an image is made as a new file in " +
                  (root() / "no").string() + ": name one in a directory that can be written to)\n");
}

// Is killed when it has written some.
class DeadlySource : public DirectorySource {
public:
    using DirectorySource::DirectorySource;

    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override
    {
        if (tree.path(node) == "victim")
            std::raise(SIGKILL);
        return DirectorySource::open(tree, node);
    }
};

TEST_F(Target, ARunThatIsKilledLeavesNothing)
{
    if (!UniqueFd(open(root().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)))
        GTEST_SKIP() << "expected a filesystem with O_TMPFILE";
    add_file("a", noise(3 << 20, 1));
    add_file("victim", "v");
    for (const bool is_there : {false, true}) {
        if (is_there)
            std::ofstream(image()) << "old";
        const pid_t child = fork();
        if (child == 0) {
            DeadlySource deadly(source(), {});
            build_image(deadly, image(), {}, {1, nullptr});
            _exit(0);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        EXPECT_EQ(names_in(root()), is_there ? "image source " : "source ");
    }
    EXPECT_EQ(read_file(image()), "old");
}

// What has the old image open keeps it, and its other names do.
TEST_F(Target, IsReplacedAsAWhole)
{
    add_file("a", "a");
    std::ofstream(image()) << "old";
    fs::create_hard_link(image(), root() / "kept");
    std::ifstream open_before(image());
    make();
    std::string before;
    open_before >> before;
    EXPECT_EQ(before + read_file(root() / "kept"), "oldold");
    EXPECT_TRUE(ImageReader(image()).find("a"));
    EXPECT_EQ(names_in(root()), "image kept source ");
    // The name that is taken for an instant is free again.
    const std::string taken = root() / (".image." + std::to_string(getpid()) + "-0");
    std::ofstream(taken) << "of another run";
    make();
    EXPECT_EQ(read_file(taken), "of another run");
    EXPECT_TRUE(ImageReader(image()).find("a"));
    struct stat st = {};
    ASSERT_EQ(stat(image().c_str(), &st), 0);
    EXPECT_EQ(st.st_nlink, 1u);
}

// Without /proc nobody but root could give a nameless file its name: it has one from the beginning.
TEST_F(Target, WithoutProc)
{
    add_file("a", noise(100000, 1));
    make();
    const std::string bytes = read_file(image());
    const pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("none", "/proc", "tmpfs", 0, nullptr) != 0)
            _exit(77);
        bool is_good = true;
        for (int i = 0; i < 2; ++i)
            is_good = is_good && run({root() / "other", source()}).status == 0 &&
                      read_file(root() / "other") == bytes && names_in(root()) == "image other source ";
        _exit(is_good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77)
        GTEST_SKIP() << "expected root, to hide /proc";
    EXPECT_EQ(status, 0);
}

} // namespace

} // namespace daxfs::test
