// SPDX-License-Identifier: Apache-2.0
// A temporary folder with a source tree, and images made of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "image_reader.hpp"
#include "temp_dir.hpp"

namespace daxfs::test {

struct ToolResult {
    int status = 0;
    std::string out;
    std::string err;
};

class TreeTest : public testing::Test {
protected:
    void SetUp() override;

    std::filesystem::path source() const { return root() / "source"; }
    std::filesystem::path image(std::string_view name = "image") const { return root() / name; }
    const std::filesystem::path &root() const { return root_.path(); }

    // A file in the source tree; its directories are made where missing.
    std::filesystem::path add_file(const std::string &path, std::string_view content) const;
    void set_mtime(const std::string &path, std::int64_t sec, long nsec) const;

    // Run mkdaxfs with these options on image(name) and the source.
    ToolResult mkdaxfs(std::vector<std::string> options = {}, std::string_view name = "image") const;
    // The same, expected to succeed.
    void make(std::vector<std::string> options = {}, std::string_view name = "image") const;

    // Run dump.daxfs with these options on the image.
    ToolResult dump(std::vector<std::string> options = {}) const;

private:
    TempDir root_;
};

// Bytes that look random, the same for the same seed.
std::string noise(std::size_t bytes, std::uint64_t seed);
std::string read_file(const std::filesystem::path &path);
// The checksums of an image whose bytes were changed are right again.
void mend_checksums(std::string &image);
// All of a regular file in an image.
std::string content_of(const ImageReader &reader, std::string_view path);
// Attributes of what path names; a test failure when it is not there.
daxfs_attr attr_of(const ImageReader &reader, std::string_view path);

} // namespace daxfs::test
