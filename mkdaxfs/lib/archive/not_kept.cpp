// SPDX-License-Identifier: Apache-2.0
#include "not_kept.hpp"

#include <utility>

#include <fmt/core.h>

#include "error.hpp"

namespace daxfs {

namespace {

struct Words {
    const char *one;
    const char *several;
    const char *why;
};

constexpr std::array<Words, NotKept::kinds> words = {{
    {"extended attribute is", "extended attributes are",
     "not kept, an image has those in user., trusted. and security. alone"},
    {"ACL is", "ACLs are", "not kept, since Linux takes no such ACL"},
    {"entry has", "entries have", "file flags, which an image does not keep"},
    {"record of an extended header is", "records of extended headers are", "unknown and not kept"},
    {"entry is", "entries are", "of an unknown type and became regular files"},
    {"directory is", "directories are",
     "led through but not described, so overlayfs will show root's, mode 755, of time 0"},
}};

} // namespace

OnWarning named_warning(OnWarning warn, const std::string &archive)
{
    if (!warn)
        return {};
    return [warn = std::move(warn), archive](const std::string &line) {
        warn(printable(archive) + ": " + line);
    };
}

void NotKept::add(Kind kind, const std::string &example)
{
    Found &found = found_[kind];
    if (found.count++ == 0)
        found.first = example;
}

void NotKept::tell(const OnWarning &warn)
{
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        const Found found = std::exchange(found_[kind], {});
        const Words &say = words[kind];
        if (found.count == 1 && warn)
            warn(fmt::format("1 {} {}: {}", say.one, say.why, found.first));
        else if (found.count > 1 && warn)
            warn(fmt::format("{} {} {}; the first: {}", found.count, say.several, say.why, found.first));
    }
}

} // namespace daxfs
