// SPDX-License-Identifier: Apache-2.0
#include "losses.hpp"

#include <fmt/core.h>

#include "error.hpp"

namespace daxfs {

namespace {

constexpr std::uint64_t told_of_a_kind = 10;

} // namespace

void Losses::add(const std::string &path, const std::string &what, const std::string &why)
{
    ++count_;
    const std::string kind = what + ": " + why;
    if (++kinds_[kind] <= told_of_a_kind)
        tell_(fmt::format("/{}: {}", printable(path), kind));
}

void Losses::end()
{
    for (const auto &[kind, count] : kinds_) {
        if (count > told_of_a_kind)
            tell_(fmt::format("{} more: {}", count - told_of_a_kind, kind));
    }
    kinds_.clear();
}

} // namespace daxfs
