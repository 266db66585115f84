// SPDX-License-Identifier: Apache-2.0
// Reads the whole tree once: what a guest that uses all of its data would have in memory then.
#include <set>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engines.hpp"
#include "io.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

std::uint64_t read_file_once(const std::string &path, std::vector<char> &buffer)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    std::uint64_t total = 0;
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0)
            throw_errno("cannot read " + path);
        if (got == 0)
            return total;
        total += static_cast<std::uint64_t>(got);
    }
}

} // namespace

json run_read_all_engine(const RunRequest &request)
{
    std::vector<char> buffer(1 << 18);
    std::set<ino_t> seen;
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    const auto tree = list_tree(request.target);
    for (const SelectedFile &entry : tree) {
        struct stat st {};
        if (::lstat(entry.path.c_str(), &st) < 0)
            throw_errno("cannot stat " + entry.path);
        if (!entry.regular || !seen.insert(st.st_ino).second)
            continue;
        files += 1;
        bytes += read_file_once(entry.path, buffer);
    }
    return {{"results", json::array()},
            {"raw", json::object()},
            {"files", files},
            {"bytes", bytes},
            {"entries", tree.size() + 1}};
}

} // namespace daxbench
