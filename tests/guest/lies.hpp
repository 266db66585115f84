// SPDX-License-Identifier: Apache-2.0
// What an image may lie about, and what its reader then says: the module as well as daxfs-fuse.
#pragma once

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "hostile_image.hpp"

namespace daxtest {

/// One lie: what is changed, what then is tried, and what comes of it.
struct Lie {
    std::string name;
    std::function<void(SharedImage &)> tell;
    std::string access;     // of the probe: "stat PATH", "list PATH", …
    int error = EUCLEAN;    // errno of the access; 0 where it is harmless
    std::string message;    // in the log, with EUCLEAN: what follows "bad "
    std::string inode = {}; // the message's; default: the access's path
    bool validates = false; // -o validate takes it: nothing a file system is harmed by
};

/// Of an image of hostile_tree(), every field once.
std::vector<Lie> lies();

/// The inode that the message names, as the image is before the lie.
std::uint32_t accused(const Lie &lie, const SharedImage &image);

} // namespace daxtest
