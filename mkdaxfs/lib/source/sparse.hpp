// SPDX-License-Identifier: Apache-2.0
// Which files are stored with holes, and where their data lies.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "blocks.hpp"
#include "daxfs_format.h"
#include "source.hpp"

namespace daxfs {

// Runs of zero blocks shorter than this are stored: an extent list costs every
// later access more than they save.
inline constexpr std::uint64_t smallest_hole = 64 * 1024;

// Has a file of this size room for one? Its last block counts whole.
inline bool may_have_holes(std::uint64_t size)
{
    return round_up(size, DAXFS_BLOCK_SIZE) >= smallest_hole;
}

struct Extent {
    std::uint64_t file_off = 0; // bytes, multiple of 4096
    std::uint64_t len = 0;      // bytes > 0, multiple of 4096
    std::uint64_t off = 0;      // in the image, once placed
};

// A file with holes.
struct SparseFile {
    NodeId node = 0;
    std::vector<Extent> extents;
};

// From a disk, many small reads one after the other take longer than large ones ahead of them;
// for what is in memory the asking does. So the first read that must wait (or of a filesystem that
// cannot tell) decides, for all files.
struct ReadAhead {
    std::atomic<bool> pays = false;
};

// True when the file is better stored with holes: its runs of zero blocks of at
// least smallest_hole make up more than 1/32 of it. Then extents is what lies
// between them. Depends on the content alone, never on how the source stores it;
// reads one block in 64 KiB where the source has data, and nothing in its holes. With `ahead`, which
// is for files whose data will all be read soon, it tells the source so where that helps.
bool find_extents(FileContent &content, std::uint64_t size, std::vector<Extent> &extents, ReadAhead *ahead,
                  const std::atomic<bool> *stop = nullptr);

} // namespace daxfs
