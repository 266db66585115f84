// SPDX-License-Identifier: Apache-2.0
// A tree put into an image and read in a guest is the tree: metadata, and content by read(2) and
// by both kinds of mmap(2).
#include <fstream>
#include <random>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "cache.hpp"
#include "container_image.hpp"
#include "dataset.hpp"
#include "harness.hpp"
#include "kernel.hpp"
#include "manifest.hpp"
#include "protocol.hpp"
#include "spec.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::json;
using daxtest::target;

void write_bytes(const fs::path &path, std::uint64_t bytes, unsigned seed)
{
    std::mt19937_64 random(seed);
    std::ofstream file(path, std::ios::binary);
    std::string block(4096, 0);
    while (bytes) {
        for (auto &byte : block)
            byte = static_cast<char>(random());
        const auto now = std::min<std::uint64_t>(bytes, block.size());
        file.write(block.data(), static_cast<std::streamsize>(now));
        bytes -= now;
    }
}

void set_mtime(const fs::path &path, std::int64_t seconds, long nanoseconds)
{
    const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

/// One of everything a tree can hold.
void make_tree(const fs::path &root)
{
    fs::create_directories(root / "many");
    for (const auto size : {0, 1, 4095, 4096, 4097, 65536, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 5 << 20})
        write_bytes(root / ("size-" + std::to_string(size)), static_cast<std::uint64_t>(size),
                    static_cast<unsigned>(size));
    for (int i = 0; i < 3000; ++i)
        std::ofstream(root / "many" / ("file-" + std::to_string(i))) << i;
    fs::create_directories(root / "a/b/c/d");
    fs::create_symlink("a/b", root / "link");
    fs::create_symlink(std::string(4000, 'x'), root / "long-link");
    fs::create_hard_link(root / "size-4097", root / "a/hard");
    fs::copy_file(root / "size-65536", root / "a/copy");
    std::ofstream(root / std::string("na\nme \xff\"'")) << "odd name";
    std::ofstream(root / std::string(255, 'n')) << "long name";
    ASSERT_EQ(mkfifo((root / "fifo").c_str(), 0640), 0);

    const int sparse = open((root / "sparse").c_str(), O_CREAT | O_WRONLY, 0600);
    ASSERT_GE(sparse, 0);
    ASSERT_EQ(pwrite(sparse, "start", 5, 0), 5);
    ASSERT_EQ(pwrite(sparse, "middle", 6, 10 << 20), 6);
    ASSERT_EQ(ftruncate(sparse, 32 << 20), 0);
    close(sparse);

    fs::permissions(root / "size-1", fs::perms(04755));
    set_mtime(root / "size-0", -86400, 123456789);
    set_mtime(root / "size-1", 5000000000, 999999999);
    set_mtime(root / "link", 1, 1);
    setxattr((root / "size-1").c_str(), "user.test", "value", 5, 0);
}

/// What only root can put into a tree.
void make_root_tree(const fs::path &root)
{
    ASSERT_EQ(mknod((root / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    ASSERT_EQ(mknod((root / "disk").c_str(), S_IFBLK | 0660, makedev(259, 1048575)), 0);
    ASSERT_EQ(mknod((root / "socket").c_str(), S_IFSOCK | 0600, 0), 0);
    ASSERT_EQ(chown((root / "size-4096").c_str(), 70000, 4000000000U), 0);
    ASSERT_EQ(setxattr((root / "size-1").c_str(), "trusted.test", "t", 1, 0), 0);
}

/// Compares the guest's manifest of the mount with the host's of the tree, line by line.
void expect_equal_trees(daxbench::Guest &guest, const std::vector<std::string> &want)
{
    for (const std::string mode : {"read", "mmap-shared", "mmap-private"}) {
        const auto answer = guest.call("manifest", {{"target", target}, {"mode", mode}}, Seconds(300));
        const auto got = answer.at("lines").get<std::vector<std::string>>();
        const auto differences = daxbench::diff_manifests(want, got);
        ASSERT_TRUE(differences.empty()) << mode << ":\n" << fmt::format("{}", fmt::join(differences, "\n"));
        ASSERT_EQ(got.size(), want.size()) << mode;
    }
}

TEST(Tree, OfEveryKindEqualsItsSource)
{
    daxbench::TempDir dir;
    const auto tree = dir.path() / "tree";
    make_tree(tree);
    if (daxbench::running_as_root())
        make_root_tree(tree);
    else
        std::puts("devices, sockets and foreign owners left out: only root can make them");
    daxtest::make_image(tree, dir.path() / "image");

    auto guest = daxtest::boot(dir.path() / "image", dir.path() / "logs");
    daxtest::mount(guest);
    expect_equal_trees(guest, daxbench::make_manifest(tree.string(), {}));
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

TEST(Tree, InSeveralKernelsAtOnceEqualsItsSource)
{
    daxbench::TempDir dir;
    const auto tree = dir.path() / "tree";
    make_tree(tree);
    const auto image = dir.path() / "image";
    daxtest::make_image(tree, image);
    const auto want = daxbench::make_manifest(tree.string(), {});

    auto first = daxtest::boot(image, dir.path() / "first");
    auto second = daxtest::boot(image, dir.path() / "second");
    daxtest::mount(first);
    daxtest::mount(second);
    expect_equal_trees(first, want);
    expect_equal_trees(second, want);
    // What one of them does, down to its end, is nothing to the other.
    daxtest::expect_clean_log(first);
    first.shutdown();
    second.call("drop_caches", daxtest::json::object(), daxbench::Seconds(60));
    expect_equal_trees(second, want);
    daxtest::expect_clean_log(second);
    second.shutdown();
}

TEST(Tree, ByTheKernelsOwnDaxPathsEqualsItsSource)
{
    daxbench::TempDir dir;
    const auto tree = dir.path() / "tree";
    make_tree(tree);
    const auto image = dir.path() / "image";
    daxbench::run_checked({(daxtest::bench().build / "mkdaxfs/mkdaxfs").string(), "--quiet", "--no-dedupe",
                           image.string(), tree.string()});
    daxtest::pad_image(image);

    auto guest = daxtest::boot(image, dir.path() / "logs");
    const std::string options = daxtest::mount(guest, "ro,fault=iomap").at("options");
    EXPECT_NE(options.find("fault=iomap"), std::string::npos) << options;
    expect_equal_trees(guest, daxbench::make_manifest(tree.string(), {}));
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

std::vector<std::string> lines_of(const fs::path &file)
{
    std::ifstream in(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

TEST(Tree, OfAContainerImageIsWhatUmociUnpacks)
{
    if (!daxbench::find_program("umoci"))
        GTEST_SKIP() << "umoci is not installed";
    daxbench::TempDir dir;
    const auto made = daxfs::test::make_container_image(dir.path());
    daxbench::Argv argv{(daxtest::bench().build / "mkdaxfs/mkdaxfs").string(), "--quiet",
                        (dir.path() / "image").string(), "--oci", made.layout + ":v3"};
    argv.insert(argv.end(), made.owners.begin(), made.owners.end());
    daxbench::run_checked(argv);
    daxtest::pad_image(dir.path() / "image");

    auto guest = daxtest::boot(dir.path() / "image", dir.path() / "logs");
    daxtest::mount(guest);
    expect_equal_trees(guest, daxbench::make_manifest(made.unpacked, {}));
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

/// Each layer in a range of its own; overlayfs makes of them what mkdaxfs makes of the whole.
TEST(Tree, OfLayersMergedByOverlayfsIsWhatUmociUnpacks)
{
    if (!daxbench::find_program("umoci"))
        GTEST_SKIP() << "umoci is not installed";
    daxbench::TempDir dir;
    const auto made = daxfs::test::make_container_image(dir.path());
    const auto image = dir.path() / "image";
    daxbench::Argv argv{(daxtest::bench().build / "mkdaxfs/mkdaxfs").string(),
                        "--quiet",
                        "--layers",
                        image.string(),
                        "--oci",
                        made.layout + ":v3"};
    argv.insert(argv.end(), made.owners.begin(), made.owners.end());
    daxbench::run_checked(argv);
    constexpr std::uint64_t place = 8 << 20;
    constexpr int layers = 3;
    std::ofstream all(image, std::ios::binary);
    for (int i = 1; i <= layers; ++i) {
        const auto layer = image.string() + "." + std::to_string(i);
        ASSERT_LE(fs::file_size(layer), place);
        all << std::ifstream(layer, std::ios::binary).rdbuf();
        all.seekp(static_cast<std::streamoff>(i * place));
    }
    all.close();
    EXPECT_FALSE(fs::exists(image.string() + ".4"));
    fs::resize_file(image, 4 * place); // a power of two

    daxtest::BootOptions options;
    options.medium = "ivshmem";
    options.modules = {"daxfs", "overlay"};
    auto guest = daxtest::boot(image, dir.path() / "logs", options);
    const auto start = daxtest::shared_memory_start(guest);
    std::string lower;
    for (int i = 0; i < layers; ++i) {
        const auto at = fmt::format("/mnt/layer{}", i);
        const auto mounted = daxtest::run_plain(
            guest, {"/bin/busybox", "sh", "-c",
                    fmt::format("mkdir -p {0} {1} && mount -t daxfs -o ro,validate,phys={2:#x},size={3} "
                                "none {0}",
                                at, target, start + i * place, place)});
        ASSERT_EQ(mounted.status, 0) << mounted.err;
        lower = at + (i == 0 ? "" : ":") + lower;
    }
    const auto merged = daxtest::run_plain(
        guest, {"/bin/busybox", "mount", "-t", "overlay", "-o", "lowerdir=" + lower, "overlay", target});
    ASSERT_EQ(merged.status, 0) << merged.err;
    expect_equal_trees(guest, daxbench::make_manifest(made.unpacked, {}));
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

/// A disk with gdb and the libraries it needs: of Debian, unpacked and not installed.
fs::path debugger_disk()
{
    const std::string package = "gdb-minimal";
    const auto listed =
        daxbench::run_checked({"apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
                               "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", package})
            .out;
    std::vector<std::string> packages;
    std::istringstream lines(listed);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("lib") || line.starts_with("zlib1g") || line == package)
            packages.push_back(line);
    const auto key = daxbench::xxh3_text(
        daxbench::run_checked({"apt-cache", "show", "--no-all-versions", package}).out + listed);
    const auto dir = daxbench::Cache::entry("debugger", key, [&](const fs::path &aside) {
        daxbench::unpack_debian_packages(packages, aside / "root", [](const std::string &) {});
        daxbench::run_checked(
            {"mkfs.erofs", "--quiet", (aside / "disk").string(), (aside / "root").string()});
        daxtest::pad_image(aside / "disk");
        fs::remove_all(aside / "root");
    });
    return dir / "disk";
}

class RootFilesystem : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        const auto catalogue = daxbench::load_catalogue(daxtest::bench().source / "workloads");
        dataset_ = new daxbench::Dataset(
            daxbench::ensure_dataset(catalogue.datasets.at("rootfs"), daxtest::progress));
        dir_ = new daxbench::TempDir;
        const auto image = dir_->path() / "image";
        daxbench::run_checked(
            daxbench::dataset_command(*dataset_, {(daxtest::bench().build / "mkdaxfs/mkdaxfs").string(),
                                                  "--quiet", image.string(), dataset_->dir.string()}));
        daxtest::pad_image(image);
        hash_ = daxbench::xxh3_file(image);
        daxtest::BootOptions options;
        options.modules = {"daxfs", "erofs", "overlay"};
        options.tools = debugger_disk();
        guest_ = new daxbench::Guest(daxtest::boot(image, dir_->path() / "logs", options));
        daxtest::mount(*guest_);
    }

    static void TearDownTestSuite()
    {
        delete guest_;
        delete dir_;
        delete dataset_;
    }

    void TearDown() override { daxtest::expect_clean_log(*guest_); }

    /// Standard output of a program run in a chroot on the mount; must exit with 0.
    static std::string output(const std::vector<std::string> &argv)
    {
        const auto result = daxtest::run(*guest_, argv, target);
        EXPECT_EQ(result.at("status"), 0) << result.dump();
        return result.at("stdout");
    }

    /// Runs a shell command in the initramfs; must exit with 0.
    static std::string shell(const std::string &command)
    {
        const auto result = daxtest::run(*guest_, {"/bin/busybox", "sh", "-c", command});
        EXPECT_EQ(result.at("status"), 0) << command << ": " << result.dump();
        return result.at("stdout");
    }

    static inline std::string hash_;
    static inline daxbench::Dataset *dataset_;
    static inline daxbench::TempDir *dir_;
    static inline daxbench::Guest *guest_;
};

TEST_F(RootFilesystem, EqualsItsSource)
{
    const auto want = lines_of(dataset_->manifest_path);
    ASSERT_GT(want.size(), 5000U);
    expect_equal_trees(*guest_, want);
}

TEST_F(RootFilesystem, RunsItsPrograms)
{
    EXPECT_EQ(output({"/bin/bash", "-c", "echo $((6*7))"}), "42%0A");
    EXPECT_EQ(output({"/usr/bin/perl", "-e", "use POSIX; print floor(42.5)"}), "42");
    EXPECT_EQ(output({"/usr/bin/python3", "-c", "import json; print(json.dumps([42]))"}), "[42]%0A");
    EXPECT_EQ(output({"/usr/bin/git", "--version"}).rfind("git%20version%20", 0), 0U);
}

TEST_F(RootFilesystem, KeepsNothingInThePageCache)
{
    guest_->call("drop_caches", json::object(), Seconds(60));
    const auto before = guest_->call("memory", json::object(), Seconds(30));
    guest_->call("manifest", {{"target", target}, {"mode", "read"}}, Seconds(300));
    guest_->call("manifest", {{"target", target}, {"mode", "mmap-shared"}}, Seconds(300));
    const auto after = guest_->call("memory", json::object(), Seconds(30));
    EXPECT_EQ(after.at("page_cache").get<std::int64_t>() + after.at("buffers").get<std::int64_t>(),
              before.at("page_cache").get<std::int64_t>() + before.at("buffers").get<std::int64_t>());
}

TEST_F(RootFilesystem, StartsAContainer)
{
    shell("mkdir -p /tmp/upper /tmp/work /mnt/merged && mount -t overlay -o "
          "lowerdir=/mnt/x,upperdir=/tmp/upper,workdir=/tmp/work overlay /mnt/merged");
    const std::string script =
        "import sys, importlib\n"
        "skip = {'antigravity', 'this', 'tkinter', '_tkinter', 'turtle', 'turtledemo', 'idlelib'}\n"
        "count, failed = 0, []\n"
        "for name in sorted(sys.stdlib_module_names - skip):\n"
        "    try:\n"
        "        importlib.import_module(name); count += 1\n"
        "    except ImportError:\n"
        "        failed.append(name)\n"
        "open('/root/written', 'w').write('by python')\n"
        "open('/etc/hostname', 'w').write('container')\n"
        "print(count, *failed)\n";
    const auto result = guest_->call("exec",
                                     {{"argv", {"/usr/bin/python3", "-c", daxbench::percent_encode(script)}},
                                      {"chroot", "/mnt/merged"},
                                      {"timeout_s", 240}},
                                     Seconds(260));
    ASSERT_EQ(result.at("status"), 0) << result.dump();
    const auto out = daxbench::percent_decode(result.at("stdout").get<std::string>());
    // Modules of other systems (nt, winreg) and of packages left out are not there.
    EXPECT_GT(std::stoi(out), 200) << out;
    EXPECT_EQ(shell("cat /tmp/upper/root/written"), "by%20python");
    EXPECT_EQ(shell("cat /tmp/upper/etc/hostname"), "container");
    EXPECT_EQ(shell("test -e /mnt/x/root/written || echo untouched"), "untouched%0A");
    shell("umount /mnt/merged");
}

TEST_F(RootFilesystem, IsAsItWasAfterAllThat)
{
    EXPECT_EQ(daxbench::xxh3_file(dir_->path() / "image"), hash_);
}

TEST_F(RootFilesystem, ShowsItsProgramsToADebugger)
{
    guest_->call("mount", {{"type", "erofs"}, {"source", "tools"}, {"options", "ro"}, {"target", "/tools"}},
                 Seconds(30));
    shell("mount --bind /tools /mnt/x/mnt && mount --bind /proc /mnt/x/proc");
    const std::string libraries = "/mnt/lib/x86_64-linux-gnu:/mnt/usr/lib/x86_64-linux-gnu";
    const auto result = guest_->call("exec",
                                     {{"argv",
                                       {"/mnt/lib64/ld-linux-x86-64.so.2",
                                        "--library-path",
                                        libraries,
                                        "/mnt/usr/bin/gdb",
                                        "-nx",
                                        "-batch",
                                        "-ex",
                                        "set%20startup-with-shell%20off",
                                        "-ex",
                                        "break%20parse_and_execute",
                                        "-ex",
                                        "run",
                                        "-ex",
                                        "backtrace",
                                        "-ex",
                                        "stepi",
                                        "-ex",
                                        "stepi",
                                        "-ex",
                                        "x/i%20$pc",
                                        "-ex",
                                        "break%20exit_shell",
                                        "-ex",
                                        "continue",
                                        "-ex",
                                        "step",
                                        "-ex",
                                        "delete",
                                        "-ex",
                                        "continue",
                                        "--args",
                                        "/bin/bash",
                                        "-c",
                                        "times"}},
                                      {"chroot", target},
                                      {"timeout_s", 200}},
                                     Seconds(220));
    const auto out = daxbench::percent_decode(result.at("stdout").get<std::string>());
    const auto has = [&](const std::string &part) { return out.find(part) != std::string::npos; };
    EXPECT_TRUE(has("Breakpoint 1, ")) << out << result.dump();
    EXPECT_TRUE(has("#0  ") && has(" in parse_and_execute ()")) << out;
    EXPECT_TRUE(has("=> 0x")) << out;
    EXPECT_TRUE(has("Breakpoint 2, ") && has(" in exit_shell ()")) << out;
    EXPECT_TRUE(has("Single stepping until exit from function exit_shell")) << out;
    EXPECT_TRUE(has("0m0.")) << out;
    EXPECT_TRUE(has("[Inferior 1 (process ")) << out;
    shell("umount /mnt/x/mnt && umount /mnt/x/proc && umount /tools");
}

} // namespace
