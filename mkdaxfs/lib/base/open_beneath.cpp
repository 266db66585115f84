// SPDX-License-Identifier: Apache-2.0
#include "open_beneath.hpp"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "unique_fd.hpp"

namespace daxfs {

int open_beneath(int dir, const std::string &path, int flags)
{
    constexpr std::size_t longest = 4000; // below PATH_MAX
    std::string rest = path.empty() ? "." : path;
    UniqueFd at;
    while (rest.size() > longest) {
        const std::size_t cut = rest.rfind('/', longest);
        const std::string front = rest.substr(0, cut);
        UniqueFd next(openat(dir, front.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!next)
            return -1;
        at = std::move(next);
        dir = at.get();
        rest.erase(0, cut + 1);
    }
    return openat(dir, rest.c_str(), flags | O_CLOEXEC);
}

} // namespace daxfs
