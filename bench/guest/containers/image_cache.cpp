// SPDX-License-Identifier: Apache-2.0
#include "image_cache.hpp"

#include <sys/stat.h>

#include "io.hpp"
#include "selection.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

std::int64_t bytes_of_files(const std::string &target)
{
    std::int64_t blocks = 0;
    for (const SelectedFile &file : distinct_files(list_tree(target))) {
        struct stat st {};
        if (::lstat(file.path.c_str(), &st) < 0)
            throw_errno("cannot stat " + file.path);
        blocks += st.st_blocks;
    }
    return blocks * 512;
}

} // namespace

ImageCache::ImageCache(const std::string &target)
    : held_(page_cache_held() ? bytes_of_files(target) : 0), before_(cached())
{
}

std::int64_t ImageCache::bytes() const
{
    return held_ + cached() - before_;
}

std::int64_t ImageCache::cached()
{
    const json memory = memory_by_kind();
    return memory.at("page_cache").get<std::int64_t>() + memory.at("buffers").get<std::int64_t>() -
           memory.at("shmem").get<std::int64_t>();
}

} // namespace daxbench
