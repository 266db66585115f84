// SPDX-License-Identifier: Apache-2.0
// Images that lie. The host changes bytes of the image under a running guest, as another kernel could:
// once for each field, between two mounts.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness.hpp"
#include "hostile_guest.hpp"
#include "lies.hpp"

namespace {

using daxbench::Seconds;
using daxtest::count_of;
using daxtest::Hostile;
using daxtest::target;

TEST_F(Hostile, EveryFieldThatLies)
{
    auto guest = boot();
    int told = 0;
    for (const auto &lie : daxtest::lies()) {
        SCOPED_TRACE(lie.name);
        // A module loaded anew has all its messages before it.
        if (told++ % 3 == 2) {
            daxtest::run(guest, {"/bin/busybox", "rmmod", "daxfs"});
            guest.call("load", {{"modules", {"daxfs"}}}, Seconds(30));
        }
        std::string words = lie.access;
        std::replace(words.begin(), words.end(), ' ', '\n');
        const auto inode = daxtest::accused(lie, *image_);
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

} // namespace
