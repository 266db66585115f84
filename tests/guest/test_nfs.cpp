// SPDX-License-Identifier: Apache-2.0
// A mount exported by the kernel's NFS server to the client of the same guest. There is no daemon:
// the test writes into the server's caches what mountd would answer.
#include <fstream>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "harness.hpp"
#include "manifest.hpp"

namespace {

namespace fs = std::filesystem;
using daxtest::contains;

constexpr const char *client = "/mnt/client";

// The export is not read-only (NFSEXP_READONLY): DAXFS is what refuses to write. 0 in it is the
// number that makes it the root of NFSv4 (NFSEXP_FSID), 1 the type of a handle with such a number.
constexpr const char *functions = R"(
set -e
rpc=/proc/net/rpc nfsd=/proc/fs/nfsd
answer() {
	echo 'nfsd 127.0.0.1 2147483647 guest' > $rpc/auth.unix.ip/channel
	echo "guest /mnt/x 2147483647 $flags 65534 65534 0" > $rpc/nfsd.export/channel
	echo 'guest 1 \x00000000 2147483647 /mnt/x' > $rpc/nfsd.fh/channel
}
start() {
	echo '-3 +4' > $nfsd/versions
	echo 'tcp 2049' > $nfsd/portlist
	echo 2 > $nfsd/threads
	answer
}
stop() {
	echo 0 > $nfsd/threads
}
forget() {
	for cache in nfsd.fh nfsd.export auth.unix.ip; do
		date +%s > $rpc/$cache/flush
	done
}
unmount() {
	# The server lets go of it in the background.
	tries=0
	until umount /mnt/x 2>/dev/null; do
		[ $((tries += 1)) -lt 100 ]
		usleep 100000
	done
}
mount_again() {
	unmount
	mount -t daxfs -o ro /dev/pmem0 /mnt/x
}
)";

constexpr unsigned no_subtree_check = 0x2400; ///< NFSEXP_FSID | NFSEXP_NOSUBTREECHECK
constexpr unsigned subtree_check = 0x2000;    ///< handles name a parent, too

/// "       0\n       1\n…": a line of 8 bytes for each number.
std::string numbers(int count)
{
    std::string text;
    for (int i = 0; i < count; ++i)
        text += fmt::format("{:7}\n", i);
    return text;
}

class Nfs : public daxtest::GuestTest {
protected:
    void SetUp() override
    {
        fs::create_directories(tree_ / "many");
        fs::create_directories(tree_ / "a/b/c");
        for (int i = 0; i < 2000; ++i)
            std::ofstream(tree_ / "many" / ("file-" + std::to_string(i))) << i;
        std::ofstream(tree_ / "numbers") << numbers(1 << 17);
        std::ofstream(tree_ / "a/b/file") << "content\n";
        fs::create_hard_link(tree_ / "numbers", tree_ / "a/hard");
        fs::create_symlink("b/file", tree_ / "a/link");
        std::ofstream(tree_ / "sparse") << "start";
        fs::resize_file(tree_ / "sparse", 1 << 20);
        ASSERT_EQ(mkfifo((tree_ / "fifo").c_str(), 0640), 0);
        setxattr((tree_ / "numbers").c_str(), "user.test", "value", 5, 0);
        daxtest::make_image(tree_, image_);
    }

    /// Runs a script with the functions above; it prints nothing but what it is asked for.
    std::string script(const std::string &text, unsigned flags = no_subtree_check)
    {
        const auto ran = sh(fmt::format("flags={}\n{}{}", flags, functions, text));
        EXPECT_EQ(ran.status, 0) << text << ran.err;
        return ran.out;
    }

    void serve()
    {
        boot("pmem", {"daxfs", "nfs"});
        daxtest::mount(*guest_);
        script("ifconfig lo 127.0.0.1 up; mkdir -p /var/lib/nfs/v4recovery\n"
               "mount -t nfsd nfsd $nfsd; echo 10 > $nfsd/nfsv4gracetime");
    }

    /// With small requests, so that a folder is listed in many of them.
    void mount_client()
    {
        script("echo Y > $nfsd/v4_end_grace; mkdir -p /mnt/client\n"
               "/usr/bin/mount -i -t nfs4 -o vers=4.2,rsize=4096,"
               "addr=127.0.0.1,clientaddr=127.0.0.1 127.0.0.1:/ /mnt/client");
    }

    /// How many times the client sent it.
    int requests(const std::string &operation)
    {
        return std::stoi(
            script("sed -n 's/^\t *" + operation + ": \\([0-9]*\\) .*/\\1/p' /proc/self/mountstats"));
    }

    /// The manifest, without the attribute that NFS makes of a mode.
    std::vector<std::string> lines()
    {
        std::vector<std::string> all;
        for (const auto &line : manifest("read", client)) {
            auto entry = nlohmann::ordered_json::parse(line.get<std::string>());
            if (entry.contains("xattrs")) {
                entry["xattrs"].erase("system.nfs4_acl");
                if (entry["xattrs"].empty())
                    entry.erase("xattrs");
            }
            all.push_back(entry.dump());
        }
        return all;
    }

    void check_handles(unsigned flags);

    fs::path tree_ = dir_.path() / "tree";
};

TEST_F(Nfs, AnExportEqualsItsSourceAndIsReadOnly)
{
    serve();
    script("start");
    mount_client();
    const auto want = daxbench::make_manifest(tree_.string(), {});
    const auto got = lines();
    const auto differences = daxbench::diff_manifests(want, got);
    EXPECT_TRUE(differences.empty()) << fmt::format("{}", fmt::join(differences, "\n"));
    EXPECT_EQ(got.size(), want.size());
    EXPECT_GT(requests("READDIR"), 15) << "the folder of many was not listed in parts";

    EXPECT_TRUE(contains(script("grep nfs4 /proc/mounts"), " rw,"));
    for (const std::string command :
         {"touch /mnt/client/new", "mkdir /mnt/client/new", "echo x >> /mnt/client/numbers",
          "rm /mnt/client/fifo", "chmod 600 /mnt/client/numbers"}) {
        const auto ran = sh(command);
        EXPECT_NE(ran.status, 0) << command;
        EXPECT_TRUE(contains(ran.err, "Read-only file system")) << command << ": " << ran.err;
    }
    script("umount /mnt/client; stop; unmount");
    finish();
}

/// What a client holds on to, an open file and a folder it works in, is good after all that the
/// server knew of it is gone.
void Nfs::check_handles(unsigned flags)
{
    serve();
    // A delegation would keep files open in the server that the client has closed.
    script("echo 0 > /proc/sys/fs/leases-enable; start", flags);
    mount_client();
    const auto part = [](int number) { return numbers(1 << 17).substr(number << 18, 1 << 18); };
    const std::string files = "content\ncontent\n2000\n";
    const auto out = script(R"(
drop() { echo 3 > /proc/sys/vm/drop_caches; }
read_on() { dd bs=256k count=1 2>/dev/null <&3; }
read_files() { cat ../file ../../link; ls ../../../many | wc -l; }
# Busy: they have ended by themselves, where the guest is slow.
end_grace() { echo Y > $nfsd/v4_end_grace 2>/dev/null || until grep -q Y $nfsd/v4_end_grace; do sleep 1; done; }
cd /mnt/client/a/b/c
exec 3< ../../../numbers
read_on
# The inodes that nothing refers to.
drop
read_on
read_files
# The server, and what it serves: the client opens its file anew, by the handle, and may do no more
# before a new server's first seconds are over.
stop
mount_again
start
drop
read_on
end_grace
read_files
# What is served, below the server. It must not be in use, as an open file is.
exec 3<&-
forget
mount_again
answer
read_files
drop
read_files
exec 3< ../../hard
read_on
exec 3<&-
cd /
umount /mnt/client
stop
unmount
)",
                            flags);
    EXPECT_TRUE(out == part(0) + part(1) + files + part(2) + files + files + files + part(0)) << out.size();
    finish();
}

TEST_F(Nfs, HandlesOutliveTheServer)
{
    check_handles(no_subtree_check);
}
TEST_F(Nfs, HandlesThatNameAParentOutliveTheServer)
{
    check_handles(subtree_check);
}

} // namespace
