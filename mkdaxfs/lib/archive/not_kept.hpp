// SPDX-License-Identifier: Apache-2.0
// What an archive says that an image does not keep: one line for each kind, not for each entry.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

namespace daxfs {

// One line, without the tool's name.
using OnWarning = std::function<void(const std::string &)>;
// The same with the archive's name in front.
OnWarning named_warning(OnWarning warn, const std::string &archive);

class NotKept {
public:
    enum Kind : std::uint8_t {
        xattr,  // of a namespace that an image has not
        acl,    // that Linux would not take
        flags,  // as chattr(1) sets them
        record, // of an extended header, by nobody's definition
        type,   // of an entry, by nobody's definition
        parent, // a directory of a layer that it does not describe
        kinds,
    };

    // `example` says what and of which entry: "user.x of /path".
    void add(Kind kind, const std::string &example);
    // Each kind that there was. Once.
    void tell(const OnWarning &warn);

private:
    struct Found {
        std::uint64_t count = 0;
        std::string first;
    };
    std::array<Found, kinds> found_;
};

} // namespace daxfs
