// SPDX-License-Identifier: Apache-2.0
// Reads the whole tree once, or a part of it: what a guest that uses so much of its data would have in
// memory then.
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "content_hash.hpp"
#include "engines.hpp"
#include "io.hpp"
#include "permutation.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

struct WhatWasRead {
    std::uint64_t bytes = 0;
    std::string hash; // XXH3-128
};

WhatWasRead read_file_once(const std::string &path, std::vector<char> &buffer)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    ContentHash hash;
    WhatWasRead read;
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0)
            throw_errno("cannot read " + path);
        if (got == 0)
            break;
        hash.add({buffer.data(), static_cast<std::size_t>(got)});
        read.bytes += static_cast<std::uint64_t>(got);
    }
    read.hash = hash.text();
    return read;
}

// The first in an order that is the same on every filesystem, so that more percent read a superset.
std::vector<SelectedFile> part_of(const std::vector<SelectedFile> &files, std::uint64_t percent)
{
    std::uint64_t total = 0;
    for (const SelectedFile &file : files)
        total += file.size;
    std::vector<SelectedFile> part;
    std::uint64_t bytes = 0;
    for (const auto index : permutation(files.size(), 1)) {
        if (bytes * 100 >= total * percent)
            break;
        part.push_back(files[index]);
        bytes += files[index].size;
    }
    return part;
}

} // namespace

json run_read_all_engine(const RunRequest &request)
{
    constexpr std::uint64_t page = 4096;
    const std::uint64_t percent = request.workload.value("percent", std::uint64_t{100});
    const auto tree = list_tree(request.target);
    auto files = distinct_files(tree);
    const bool whole = percent >= 100;
    if (!whole)
        files = part_of(files, percent);
    std::vector<char> buffer(1 << 18);
    std::uint64_t bytes = 0;
    std::uint64_t data_pages = 0;
    ContentHash digest; // as content_digest() of the manifest
    for (const SelectedFile &file : files) {
        const WhatWasRead read = read_file_once(file.path, buffer);
        bytes += read.bytes;
        data_pages += (read.bytes + page - 1) / page;
        digest.add(percent_encode(file.path.substr(request.target.size() + 1)) + " " + read.hash + "\n");
    }
    return {{"results", json::array()}, {"raw", json::object()},      {"files", files.size()},
            {"bytes", bytes},           {"data_pages", data_pages}, // of 4 KiB
            {"whole", whole},           {"entries", tree.size() + 1}, {"digest", digest.text()}};
}

} // namespace daxbench
