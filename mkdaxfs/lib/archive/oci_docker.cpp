// SPDX-License-Identifier: Apache-2.0
// What docker save writes, and skopeo for docker-archive:.
#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "error.hpp"
#include "oci_manifest.hpp"

namespace daxfs {

namespace {

// A file's name may be its digest: "blobs/sha256/HEX", "HEX.json" and "HEX.tar" (but in "ID/layer.tar" the ID
// is none of the data's).
Stated digest_in_name(const std::string &path)
{
    namespace fs = std::filesystem;
    const fs::path file = path;
    const bool is_blob = file.parent_path() == "blobs/sha256" && !file.has_extension();
    const bool is_hex = file.stem().string().size() == 64 && (is_blob || file.extension() == ".json");
    if (!is_hex)
        return {};
    try {
        Stated stated = parse_digest("sha256:" + file.stem().string(), path);
        stated.by = "its name";
        return stated;
    } catch (const std::runtime_error &) {
        return {}; // only as long as one
    }
}

Json config_of(BlobStore &blobs, const std::string &name, const Json &image)
{
    const std::string path = text_at(image, "Config");
    if (path.empty())
        return {};
    if (!blobs.has(path))
        throw no_image(name, "expected the configuration " + printable(path) +
                                 ", which manifest.json names, it is not there");
    const std::string shown = name + " configuration " + path;
    return parse_json(read_text(checked_bytes(blobs.open(path), digest_in_name(path), shown), shown), shown);
}

// A newer docker says of each diff_id how the layer is stored.
void add_layer_sources(const std::string &name, const Json &image, OciLayer &layer)
{
    const Json &source = member(member(image, "LayerSources"), ("sha256:" + layer.diff_id.hex).c_str());
    if (layer.diff_id.hex.empty() || source.is_null())
        return;
    Stated stated;
    if (const std::string digest = text_at(source, "digest"); !digest.empty())
        stated = parse_digest(digest, name);
    stated.size = size_at(name, source, "size");
    stated.by = "LayerSources in manifest.json";
    layer.stated.push_back(std::move(stated));
}

} // namespace

std::vector<OciLayer> layers_of_docker(BlobStore &blobs, const std::string &name, const Json &images,
                                       const std::string &tag, const std::string &platform)
{
    std::vector<std::vector<std::string>> names;
    for (const Json &image : images) {
        names.emplace_back();
        for (const Json &one : list_at(name, image, "RepoTags"))
            names.back().push_back(one.is_string() ? one.get<std::string>() : "");
    }
    const std::vector<std::size_t> found = named(names, tag);
    if (found.size() != 1)
        throw no_image(name, fmt::format("expected one image{}, got {}; {}: name one as {}:TAG",
                                         tag.empty() ? "" : " tagged " + printable(tag), found.size(),
                                         tags_in(names), printable(name)));
    const Json &image = images[found.front()];
    if (!image.is_object() || !image.contains("Layers"))
        throw no_image(name, "manifest.json: expected an image with Layers, got another one");
    std::vector<OciLayer> layers;
    for (const Json &layer : list_at(name, image, "Layers")) {
        if (!layer.is_string())
            throw no_image(name, "manifest.json: expected the names of layers, got something else");
        const auto path = layer.get<std::string>();
        layers.push_back(
            {path, fmt::format("layer {}, {}", layers.size() + 1, path), {digest_in_name(path)}, {}});
    }
    const Json config = config_of(blobs, name, image);
    const std::string got = platform_in(config);
    if (!platform.empty() && !is_platform(got, platform))
        throw no_image(name, fmt::format("expected an image for {}, got one for {}", printable(platform),
                                         got.empty() ? "no platform" : printable(got)));
    add_diff_ids(name + " configuration " + text_at(image, "Config"), config, layers);
    for (OciLayer &layer : layers)
        add_layer_sources(name, image, layer);
    return layers;
}

} // namespace daxfs
