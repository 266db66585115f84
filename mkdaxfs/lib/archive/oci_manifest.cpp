// SPDX-License-Identifier: Apache-2.0
#include "oci_manifest.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/core.h>

#include "error.hpp"

namespace daxfs {

namespace {

constexpr auto ref_name = "org.opencontainers.image.ref.name"; // may be the whole name or the tag
constexpr auto containerd_name =
    "io.containerd.image.name"; // the whole name, if docker or containerd wrote it

constexpr std::array<std::string_view, 13> layer_types = {
    "", // none said
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.docker.container.image.rootfs.diff+x-gtar",
};
constexpr std::array<std::string_view, 3> config_types = {
    "",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
};

template <typename List> bool is_in(const List &list, std::string_view text)
{
    return std::find(list.begin(), list.end(), text) != list.end();
}

bool is_index(const Json &json)
{
    return json.is_object() && json.contains("manifests");
}

bool is_image(const Json &manifest)
{
    if (!is_in(config_types, text_at(member(manifest, "config"), "mediaType")))
        return false;
    const Json &layers = member(manifest, "layers");
    return std::all_of(layers.begin(), layers.end(),
                       [](const Json &layer) { return is_in(layer_types, text_at(layer, "mediaType")); });
}

// An image that may be meant.
struct Candidate {
    Json manifest;
    std::string platform; // as its descriptor says, or else its configuration
    bool is_stated;       // by the descriptor
};

// An OCI image layout, or what skopeo's dir: transport writes, where blobs have no folder.
class Layout {
public:
    Layout(BlobStore &blobs, const std::string &name, bool is_dir, const std::string &platform)
        : blobs_(blobs), name_(name), is_dir_(is_dir), platform_(platform)
    {
    }

    std::vector<OciLayer> layers(const Json &top, const std::string &tag)
    {
        if (!is_index(top))
            candidates_.push_back({top, "", false}); // of a dir:
        else
            gather(top, tag);
        const Candidate &chosen = choose(tag);
        const Json &manifest = chosen.manifest;
        check_manifest(manifest);
        const Json &descriptor = member(manifest, "config");
        const Json config = descriptor.is_null() ? Json() : read_json("configuration", descriptor);
        std::vector<OciLayer> layers;
        for (const Json &layer : list_at(name_, manifest, "layers"))
            layers.push_back(layer_of(layer, layers.size() + 1));
        if (!descriptor.is_null())
            add_diff_ids(name_ + " configuration " + text_at(descriptor, "digest"), config, layers);
        return layers;
    }

private:
    std::string path_of(const Stated &digest) const
    {
        return is_dir_ ? digest.hex : "blobs/" + digest.algorithm + "/" + digest.hex;
    }

    Stated stated_by(const Json &descriptor, const std::string &kind) const
    {
        Stated stated = parse_digest(text_at(descriptor, "digest"), name_ + " " + kind);
        stated.size = size_at(name_ + " " + kind, descriptor, "size");
        stated.by = "its descriptor";
        return stated;
    }

    Json read_json(const std::string &kind, const Json &descriptor)
    {
        const Stated stated = stated_by(descriptor, kind);
        std::string path = path_of(stated);
        if (is_dir_ && kind == "manifest" && blobs_.has(path + ".manifest.json"))
            path += ".manifest.json";
        const std::string shown = name_ + " " + kind + " " + path;
        return parse_json(read_text(checked_bytes(blobs_.open(path), stated, shown), shown), shown);
    }

    static std::vector<std::string> names_of(const Json &descriptor)
    {
        const Json &annotations = member(descriptor, "annotations");
        return {text_at(annotations, containerd_name), text_at(annotations, ref_name)};
    }

    // All images that the tag and the platforms leave, through indexes of any depth, each once.
    void gather(const Json &top, const std::string &tag)
    {
        const Json &list = list_at(name_, top, "manifests");
        std::vector<std::vector<std::string>> names;
        for (const Json &one : list) {
            names.push_back(names_of(one));
            const auto shown = names.back();
            shown_names_.push_back({shown[0].empty() ? shown[1] : shown[0]});
        }
        std::vector<Json> pending;
        for (const std::size_t i : named(names, tag))
            pending.push_back(list[i]);
        is_only_ = pending.size() == 1;
        for (std::size_t i = 0; i < pending.size(); ++i) {
            const Json descriptor = pending[i];
            const std::string platform = platform_in(member(descriptor, "platform"));
            if (!platform.empty() && !(is_only_ && platform_.empty()) &&
                !is_platform_of_index(platform, platform_)) {
                others_.push_back(platform);
                continue;
            }
            if (!seen_.insert(text_at(descriptor, "digest") + " " + platform).second)
                continue;
            Json json = read_json("manifest", descriptor);
            check_version(json);
            if (is_index(json)) {
                const Json &inner = list_at(name_, json, "manifests");
                is_only_ = is_only_ && inner.size() == 1;
                pending.insert(pending.end(), inner.begin(), inner.end());
                continue;
            }
            candidates_.push_back({std::move(json), platform, !platform.empty()});
        }
    }

    void check_version(const Json &json) const
    {
        if (is_index(json) && json.contains("layers"))
            throw no_image(name_, "expected an index or a manifest, got what has both manifests and layers");
        if (json.is_object() && (json.contains("fsLayers") || member(json, "schemaVersion") == 1))
            throw no_image(name_,
                           "expected a manifest of schema version 2, got one of version 1, as registries "
                           "had it before 2017: skopeo copy --format oci makes it anew");
    }

    // What no descriptor says, a configuration does.
    void find_platforms()
    {
        for (Candidate &one : candidates_) {
            const Json &config = member(one.manifest, "config");
            if (!one.is_stated && !config.is_null() && is_image(one.manifest))
                one.platform = platform_in(read_json("configuration", config));
        }
    }

    template <typename Is> void prefer(const Is &is_better)
    {
        if (std::any_of(candidates_.begin(), candidates_.end(), is_better))
            std::erase_if(candidates_, [&](const Candidate &one) { return !is_better(one); });
    }

    const Candidate &choose(const std::string &tag)
    {
        prefer([](const Candidate &one) { return is_image(one.manifest); });
        const std::string wanted = wanted_platform(platform_);
        if (!platform_.empty() || candidates_.size() > 1)
            find_platforms();
        if (candidates_.size() == 1 && !platform_.empty() && !is_platform(candidates_[0].platform, wanted) &&
            others_.empty()) {
            const std::string &got = candidates_[0].platform;
            throw no_image(name_, fmt::format("expected an image for {}, got one for {}", printable(wanted),
                                              got.empty() ? "no platform" : printable(got)));
        }
        const std::vector<Candidate> all = candidates_;
        const bool know =
            std::any_of(all.begin(), all.end(), [](const Candidate &one) { return !one.platform.empty(); });
        if (know && (all.size() > 1 || !platform_.empty()))
            std::erase_if(candidates_, [&](const Candidate &one) {
                return !is_platform_of_index(one.platform, platform_);
            });
        // linux/amd64 is wanted, and there is linux/amd64/v3, too; or linux/arm/v7, and there is linux/arm.
        prefer([&](const Candidate &one) { return with_variant(one.platform) == with_variant(wanted); });
        prefer([&](const Candidate &one) { return one.platform == wanted; });
        if (candidates_.size() == 1)
            return candidates_.front();
        for (const Candidate &one : all)
            others_.push_back(one.platform);
        throw not_one(tag, wanted);
    }

    std::runtime_error not_one(const std::string &tag, const std::string &wanted)
    {
        std::erase(others_, "");
        const bool differ = !others_.empty() && (others_.front() != others_.back() || candidates_.empty());
        std::string all;
        for (const std::string &one : others_)
            all += (all.empty() ? "" : ", ") + printable(one);
        if (differ)
            return no_image(name_,
                            fmt::format("expected one image for {}, got {}; it has images for {}: choose by "
                                        "--platform",
                                        printable(wanted), candidates_.size(), all));
        return no_image(name_, fmt::format("expected one image{}, got {}; {}: name one as {}:TAG",
                                           tag.empty() ? "" : " tagged " + printable(tag), candidates_.size(),
                                           tags_in(shown_names_), printable(name_)));
    }

    void check_manifest(const Json &manifest) const
    {
        check_version(manifest);
        if (!manifest.is_object() || !manifest.contains("layers"))
            throw no_image(name_, "expected an image manifest with layers, got another one");
        const std::string type = text_at(member(manifest, "config"), "mediaType");
        if (!is_in(config_types, type))
            throw no_image(name_,
                           "expected the manifest of an image, got one whose configuration is of type " +
                               printable(type));
    }

    OciLayer layer_of(const Json &descriptor, std::size_t number)
    {
        const std::string type = text_at(descriptor, "mediaType");
        if (!is_in(layer_types, type))
            throw no_image(name_,
                           fmt::format("expected a layer that can be read, got one of type {} as layer {}",
                                       printable(type), number));
        const Stated stated = stated_by(descriptor, fmt::format("layer {}", number));
        const std::string path = path_of(stated);
        if (!blobs_.has(path) &&
            (type.find("foreign") != type.npos || type.find("nondistributable") != type.npos)) {
            const Json &urls = list_at(name_, descriptor, "urls");
            const std::string url = !urls.empty() && urls[0].is_string() ? urls[0].get<std::string>() : "";
            throw no_image(name_,
                           fmt::format("expected all layers in it, layer {} of type {} is not{}: fetch it "
                                       "to {}",
                                       number, printable(type),
                                       url.empty() ? "" : " but at " + printable(url), printable(path)));
        }
        return {path, fmt::format("layer {}, {}", number, path), {stated}, {}};
    }

    BlobStore &blobs_;
    const std::string &name_;
    bool is_dir_;
    const std::string &platform_;
    bool is_only_ = false; // there is no choice
    std::set<std::string> seen_;
    std::vector<Candidate> candidates_;
    std::vector<std::string> others_; // platforms of other images
    std::vector<std::vector<std::string>> shown_names_;
};

} // namespace

void add_diff_ids(const std::string &name, const Json &config, std::vector<OciLayer> &layers)
{
    const Json &rootfs = member(config, "rootfs");
    if (rootfs.is_null())
        return;
    const Json &ids = list_at(name, rootfs, "diff_ids");
    if (ids.size() != layers.size())
        throw no_image(
            name, fmt::format("expected {} diff_ids, one for each layer, got {}", layers.size(), ids.size()));
    for (std::size_t i = 0; i < layers.size(); ++i) {
        layers[i].diff_id = parse_digest(ids[i].is_string() ? ids[i].get<std::string>() : "",
                                         fmt::format("{}, diff_id {}", name, i + 1));
        layers[i].diff_id.by = "diff_ids of the configuration";
    }
}

std::vector<OciLayer> oci_layers(BlobStore &blobs, const std::string &name, const std::string &tag,
                                 const std::string &platform)
{
    const auto read = [&](const char *path) {
        const std::string shown = name + " " + path;
        return parse_json(read_text(blobs.open(path), shown), shown);
    };
    if (blobs.has("index.json"))
        return Layout(blobs, name, false, platform).layers(read("index.json"), tag);
    if (!blobs.has("manifest.json"))
        throw no_image(name, "expected index.json (OCI) or manifest.json (docker save, skopeo's dir:) in it, "
                             "neither is there");
    const Json top = read("manifest.json");
    if (top.is_array())
        return layers_of_docker(blobs, name, top, tag, platform);
    if (!top.is_object())
        throw no_image(name, "manifest.json: expected a list of images or a manifest, got something else");
    if (!tag.empty())
        throw no_image(name, fmt::format("expected no tag, since skopeo's dir: has one image without, got {}",
                                         printable(tag)));
    return Layout(blobs, name, true, platform).layers(top, tag);
}

} // namespace daxfs
