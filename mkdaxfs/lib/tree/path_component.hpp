// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string_view>

namespace daxfs {

// Takes the next name off a path, passing over "." and double slashes; "" where there is none left.
inline std::string_view next_component(std::string_view &path)
{
    while (!path.empty()) {
        const std::size_t cut = std::min(path.find('/'), path.size());
        const std::string_view name = path.substr(0, cut);
        path.remove_prefix(std::min(cut + 1, path.size()));
        if (!name.empty() && name != ".")
            return name;
    }
    return {};
}

} // namespace daxfs
