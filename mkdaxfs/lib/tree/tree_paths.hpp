// SPDX-License-Identifier: Apache-2.0
// Paths of a tree, in one spelling, and as messages show them.
#pragma once

#include <string>
#include <string_view>

#include "error.hpp"
#include "path_component.hpp"

namespace daxfs {

inline std::string shown_path(std::string_view path)
{
    return (path.starts_with('/') ? "" : "/") + printable(path);
}

// The path without empty parts and ".".
inline std::string plain_path(std::string_view path)
{
    std::string plain;
    while (!path.empty()) {
        const std::string_view part = next_component(path);
        if (!part.empty())
            plain.append(plain.empty() ? "" : "/").append(part);
    }
    return plain;
}

} // namespace daxfs
