// SPDX-License-Identifier: Apache-2.0
// Any bytes as a list of this machine's files, in both forms. Files are looked at, not read.
#include <sstream>
#include <stdexcept>

#include "fuzz.hpp"
#include "list_source.hpp"

using namespace daxfs;

namespace {

void scan(const std::string &bytes, ListSource::Form form)
{
    const Workers workers;
    std::istringstream in(bytes);
    ListSource source(in, "list", form, PathFilter(), DirectoryOptions());
    try {
        source.scan(workers)->finish(workers);
    } catch (const std::runtime_error &) {
    }
}

} // namespace

void fuzz_one(std::span<const std::uint8_t> data)
{
    const std::string bytes(data.begin(), data.end());
    scan(bytes, ListSource::Form::lines);
    scan(bytes, ListSource::Form::names);
}
