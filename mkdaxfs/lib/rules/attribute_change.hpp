// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mode_change.hpp"
#include "tree.hpp"

namespace daxfs {

// What a line says of an inode, in words KEY=VALUE: mode, uid, gid, mtime, xattr.NAME, no-xattr
// (docs/text.md).
class AttributeChange {
public:
    // False when the key is none of these. Throws std::invalid_argument when the value is wrong.
    bool take(std::string_view key, std::string_view value);

    bool empty() const;
    struct Limits {
        bool keep_mode = false;
        bool keep_opaque = false; // no-xattr leaves is_opaque_mark()
    };
    // no-xattr goes first, whatever the order of the words.
    void apply(Node &node, XattrSets &xattrs) const { apply(node, xattrs, {}); }
    void apply(Node &node, XattrSets &xattrs, const Limits &limits) const;

private:
    std::optional<ModeChange> mode_;
    std::optional<std::uint32_t> uid_;
    std::optional<std::uint32_t> gid_;
    std::optional<std::pair<std::int64_t, std::uint32_t>> mtime_;
    std::vector<Xattr> xattrs_;
    std::vector<std::string> removed_xattrs_; // globs
};

// The next word of a line, which loses it: what blanks separate; "" where there is none.
std::string_view next_word(std::string_view &line);
// A word with its %XX as bytes. Throws std::invalid_argument for what is no such word, or has a NUL.
std::string decoded_word(std::string_view word);
// KEY=VALUE. Throws std::invalid_argument without "=".
std::pair<std::string_view, std::string_view> split_word(std::string_view word);

} // namespace daxfs
