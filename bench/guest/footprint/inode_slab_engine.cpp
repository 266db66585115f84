// SPDX-License-Identifier: Apache-2.0
// What an inode costs while it is cached: the object size of the file system's inode slab.
#include <sstream>
#include <stdexcept>

#include "engines.hpp"
#include "io.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

struct Slab {
    std::string name;
    std::uint64_t active = 0;
    std::uint64_t object_bytes = 0;
};

// Less is no struct inode, but something the kernel keeps beside each, such as lsm_inode_cache.
constexpr std::uint64_t least_inode_bytes = 400;

// The inode slab with the most objects: after a walk over thousands of inodes the file system's own.
Slab fullest_inode_slab(const std::string &slabinfo)
{
    std::istringstream text(slabinfo);
    Slab best;
    for (std::string line; std::getline(text, line);) {
        std::istringstream fields(line);
        Slab slab;
        std::uint64_t all = 0;
        if (fields >> slab.name >> slab.active >> all >> slab.object_bytes &&
            slab.name.find("inode") != std::string::npos && slab.object_bytes >= least_inode_bytes &&
            slab.active > best.active)
            best = slab;
    }
    return best;
}

} // namespace

json run_inode_slab_engine(const RunRequest &request)
{
    request.progress(request.workload.value("id", "inode-slab"));
    const std::size_t entries = list_tree(request.target).size();
    const Slab slab = fullest_inode_slab(read_file("/proc/slabinfo"));
    if (slab.active * 10 < entries * 8) // some are hard links
        throw std::runtime_error("expected an inode slab with most of " + std::to_string(entries) +
                                 " inodes, the fullest is '" + slab.name + "' with " +
                                 std::to_string(slab.active));
    return {{"results",
             {{{"metric", "inode_object_bytes"},
               {"unit", "bytes"},
               {"samples", {slab.object_bytes}},
               {"operations", slab.active}}}},
            {"raw", {{"slab", slab.name}}}};
}

} // namespace daxbench
