// SPDX-License-Identifier: Apache-2.0
#include "nameless_file.hpp"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/core.h>

#include "error.hpp"

namespace daxfs {

std::string temporary_directory()
{
    const char *dir = std::getenv("TMPDIR");
    return dir && *dir ? dir : "/var/tmp";
}

UniqueFd open_nameless_file()
{
    const std::string dir = temporary_directory();
    UniqueFd fd(open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd) { // not every filesystem has O_TMPFILE
        std::string name = dir + "/mkdaxfs-XXXXXX";
        fd.reset(mkostemp(name.data(), O_CLOEXEC));
        if (fd)
            unlink(name.c_str());
    }
    if (!fd)
        throw system_failure(errno, fmt::format("cannot make a temporary file in {} (TMPDIR names "
                                                "another directory)",
                                                printable(dir)));
    return fd;
}

} // namespace daxfs
