// SPDX-License-Identifier: Apache-2.0
// Any bytes as the text form of a tree.
#include <sstream>

#include "fuzz.hpp"
#include "text_source.hpp"

using namespace daxfs;

void fuzz_one(std::span<const std::uint8_t> data)
{
    const Workers workers;
    std::istringstream in("daxfs-text 1\n" + std::string(data.begin(), data.end()));
    TextSource source(in, "input", PathFilter());
    try {
        source.scan(workers)->finish(workers);
    } catch (const std::runtime_error &) {
    }
}
