// SPDX-License-Identifier: Apache-2.0
#include "target.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "error.hpp"
#include "oci_source.hpp"
#include "output_file.hpp"
#include "output_memory.hpp"

namespace daxfs {

void refuse_image_inside_source(const MkfsOptions &o, const std::string &directory, const PathFilter &filter)
{
    namespace fs = std::filesystem;
    std::error_code unknown;
    if (fs::is_block_file(o.image, unknown) || is_device_dax(o.image))
        return; // a tree has its name only
    const fs::path beside = fs::path(resolved(o.image)).parent_path();
    const fs::path source = fs::canonical(directory, unknown);
    // A bind mount gives a directory another name, but does not have what is mounted below it. What cannot be
    // looked at is refused when it is opened.
    struct stat of_source = {};
    struct stat of_beside = {};
    const bool may_be_bound = stat(directory.c_str(), &of_source) == 0 &&
                              stat(beside.c_str(), &of_beside) == 0 && of_source.st_dev == of_beside.st_dev;
    for (fs::path above = beside;; above = above.parent_path()) {
        const bool is_source = above == source || (may_be_bound && fs::equivalent(above, directory, unknown));
        if (is_source && !filter.excludes_or_above(beside.lexically_relative(above).string()))
            throw std::runtime_error(
                fmt::format("the image {} would lie inside its source {}: write it somewhere else",
                            printable(o.image), printable(directory)));
        if (above == above.parent_path())
            return;
    }
}

std::string target_name(const MkfsOptions &o)
{
    if (!o.heap.empty())
        return o.directory;
    if (!o.phys.empty())
        return o.phys;
    return o.device.empty() ? o.image : o.device;
}

void refuse_image_instead_of_source(const MkfsOptions &o, const std::string &image)
{
    struct stat target = {};
    if (stat(image.c_str(), &target) != 0)
        return;
    const auto refuse = [&](const std::string &path) {
        struct stat st = {};
        const int result = path == "-" ? fstat(STDIN_FILENO, &st) : stat(path.c_str(), &st);
        if (result == 0 && st.st_dev == target.st_dev && st.st_ino == target.st_ino)
            throw std::runtime_error(
                fmt::format("the image {} would replace {}, which it is made of: write it "
                            "somewhere else",
                            printable(image), path == "-" ? "standard input" : printable(path)));
    };
    for (const auto *list : {&o.tar, &o.oci, &o.text})
        std::for_each(list->begin(), list->end(), refuse);
    for (const std::string &path : o.oci)
        refuse(split_oci_name(path).first);
    refuse(o.order);
    refuse(o.file_contexts);
}

std::unique_ptr<Output> open_target(const MkfsOptions &o)
{
    if (!o.heap.empty())
        return open_heap(o.heap, o.directory);
    if (!o.phys.empty())
        return open_physical(o.range, o.force);
    const std::string &path = o.device.empty() ? o.image : o.device;
    if (is_device_dax(path))
        return open_device_dax(path, o.force);
    std::error_code unknown; // what cannot be looked at cannot be written either
    if (std::filesystem::is_block_file(path, unknown))
        return std::make_unique<OutputDevice>(path, o.force);
    if (!o.device.empty())
        throw std::runtime_error("expected a block device or /dev/daxX.Y, got " + printable(path));
    return std::make_unique<OutputFile>(path);
}

} // namespace daxfs
