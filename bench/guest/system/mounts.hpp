// SPDX-License-Identifier: Apache-2.0
// Mounting by the new mount API, whose messages tell why a file system refused.
#pragma once

#include <string>
#include <vector>

#include "protocol.hpp"

namespace daxbench {

struct MountInfo {
    std::string target;
    std::string type;
    std::string source;
    std::string options; // of the mount and of the super block, joined by ','
};

/// Lines of /proc/self/mountinfo, in its order (later mounts hide earlier ones).
std::vector<MountInfo> parse_mountinfo(std::string_view text);

/// What is mounted at TARGET now; throws when nothing is.
MountInfo mounted_at(const std::string &target);

/// "pmem" → the image's device, "tools" → the tools', "seed" → the disk with this serial or the image, "none"
/// → "none", a path stays. Waits some seconds for the device; throws naming what is there instead.
std::string resolve_source(const std::string &source);

/// OPTIONS as for mount(8). Makes TARGET. Throws with the file system's own words.
void mount_filesystem(const std::string &type, const std::string &source, const std::string &options,
                      const std::string &target);

/// Returns what mount_filesystem() was asked for there.
MountInfo unmount(const std::string &target);

/// Unmounts what mount_filesystem() put at TARGET and mounts it the same way. Does nothing for a
/// target that was mounted otherwise.
void mount_again(const std::string &target);

/// "a,b=c,d" → its parts; empty parts are left out.
std::vector<std::string> split(std::string_view text, char separator);

} // namespace daxbench
