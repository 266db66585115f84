// SPDX-License-Identifier: Apache-2.0
#include "layout.hpp"

#include <algorithm>
#include <vector>

#include <sys/stat.h>

#include "blocks.hpp"
#include "daxfs_format.h"
#include "image_walk.hpp"

namespace daxfs {

namespace {

struct Run {
    std::uint64_t begin;
    std::uint64_t end;
};

// Bytes that at least one run covers.
std::uint64_t covered(std::vector<Run> &runs)
{
    std::sort(runs.begin(), runs.end(), [](const Run &a, const Run &b) { return a.begin < b.begin; });
    std::uint64_t bytes = 0;
    std::uint64_t end = 0;
    for (const Run &run : runs) {
        if (run.end > end)
            bytes += run.end - std::max(run.begin, end);
        end = std::max(end, run.end);
    }
    return bytes;
}

} // namespace

std::uint64_t huge_bytes(const ImageReader &reader, const daxfs_node &file)
{
    std::uint64_t bytes = 0;
    if (file.layout != DAXFS_LAYOUT_FLAT) // a file with holes is mapped by pages
        return 0;
    for (std::uint64_t pos = 0; pos < file.size;) {
        const daxfs_map run = reader.map(file, pos);
        const std::uint64_t first = round_up(pos, DAXFS_HUGE_SIZE);
        const std::uint64_t end = (pos + run.len) / DAXFS_HUGE_SIZE * DAXFS_HUGE_SIZE;
        if (!run.hole && (run.off - pos) % DAXFS_HUGE_SIZE == 0 && end > first)
            bytes += end - first;
        pos += run.len;
    }
    return bytes;
}

Layout image_layout(const ImageReader &reader, const LargeFile &large)
{
    const daxfs_image &image = reader.image();
    Layout layout;
    layout.superblock = DAXFS_SUPER_SIZE;
    layout.metadata = image.metadata.len;
    std::vector<Run> runs;
    std::uint64_t stored = 0;
    walk_image(reader, [&](const WalkEntry &entry) {
        const daxfs_node &file = entry.attr.node;
        if (!S_ISREG(entry.attr.mode) || !entry.first.empty())
            return;
        for (std::uint64_t pos = 0; pos < file.size;) {
            const daxfs_map run = reader.map(file, pos);
            const std::uint64_t len = round_up(run.len, DAXFS_BLOCK_SIZE);
            if (run.hole) {
                layout.holes += len;
            } else {
                runs.push_back({run.off, run.off + len});
                stored += len;
            }
            pos += run.len;
        }
        if (file.size < DAXFS_HUGE_SIZE)
            return;
        const std::uint64_t huge = huge_bytes(reader, file);
        layout.huge += huge;
        large(entry.path, file.size, huge);
    });
    layout.data = covered(runs);
    layout.shared = stored - layout.data;
    layout.padding = image.size - std::min(image.size, layout.superblock + layout.metadata + layout.data);
    return layout;
}

} // namespace daxfs
