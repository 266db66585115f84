// SPDX-License-Identifier: Apache-2.0
// What mkdaxfs says, and leaves, when it cannot do what it was asked.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "build_image.hpp"
#include "directory_source.hpp"
#include "mkdaxfs.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"
#include "unique_fd.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class MkdaxfsErrors : public TreeTest {
protected:
    ToolResult run(const std::vector<std::string> &args, const std::atomic<bool> *stop = nullptr) const
    {
        std::istringstream in;
        std::ostringstream out;
        std::ostringstream err;
        const int status = mkdaxfs_main(args, in, out, err, stop);
        return {status, out.str(), err.str()};
    }

    void expect_failure(const ToolResult &result, int status, const std::string &part) const
    {
        EXPECT_EQ(result.status, status);
        EXPECT_EQ(result.out, "");
        EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
        EXPECT_EQ(result.err.find("mkdaxfs: "), 0u) << result.err;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
        expect_only_source();
    }

    // Not even a temporary file is left.
    void expect_only_source() const
    {
        for (const auto &entry : fs::directory_iterator(root()))
            EXPECT_EQ(entry.path().filename(), "source");
    }
};

TEST_F(MkdaxfsErrors, Usage)
{
    EXPECT_EQ(run({}).status, 2);
    EXPECT_EQ(run({"only-one"}).status, 2);
    expect_failure(mkdaxfs({"--no-such-option"}), 2, "--no-such-option");
    expect_failure(mkdaxfs({"--align", "3000"}), 2, "power of 2");
    expect_failure(mkdaxfs({"--label", std::string(33, 'l')}), 2, "at most 32");
    expect_failure(mkdaxfs({"--uuid", "xyz"}), 2, "32 hexadecimal");
    EXPECT_EQ(run({"--help"}).status, 0);
    EXPECT_NE(run({"--version"}).out.find("format version 1"), std::string::npos);
}

TEST_F(MkdaxfsErrors, EmptyValues)
{
    for (const std::string option :
         {"--digest", "--order", "--file-contexts", "--uuid", "--exclude", "--exclude-regex",
          "--xattr-exclude", "--tar", "--device", "--uid-offset"}) {
        // Not always the same words: what CLI11 cannot convert it refuses itself.
        EXPECT_EQ(mkdaxfs({option, ""}).status, 2) << option;
        expect_only_source();
        expect_failure(mkdaxfs({option + "="}), 2, "expected a value for " + option + ", got an empty one");
    }
    expect_failure(mkdaxfs({"--order", ""}), 2, "expected a value for --order, got an empty one");
    expect_failure(run({"--device", "", "new-name", source()}), 2, "expected a value for --device");
    expect_failure(run({"", source()}), 2, "expected a value for IMAGE");
    make({"--label", ""});
    fs::remove(image());
}

TEST_F(MkdaxfsErrors, SourceMissing)
{
    expect_failure(run({image(), root() / "nothing"}), 1, "No such file");
    expect_failure(run({image(), add_file("file", "x")}), 1, "Not a directory");
}

TEST_F(MkdaxfsErrors, TargetImpossible)
{
    fs::create_directory(image());
    const ToolResult result = mkdaxfs();
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.err.find("no regular file"), std::string::npos) << result.err;
    fs::remove(image());
    expect_failure(run({root() / "no" / "image", source()}), 1, "No such file");
}

TEST_F(MkdaxfsErrors, NumbersAreNotCutToWhatFits)
{
    for (const std::string option : {"--mtime", "--uid-offset", "--force-gid"}) {
        for (const std::string value :
             {"9223372036854775808", "-9223372036854775809", "0x10", "1 ", "1k", "+-1", "+"})
            expect_failure(mkdaxfs({option + "=" + value}), 2, "expected a number from ");
    }
    expect_failure(mkdaxfs({"--force-uid", "4294967295"}), 2,
                   "expected a number from 0 to 4294967294, got 4294967295");
    for (const std::string value : {"99999999999999999999", "", "1x"}) {
        setenv("SOURCE_DATE_EPOCH", value.c_str(), 1);
        expect_failure(mkdaxfs(), 2, "SOURCE_DATE_EPOCH: expected seconds, got " + value);
    }
    setenv("SOURCE_DATE_EPOCH", "010", 1);
    make({"--mtime=-0012", "--uid-offset=+7"});
    unsetenv("SOURCE_DATE_EPOCH");
    const ImageReader reader(image());
    EXPECT_EQ(reader.image().build_sec, 10);
    EXPECT_EQ(attr_of(reader, "").mtime_sec, -12);
    EXPECT_EQ(attr_of(reader, "").uid, getuid() + 7);
    fs::remove(image());
    expect_failure(mkdaxfs({"--label", "\xff\xfe"}), 2, "--label: expected UTF-8, got \\xff\\xfe");
}

TEST_F(MkdaxfsErrors, ImageIsASource)
{
    const std::string list = add_file("list", "daxfs-text 1\n");
    const std::string again = source() / "again";
    fs::create_hard_link(list, again);
    const auto expect_refused = [&](const std::vector<std::string> &args) {
        expect_failure(run(args), 1, "would replace " + list + ", which it is made of");
        EXPECT_EQ(read_file(list), "daxfs-text 1\n");
    };
    for (const std::string option : {"--tar", "--text", "--oci"}) {
        expect_refused({list, option, list});
        expect_refused({again, option, list});
    }
    expect_refused({list, "--oci", list + ":tag"});
    fs::create_directory(source() / "tree");
    expect_refused({list, source() / "tree", "--order", list});
    if (DAXFS_HAVE_SELINUX)
        expect_refused({list, source() / "tree", "--file-contexts", list});
}

TEST_F(MkdaxfsErrors, DirectoryForAFile)
{
    const std::string dir = source();
    expect_failure(mkdaxfs({"--order", dir}), 1, "cannot read " + dir + ": Is a directory");
    expect_failure(run({image(), "--text", dir}), 1, "cannot read " + dir + ": Is a directory");
    if (DAXFS_HAVE_SELINUX)
        expect_failure(mkdaxfs({"--file-contexts", dir}), 1,
                       "expected a regular file with file contexts, got " + dir);
}

TEST_F(MkdaxfsErrors, OwnersOutOfRange)
{
    const std::string text = "daxfs-text 1\nreg /a uid=5 gid=7\n";
    const auto try_text = [&](std::vector<std::string> args) {
        args.insert(args.end(), {image(), "--text", "-"});
        std::istringstream in(text);
        std::ostringstream out;
        std::ostringstream err;
        const int status = mkdaxfs_main(args, in, out, err);
        return ToolResult{status, out.str(), err.str()};
    };
    expect_failure(
        try_text({"--force-gid", "1", "--uid-offset=-1"}), 1,
        "expected a number from 0 to 4294967294 for /, got 0 + -1 (--uid-offset): give another offset");
    expect_failure(try_text({"--gid-offset", "5000000000"}), 1, "0 + 5000000000 (--gid-offset)");
    expect_failure(try_text({"--gid-offset", "4294967288"}), 1, "for /a, got 7 + 4294967288 (--gid-offset)");
    expect_failure(try_text({"--uid-offset", "9223372036854775807"}), 1, "0 + 9223372036854775807");
    const ToolResult last = try_text({"--gid-offset", "4294967287", "--force-uid", "3", "--uid-offset=-9"});
    ASSERT_EQ(last.status, 0) << last.err;
    {
        const ImageReader reader(image());
        EXPECT_EQ(attr_of(reader, "a").gid, 4294967294u);
        EXPECT_EQ(attr_of(reader, "a").uid, 3u) << "--force-uid wins";
    }
    fs::remove(image());
}

TEST_F(MkdaxfsErrors, Unreadable)
{
    add_file("dir/secret", "x");
    add_file("locked/inside", "x");
    ASSERT_EQ(chmod((source() / "dir/secret").c_str(), 0), 0);
    ASSERT_EQ(chmod((source() / "locked").c_str(), 0), 0);
    // Root reads everything, so a child gives its rights up for this.
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 &&
            (chown(root().c_str(), 65534, 65534) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
            _exit(77);
        const ToolResult result = mkdaxfs({"--threads", "4", "--exclude", "locked"});
        const ToolResult locked = mkdaxfs({"--exclude", "secret"});
        const ToolResult going = mkdaxfs({"--keep-going", "-q"}, "kept");
        const bool left_out = going.status == 3 && ImageReader(image("kept")).find("dir") &&
                              !ImageReader(image("kept")).find("dir/secret") &&
                              going.err.find("left out: cannot open /dir/secret") != std::string::npos;
        const bool empty_directory =
            going.err.find("left out: cannot read the directory /locked: Permission denied\n") !=
                std::string::npos &&
            ImageReader(image("kept")).find("locked") && !ImageReader(image("kept")).find("locked/inside") &&
            locked.status == 1 &&
            locked.err == "mkdaxfs: cannot read the directory /locked: Permission denied\n";
        const ToolResult counted = mkdaxfs({"--keep-going", "--json"}, "kept");
        const bool is_counted =
            counted.status == 3 && nlohmann::json::parse(counted.out)["left_out"] == 2 &&
            mkdaxfs({"--keep-going"}, "kept").out.find(", 2 left out, ") != std::string::npos &&
            mkdaxfs({"--keep-going", "-q", "-x", "secret", "-x", "locked"}, "kept").status == 0;
        fs::remove(image("kept"));
        const bool named = result.err.find("/dir/secret: Permission denied") != std::string::npos;
        _exit(result.status == 1 && named && left_out && empty_directory && is_counted ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    chmod((source() / "locked").c_str(), 0700); // to be removed
    expect_only_source();
}

TEST_F(MkdaxfsErrors, TargetInALockedDirectory)
{
    const std::string target = source() / "locked/image";
    fs::create_directory(source() / "locked");
    ASSERT_EQ(chmod((source() / "locked").c_str(), 0), 0);
    ASSERT_EQ(chmod(root().c_str(), 0755), 0);
    fs::create_directory(source() / "tree");
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(77);
        const ToolResult result = run({target, source() / "tree"});
        _exit(result.status == 1 &&
                      result.err == "mkdaxfs: cannot write the image " + target +
                                        ": Permission denied (an image is made as a new file in " +
                                        (source() / "locked").string() +
                                        ": name one in a directory that can be written to)\n"
                  ? 0
                  : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    chmod((source() / "locked").c_str(), 0700);
}

TEST_F(MkdaxfsErrors, TheTargetKeepsItsModeAndMayHaveALongName)
{
    add_file("a", "x");
    const std::string target = root() / std::string(255, 'i');
    std::ofstream(target) << "private";
    ASSERT_EQ(chmod(target.c_str(), 0600), 0);
    const ToolResult result = run({target, source()});
    ASSERT_EQ(result.status, 0) << result.err;
    struct stat st = {};
    ASSERT_EQ(stat(target.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
    EXPECT_TRUE(ImageReader(target).find("a"));
    fs::remove(target);
    expect_only_source();
}

TEST_F(MkdaxfsErrors, StoppedLeavesNothing)
{
    for (int i = 0; i < 100; ++i)
        add_file(std::to_string(i), noise(1000, i));
    const std::atomic<bool> stop = true;
    expect_failure(run({image(), source()}, &stop), 130, "interrupted");
}

// A pipe whose writer says nothing is waited for until a signal comes.
TEST_F(MkdaxfsErrors, SilentPipesAreLeft)
{
    const std::string fifo = source() / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    const UniqueFd silent(open(fifo.c_str(), O_RDWR | O_CLOEXEC));
    for (const std::string option : {"--tar", "--text", "--oci", "--order"}) {
        std::atomic<bool> stop = false;
        std::jthread signal([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            stop = true;
        });
        expect_failure(run({image(), option, fifo, source()}, &stop), 130, "interrupted");
    }
}

// Whatever path leads to it.
TEST_F(MkdaxfsErrors, APrivateImageStaysPrivate)
{
    make();
    ASSERT_EQ(chmod(image().c_str(), 0600), 0);
    for (const fs::path &path : {image(), root() / "nowhere/.." / image().filename()}) {
        const ToolResult result = run({path, source()});
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_EQ(fs::status(image()).permissions(), fs::perms(0600)) << path;
    }
    fs::remove(image());
}

TEST_F(MkdaxfsErrors, ASymlinkToTheTargetStays)
{
    add_file("a", "x");
    const fs::path target = source() / "target";
    const fs::path link = root() / "link";
    fs::create_directory(source() / "tree");
    fs::create_symlink("second", link);
    fs::create_symlink("source/target", root() / "second");
    for (int i = 0; i < 2; ++i) { // there is nothing yet, then an image
        const ToolResult result = run({link, source() / "tree"});
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_TRUE(fs::is_symlink(link) && fs::is_symlink(root() / "second"));
        EXPECT_TRUE(ImageReader(target).find(""));
    }
}

// Hands out one file shorter than it said.
class ShrinkingSource : public DirectorySource {
public:
    using DirectorySource::DirectorySource;

    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override
    {
        if (tree.path(node) == "victim")
            fs::resize_file(victim, 10);
        return DirectorySource::open(tree, node);
    }

    fs::path victim;
};

TEST_F(MkdaxfsErrors, SourceChangesWhileItIsRead)
{
    for (const std::size_t size : {1000, 100000, 5000000}) {
        for (int i = 0; i < 50; ++i)
            add_file("f" + std::to_string(i), noise(1000, i));
        ShrinkingSource shrinking(source(), {});
        shrinking.victim = add_file("victim", noise(size, 1));
        try {
            build_image(shrinking, image(), {}, {4, nullptr});
            ADD_FAILURE() << "no error";
        } catch (const std::runtime_error &error) {
            EXPECT_NE(std::string(error.what()).find("/victim changed"), std::string::npos) << error.what();
        }
        expect_only_source();
    }
}

TEST_F(MkdaxfsErrors, BlockDevice)
{
    add_file("file", noise(3 << 20, 1));
    add_file("small", "x");
    fs::resize_file(add_file("../disk", ""), 16 << 20);
    std::string device = shell("losetup --find --show " + (root() / "disk").string());
    if (!device.starts_with("/dev/loop")) {
        fs::remove(root() / "disk");
        GTEST_SKIP() << "no loop devices: " << device;
    }
    device.pop_back();
    const auto text = [&](const ToolResult &result) { return std::to_string(result.status) + result.err; };
    EXPECT_EQ(text(run({device, source(), "-q"})), "0");
    make();
    const std::string bytes = read_file(image());
    EXPECT_TRUE(read_file(device).substr(0, bytes.size()) == bytes);
    EXPECT_NE(run({device, source()}).err.find("--force overwrites it"), std::string::npos);
    // What was there before does not show through.
    std::ofstream(device, std::ios::binary) << noise(16 << 20, 2);
    EXPECT_EQ(text(run({device, source(), "-q", "--force"})), "0");
    EXPECT_TRUE(read_file(device).substr(0, bytes.size()) == bytes);
    add_file("too-large", noise(20 << 20, 3));
    EXPECT_NE(run({device, source(), "--force"}).err.find("No space left"), std::string::npos);
    EXPECT_EQ(shell("losetup --detach " + device), "");
}

TEST_F(MkdaxfsErrors, FailureKeepsTheOldImage)
{
    add_file("file", "x");
    make();
    const std::string before = read_file(image());
    const std::atomic<bool> stop = true;
    EXPECT_EQ(run({image(), source()}, &stop).status, 130);
    EXPECT_EQ(read_file(image()), before);
    fs::remove(image());
}

TEST_F(MkdaxfsErrors, SummaryAsJson)
{
    add_file("a", noise(5000, 1));
    add_file("b", noise(5000, 1));
    const ToolResult result = mkdaxfs({"--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    const auto summary = nlohmann::json::parse(result.out);
    EXPECT_EQ(summary["inodes"], 3);
    EXPECT_EQ(summary["left_out"], 0);
    EXPECT_EQ(summary["shared_bytes"], 8192);
    EXPECT_EQ(summary["image_bytes"], fs::file_size(image()));
    EXPECT_EQ(mkdaxfs({"--quiet"}).out, "");
}

} // namespace

} // namespace daxfs::test
