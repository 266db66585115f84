// SPDX-License-Identifier: Apache-2.0
// Any bytes as an image: check, walk, print. The superblock's checksum is mended, or no
// change to it would get past the first line.
#include <cstring>
#include <sstream>

#include "check_image.hpp"
#include "dump_text.hpp"
#include "fuzz.hpp"
#include "image_walk.hpp"
#include "layout.hpp"

using namespace daxfs;

void fuzz_one(std::span<const std::uint8_t> data)
{
    std::vector<std::uint8_t> image(data.begin(), data.end());
    if (image.size() < DAXFS_SUPER_SIZE)
        return;
    daxfs_super super;
    std::memcpy(&super, image.data(), sizeof(super));
    super.crc = 0;
    // Digests of holes of any size take any time; their code is fsck's, not the reader's.
    super.compat &= ~DAXFS_COMPAT_DIGESTS;
    std::memcpy(image.data(), &super, sizeof(super));
    super.crc = daxfs_crc32c(0, image.data(), DAXFS_SUPER_SIZE);
    std::memcpy(image.data(), &super, sizeof(super));
    const auto quietly = [](const auto &step) {
        try {
            step();
        } catch (const ImageError &) {
        }
    };
    quietly([&] {
        const ImageReader reader(image);
        check_image(reader, [](const Problem &) {});
        quietly([&] { image_layout(reader, [](const std::string &, std::uint64_t, std::uint64_t) {}); });
        quietly([&] {
            std::ostringstream out;
            dump_text(reader, out);
        });
        quietly([&] {
            std::ostringstream out;
            dump_diff(reader, reader, out);
        });
        quietly([&] { reader.find("dir/deeper/deepest"); });
    });
}
