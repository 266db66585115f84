// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "tree.hpp"

namespace daxfs {

struct ContentOptions {
    std::uint64_t align = 0; // files of this size and more start on a multiple of it
    bool dedupe = true;
    std::vector<NodeId> first; // files whose data goes before that of others, in this order
};

} // namespace daxfs
