// SPDX-License-Identifier: Apache-2.0
// A guest whose memory holds an image of a few files, and what is asked of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "driver.hpp"
#include "harness.hpp"

namespace daxtest {

class Regions : public GuestTest {
protected:
    void SetUp() override
    {
        std::filesystem::create_directories(dir_.path() / "tree/sub");
        std::ofstream(dir_.path() / "tree/file") << "content\n";
        std::ofstream(dir_.path() / "tree/sub/other") << std::string(5000, 'o');
        std::ofstream(dir_.path() / "tree/big") << std::string(3 << 20, 'b');
        make_image(dir_.path() / "tree", image_);
        std::filesystem::resize_file(image_, 16 << 20);
    }

    /// Runs one of region_probe.cpp's checks in the guest.
    void probe(const std::string &name, const std::string &environment = "A=0")
    {
        const auto ran =
            run({"/bin/busybox", "env", environment, "/bin/region-probe", "--gtest_filter=Region." + name});
        EXPECT_EQ(ran.status, 0) << ran.out << ran.err;
        EXPECT_TRUE(contains(ran.out, "[  PASSED  ] 1 test")) << ran.out << ran.err;
    }

    /// Lines of the kernel's log, since boot, that hold this.
    std::size_t logged(const std::string &text)
    {
        const auto news = guest_->call("dmesg", json::object(), daxbench::Seconds(30)).at("lines");
        EXPECT_EQ(daxbench::kernel_complaint(news), "");
        for (const auto &line : news)
            log_.push_back(decoded(line.at("text")));
        return static_cast<std::size_t>(
            std::ranges::count_if(log_, [&](const auto &line) { return contains(line, text); }));
    }

    /// Why a mount is refused, as the user reads it: one line.
    void refused(const std::string &options, const std::string &why, int status = 32,
                 const std::string &source = "none")
    {
        expect_refusal(mount(options, source), options, why, status);
    }

    /// /tmp/image of the guest: the image, without what it lies on.
    void copy_image() { ASSERT_EQ(sh("dd if=$(ls /dev/pmem? | head -n 1) of=/tmp/image bs=1M").status, 0); }

    std::string buffers()
    {
        return sh("mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; "
                  "tail -1 /sys/kernel/debug/dma_buf/bufinfo")
            .out;
    }

    /// 612 for a kernel 6.12.
    static int release()
    {
        const auto &text = bench().kernel.release;
        const auto dot = text.find('.');
        return std::stoi(text.substr(0, dot)) * 100 + std::stoi(text.substr(dot + 1));
    }

    void check_dma_buf(const std::string &options);
    void check_going_away(const std::string &way, const std::string &options = "ro");

    bool has(const std::string &path) { return sh("test -e " + path).status == 0; }

    std::vector<std::string> log_;
};

} // namespace daxtest
