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
#include "output_stream.hpp"

namespace daxfs {

std::optional<OwnImage> own_image(const MkfsOptions &o)
{
    namespace fs = std::filesystem;
    struct stat st = {};
    if (o.has_target())
        return std::nullopt;
    if (o.to_standard_output())
        return fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode)
                   ? std::optional(OwnImage{st.st_dev, st.st_ino, ""})
                   : std::nullopt;
    std::error_code unknown;
    if (fs::is_block_file(o.image, unknown) || is_device_dax(o.image))
        return std::nullopt; // a tree has its name only
    // By its directory, since that has other names where it is bound to other places.
    const fs::path image = resolved(o.image);
    if (image.filename().empty() || stat(image.parent_path().c_str(), &st) != 0)
        return std::nullopt;
    return OwnImage{st.st_dev, st.st_ino, image.filename()};
}

std::string target_name(const MkfsOptions &o)
{
    if (!o.heap.empty())
        return o.directory;
    if (!o.phys.empty())
        return o.phys;
    if (o.to_standard_output())
        return "standard output";
    return o.device.empty() ? o.image : o.device;
}

void refuse_image_instead_of_source(const MkfsOptions &o, const std::string &image)
{
    struct stat target = {};
    if (o.to_standard_output() ? fstat(STDOUT_FILENO, &target) != 0 || !S_ISREG(target.st_mode)
                               : stat(image.c_str(), &target) != 0)
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
    for (const auto *list : {&o.tar, &o.oci, &o.text, &o.list, &o.files_from, &o.exclude_from, &o.rules})
        std::for_each(list->begin(), list->end(), refuse);
    for (const std::string &path : o.oci)
        refuse(split_oci_name(path).first);
    refuse(o.layer);
    refuse(o.order);
    refuse(o.file_contexts);
}

std::unique_ptr<Output> open_target(const MkfsOptions &o, std::ostream &standard_output)
{
    if (o.to_standard_output())
        return open_stream(standard_output);
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
    return std::make_unique<OutputFile>(path, OutputFile::Publish::on_commit, !o.no_sync);
}

} // namespace daxfs
