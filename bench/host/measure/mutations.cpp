// SPDX-License-Identifier: Apache-2.0
#include "mutations.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/core.h>

namespace daxbench {

MutationKind mutation_kind(const std::string &name)
{
    if (name == "bytes")
        return MutationKind::bytes;
    if (name == "metadata-pages")
        return MutationKind::metadata_pages;
    if (name == "other-image")
        return MutationKind::other_image;
    throw std::runtime_error(
        fmt::format("expected a mutation bytes, metadata-pages or other-image, got {}", name));
}

Mutation Mutations::random_place()
{
    constexpr std::uint64_t page = 4096;
    const auto start = random_() % 2 == 0 ? metadata_page() : random_() % (image_bytes_ / page) * page;
    const auto within = random_() % page;
    const auto count = std::min<std::uint64_t>(1 + random_() % 64, page - within);
    return {start + within, random_bytes(count)};
}

std::string Mutations::random_bytes(std::size_t count)
{
    std::string bytes;
    while (bytes.size() < count) {
        const auto word = random_();
        bytes.append(reinterpret_cast<const char *>(&word), std::min(sizeof word, count - bytes.size()));
    }
    return bytes;
}

} // namespace daxbench
