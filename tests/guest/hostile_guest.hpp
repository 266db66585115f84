// SPDX-License-Identifier: Apache-2.0
// A running guest whose image changes below it.
#pragma once

#include <exception>
#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "driver.hpp"
#include "harness.hpp"
#include "hostile_image.hpp"

namespace daxtest {

class Hostile : public testing::Test {
protected:
    void SetUp() override
    {
        make_image(hostile_tree(), path_);
        image_ = std::make_unique<SharedImage>(path_);
    }

    daxbench::Guest boot(unsigned cpus = 1)
    {
        BootOptions options;
        options.cpus = cpus;
        return daxtest::boot(path_, dir_.path() / "logs", options);
    }

    /// What the kernel said since the last call.
    static std::string log_of(daxbench::Guest &guest)
    {
        std::string text;
        const auto lines = guest.call("dmesg", json::object(), daxbench::Seconds(30)).at("lines");
        EXPECT_EQ(daxbench::kernel_complaint(lines), "");
        for (const auto &line : lines)
            text += line.at("text").get<std::string>() + "\n";
        return text;
    }

    static std::string mount_error(daxbench::Guest &guest, const std::string &options)
    {
        try {
            daxtest::mount(guest, options);
        } catch (const std::exception &error) {
            return error.what();
        }
        return "";
    }

    daxbench::TempDir dir_;
    std::filesystem::path path_ = dir_.path() / "image";
    std::unique_ptr<SharedImage> image_;
};

inline std::size_t count_of(const std::string &text, const std::string &part)
{
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

} // namespace daxtest
