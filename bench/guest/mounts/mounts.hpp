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

/// OPTIONS as for mount(8). Makes TARGET. SOURCE: as for resolve_source() (devices.hpp),
/// or what is_memory_source() knows (memory_sources.hpp). Throws with the file system's own words.
void mount_filesystem(const std::string &type, const std::string &source, const std::string &options,
                      const std::string &target);

/// Where lies what an overlay at TARGET is over.
std::string below(const std::string &target);
/// An OverlayFS at TARGET over what is mounted at below(TARGET), with an empty layer of its own on a tmpfs.
void mount_overlay(const std::string &target);

/// Returns what mount_filesystem() was asked for there.
MountInfo unmount(const std::string &target);

/// Unmounts what mount_filesystem() put at TARGET, or mount_overlay() and below it, and mounts it the same
/// way. Does nothing for a target that was mounted otherwise.
void mount_again(const std::string &target);

/// "a,b=c,d" → its parts; empty parts are left out.
std::vector<std::string> split(std::string_view text, char separator);

} // namespace daxbench
