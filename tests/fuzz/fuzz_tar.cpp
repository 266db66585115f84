// SPDX-License-Identifier: Apache-2.0
// Any bytes as an archive, as a layer of a container image, put over another tree.
#include <algorithm>
#include <cstring>

#include "fuzz.hpp"
#include "tar_reader.hpp"

using namespace daxfs;

void fuzz_one(std::span<const std::uint8_t> data)
{
    const Workers workers;
    const PathFilter filter;
    Spool spool;
    TreeBuilder builder;
    Node node;
    node.mode = 0040755;
    builder.put("dir/sub", node);
    node.mode = 0120777;
    builder.put("link", node, "dir/../dir");
    std::size_t at = 0;
    const ReadBytes read = [&](std::span<std::byte> to) {
        const std::size_t piece = std::min(to.size(), data.size() - at);
        std::memcpy(to.data(), data.data() + at, piece);
        at += piece;
        return piece;
    };
    try {
        builder.begin_layer();
        read_archive(read, "input", {builder, spool, filter, workers, Whiteouts::apply});
    } catch (const std::runtime_error &) {
    }
    builder.finish()->finish(workers);

    // The same as a layer by itself, over the directories and symlinks of others.
    TreeBuilder below;
    node.mode = 0040700;
    below.put("dir/sub", node);
    node.mode = 0120777;
    below.put("dir/link", node, "sub/../../dir");
    TreeBuilder layer(&below);
    at = 0;
    try {
        read_archive(read, "input", {layer, spool, filter, workers, Whiteouts::overlay});
        layer.adopt_parents(below);
    } catch (const std::runtime_error &) {
    }
    layer.finish()->finish(workers);
    below.finish()->finish(workers);
}
