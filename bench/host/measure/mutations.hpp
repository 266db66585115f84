// SPDX-License-Identifier: Apache-2.0
// What is written over an image while guests use it: the same for the same seed.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace daxbench {

/// Bytes within one page.
struct Mutation {
    std::uint64_t offset = 0;
    std::string bytes;
};

enum class MutationKind {
    bytes,          ///< 1 to 64 random bytes: half of them in metadata
    metadata_pages, ///< a page of metadata: random bytes, or those of another page of metadata
    other_image,    ///< a whole image, which is no sequence of mutations
};

/// "bytes", "metadata-pages", "other-image"; throws for anything else.
MutationKind mutation_kind(const std::string &name);

/// Endless.
class Mutations {
public:
    /// `metadata`: offsets of the image's pages that are no file's, not empty. `other` gives such a page's
    /// bytes.
    Mutations(MutationKind kind, std::uint64_t seed, std::uint64_t image_bytes,
              const std::vector<std::uint64_t> &metadata)
        : kind_(kind), random_(seed), image_bytes_(image_bytes), metadata_(metadata)
    {
    }

    /// `page(offset)` gives the pristine bytes of a page.
    template <typename Page> Mutation next(Page page)
    {
        if (kind_ == MutationKind::metadata_pages) {
            const auto at = metadata_page();
            return {at, random_() % 2 == 0 ? random_bytes(4096) : page(metadata_page())};
        }
        return random_place();
    }

private:
    std::uint64_t metadata_page() { return metadata_[random_() % metadata_.size()]; }
    Mutation random_place();
    std::string random_bytes(std::size_t count);

    MutationKind kind_;
    std::mt19937_64 random_;
    std::uint64_t image_bytes_;
    const std::vector<std::uint64_t> &metadata_;
};

} // namespace daxbench
