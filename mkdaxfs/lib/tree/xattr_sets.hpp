// SPDX-License-Identifier: Apache-2.0
// Extended attributes in their on-image form, equal sets kept once.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace daxfs {

struct Xattr {
    std::uint8_t index = 0; // DAXFS_XATTR_*
    std::string name;       // without the prefix the index stands for
    std::string value;
};

// Split "user.x" into its index and "x". False for a namespace the format has no
// index for.
bool split_xattr_name(std::string_view full, Xattr &xattr);

// Throws when an image holds no such name (its length without prefix) or value.
void check_xattr(std::size_t name, std::size_t value, const std::string &shown);

// The full name: prefix of the index, then the rest.
std::string join_xattr_name(std::uint8_t index, std::string_view rest);

class XattrSets {
public:
    // Id of the set, the same for equal sets; 0 for an empty one. Of two with the same name
    // the last one counts. Thread-safe.
    std::uint32_t intern(std::vector<Xattr> xattrs);

    // The same for a set in its on-image form, as bytes() of any XattrSets gives it.
    std::uint32_t intern_bytes(std::string_view bytes);

    // Change every set: edit() gets its attributes. Gives the new id of each old one, by
    // old id; [0] is 0.
    std::vector<std::uint32_t> edit(const std::function<void(std::vector<Xattr> &)> &edit);
    std::vector<Xattr> decode(std::uint32_t id) const;

    // The on-image bytes (struct daxfs_xattr_set and what follows) of a set.
    std::string_view bytes(std::uint32_t id) const { return *sets_[id - 1]; }
    std::size_t count() const { return sets_.size(); }

private:
    std::mutex mutex_;
    std::unordered_map<std::string, std::uint32_t> ids_;
    std::vector<const std::string *> sets_; // keys of ids_, which never move
};

} // namespace daxfs
