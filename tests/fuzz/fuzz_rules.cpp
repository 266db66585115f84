// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of rules, and as one of patterns, for a small tree.
#include <sstream>
#include <stdexcept>

#include "fuzz.hpp"
#include "path_filter.hpp"
#include "rules.hpp"
#include "text_source.hpp"

using namespace daxfs;

void fuzz_one(std::span<const std::uint8_t> data)
{
    const std::string bytes(data.begin(), data.end());
    const Workers workers;
    PathFilter filter;
    try {
        std::istringstream lines(bytes);
        filter.add_globs(lines, "patterns");
    } catch (const std::runtime_error &) {
    }
    std::istringstream text("daxfs-text 1\nreg /a/b/c mode=6755 xattr.user.a=1\nlink /a/d /a/b/c\n"
                            "lnk /l target=a\nfifo /usr/bin/fifo\ndir /usr/share/doc/x\n");
    TextSource source(text, "tree", filter);
    const auto tree = source.scan(workers);
    tree->finish(workers);
    try {
        Rules rules;
        std::istringstream lines(bytes);
        rules.add(lines, "rules");
        rules.apply(*tree, false);
        rules.unmatched();
    } catch (const std::runtime_error &) {
    }
    filter.unmatched();
}
