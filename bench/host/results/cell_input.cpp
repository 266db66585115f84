// SPDX-License-Identifier: Apache-2.0
#include "cell_input.hpp"

namespace daxbench {

namespace fs = std::filesystem;

CellInput cell_input(const World &world, const Catalogue &catalogue, const Cell &cell)
{
    CellInput input;
    input.cell = cell;
    input.filesystem = catalogue.filesystems.at(cell.filesystem);
    input.probe_file = probe_file_of(catalogue.datasets.at(cell.dataset));
    input.clock = counts_instructions(world, cell) ? "instructions" : "ns";
    if (!input.filesystem.mounts())
        return input;
    const auto &dataset = world.datasets.at(cell.dataset);
    input.data_bytes = dataset.data_bytes;
    input.distinct_bytes = dataset.distinct_bytes;
    if (cell.driver == Driver::instances)
        input.digest = digest_of(dataset);
    const auto image = world.images.find({input.filesystem.needed_image(), cell.dataset});
    if (image == world.images.end())
        return input;
    input.image_bytes = fs::file_size(image->second.path);
    if (input.filesystem.medium == "virtio-blk")
        input.medium_note = why_not_direct(image->second.path);
    return input;
}

} // namespace daxbench
