// SPDX-License-Identifier: Apache-2.0
#include "oci_source.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <functional>
#include <stdexcept>

#include <sys/utsname.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "decompress.hpp"
#include "error.hpp"

namespace daxfs {

namespace {

using Json = nlohmann::json;

constexpr int most_nesting = 8; // of indexes; a loop ends here

std::runtime_error no_image(const std::string &name, const std::string &why)
{
    return std::runtime_error(printable(name) + ": " + why);
}

Json read_json(BlobStore &blobs, const std::string &path)
{
    Json json = Json::parse(blobs.read_all(path), nullptr, false);
    if (json.is_discarded())
        throw std::runtime_error(printable(path) + ": expected JSON, got something else");
    return json;
}

std::string text_at(const Json &json, const char *key)
{
    const auto at = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && at != json.end() && at->is_string() ? at->get<std::string>() : "";
}

// Empty where there is none; Go writes null for that. `name` is for messages.
const Json &list_at(const std::string &name, const Json &json, const char *key)
{
    static const Json none = Json::array();
    if (!json.is_object())
        return none;
    const auto at = json.find(key);
    if (at == json.end() || at->is_null())
        return none;
    if (!at->is_array())
        throw no_image(name, fmt::format("expected a list as {}, got something else", key));
    return *at;
}

std::string hex_of_sha256(const std::string &name, const std::string &digest)
{
    const bool good = digest.size() == 71 && digest.starts_with("sha256:") &&
                      std::all_of(digest.begin() + 7, digest.end(),
                                  [](unsigned char c) { return std::isdigit(c) || (c >= 'a' && c <= 'f'); });
    if (!good)
        throw no_image(name, "expected a sha256 digest, got " + printable(digest));
    return digest.substr(7);
}

// A blob's SHA-256 from its descriptor.
std::string sha256_of(const std::string &name, const Json &descriptor)
{
    return hex_of_sha256(name, text_at(descriptor, "digest"));
}

Json read_blob(BlobStore &blobs, const std::string &name, const Json &descriptor)
{
    const std::string sha256 = sha256_of(name, descriptor);
    const std::string path = "blobs/sha256/" + sha256;
    const ReadBytes check = checked_sha256(blobs.open(path), sha256, name + " " + path);
    std::array<std::byte, 65536> buffer;
    while (check(buffer) != 0)
        continue;
    return read_json(blobs, path);
}

std::string this_architecture()
{
    utsname system = {};
    uname(&system);
    const std::string_view machine = system.machine;
    if (machine == "x86_64")
        return "amd64";
    if (machine == "aarch64")
        return "arm64";
    if (machine.starts_with("arm"))
        return "arm";
    if (machine.size() == 4 && machine.front() == 'i' && machine.ends_with("86"))
        return "386";
    return std::string(machine);
}

// As docker writes it: "linux/arm64/v8"; "" for none.
std::string platform_in(const Json &json)
{
    std::string text;
    for (const char *part : {"os", "architecture", "variant"}) {
        const std::string value = text_at(json, part);
        if (!value.empty())
            text += (text.empty() ? "" : "/") + value;
    }
    return text;
}

std::string platform_of(const Json &descriptor)
{
    const auto platform = descriptor.is_object() ? descriptor.find("platform") : descriptor.end();
    return !descriptor.is_object() || platform == descriptor.end() ? "" : platform_in(*platform);
}

// As containerd has it, arm64 is v8 and arm v7 where nothing else is said.
std::string with_variant(std::string platform)
{
    if (platform.ends_with("arm64"))
        platform += "/v8";
    else if (platform.ends_with("arm"))
        platform += "/v7";
    return platform;
}

// Is "linux/arm64/v8" meant by "arm64", "linux/arm64" or itself?
bool is_platform(const std::string &platform, const std::string &wanted)
{
    return ("/" + with_variant(platform) + "/").find("/" + wanted + "/") != std::string::npos;
}

// An index need not say whom an image is for; its configuration does.
void check_platform(const std::string &name, const Json &config, const std::string &wanted)
{
    const std::string got = platform_in(config);
    if (!is_platform(got, wanted))
        throw no_image(name, fmt::format("expected an image for {}, got one for {}", printable(wanted),
                                         got.empty() ? "no platform" : printable(got)));
}

std::string annotation(const Json &descriptor, const char *key)
{
    const auto annotations = descriptor.is_object() ? descriptor.find("annotations") : descriptor.end();
    return !descriptor.is_object() || annotations == descriptor.end() ? "" : text_at(*annotations, key);
}

// docker leaves out its own registry.
std::string_view without_registry(std::string_view name)
{
    for (const std::string_view part : {"docker.io/", "library/"}) {
        if (name.starts_with(part))
            name.remove_prefix(part.size());
    }
    return name;
}

// Nothing but the registry may be left out.
bool is_whole_name(const std::string &name, const std::string &wanted)
{
    return without_registry(name) == without_registry(wanted);
}

// Is "docker.io/library/debian:12" meant by "12", "debian:12" or itself?
bool is_name(const std::string &name, const std::string &wanted)
{
    return is_whole_name(name, wanted) || name.ends_with(":" + wanted) || name.ends_with("/" + wanted);
}

// Where some are more exactly what is wanted, the others are not.
template <typename Predicate> void prefer(std::vector<const Json *> &found, Predicate is_better)
{
    if (std::any_of(found.begin(), found.end(), is_better))
        std::erase_if(found, [&](const Json *one) { return !is_better(one); });
}

using NamesOf = std::function<std::vector<std::string>(const Json &image)>;

// Of the images those that the tag names; all without one.
std::vector<const Json *> named(const Json &images, const std::string &tag, const NamesOf &names_of)
{
    std::vector<const Json *> found;
    const auto has = [&](const Json *image, bool (*is)(const std::string &, const std::string &)) {
        const std::vector<std::string> names = names_of(*image);
        return std::any_of(names.begin(), names.end(),
                           [&](const std::string &name) { return is(name, tag); });
    };
    for (const Json &image : images) {
        if (has(&image, is_name) || tag.empty())
            found.push_back(&image);
    }
    if (!tag.empty())
        prefer(found, [&](const Json *image) { return has(image, is_whole_name); });
    return found;
}

constexpr auto ref_name = "org.opencontainers.image.ref.name"; // may be the whole name or the tag
constexpr auto containerd_name =
    "io.containerd.image.name"; // the whole name, if docker or containerd wrote it

std::string tags_of(const Json &manifests)
{
    std::string all;
    for (const Json &one : manifests) {
        const std::string whole = annotation(one, containerd_name);
        const std::string name = whole.empty() ? annotation(one, ref_name) : whole;
        if (!name.empty())
            all += (all.empty() ? "" : ", ") + printable(name);
    }
    return all.empty() ? "it has no tags" : "it has the tags " + all;
}

std::string platforms_of(const std::vector<const Json *> &manifests)
{
    std::string all;
    for (const Json *one : manifests)
        all += (all.empty() ? "" : ", ") + printable(platform_of(*one));
    return all;
}

// The only one that is meant.
const Json &choose(const std::string &name, const Json &manifests, const std::string &tag,
                   const std::string &platform)
{
    std::vector<const Json *> found = named(manifests, tag, [](const Json &one) {
        return std::vector{annotation(one, ref_name), annotation(one, containerd_name)};
    });
    const std::vector<const Json *> tagged = found;
    const bool has_platforms =
        std::any_of(found.begin(), found.end(), [](const Json *one) { return !platform_of(*one).empty(); });
    const std::string wanted = platform.empty() ? "linux/" + this_architecture() : platform;
    const auto is_wanted = [&](const std::string &one) {
        return is_platform(one, wanted) ||
               (platform.empty() && one == this_architecture()); // one that names no system
    };
    if (has_platforms && (found.size() > 1 || !platform.empty()))
        std::erase_if(found, [&](const Json *one) { return !is_wanted(platform_of(*one)); });
    // linux/amd64 is wanted, and there is linux/amd64/v3, too; or linux/arm/v7, and there is linux/arm.
    prefer(found, [&](const Json *one) { return with_variant(platform_of(*one)) == with_variant(wanted); });
    prefer(found, [&](const Json *one) { return platform_of(*one) == wanted; });
    if (found.size() == 1)
        return *found.front();
    const bool differ = std::any_of(found.begin(), found.end(), [&](const Json *one) {
        return platform_of(*one) != platform_of(*found.front());
    });
    if (has_platforms && !tagged.empty() && (found.empty() || differ))
        throw no_image(
            name, fmt::format("expected one image for {}, got {}; it has images for {}: choose by --platform",
                              printable(wanted), found.size(), platforms_of(tagged)));
    throw no_image(name, fmt::format("expected one image{}, got {}; {}: name one as {}:TAG",
                                     tag.empty() ? "" : " tagged " + printable(tag), found.size(),
                                     tags_of(manifests), printable(name)));
}

std::vector<OciLayer> layers_of_layout(BlobStore &blobs, const std::string &name, const std::string &tag,
                                       const std::string &platform)
{
    Json manifest = read_json(blobs, "index.json");
    bool is_chosen_by_platform = false;
    for (int depth = 0; manifest.is_object() && manifest.contains("manifests"); ++depth) {
        if (depth == most_nesting)
            throw no_image(name, "indexes more than 8 deep");
        const Json chosen =
            choose(name, list_at(name, manifest, "manifests"), depth == 0 ? tag : "", platform);
        is_chosen_by_platform = !platform_of(chosen).empty();
        manifest = read_blob(blobs, name, chosen);
    }
    if (!manifest.is_object() || !manifest.contains("layers"))
        throw no_image(name, "expected an image manifest with layers, got another one");
    if (!platform.empty() && !is_chosen_by_platform)
        check_platform(name,
                       manifest.contains("config") ? read_blob(blobs, name, manifest["config"]) : Json(),
                       platform);
    std::vector<OciLayer> layers;
    for (const Json &layer : list_at(name, manifest, "layers")) {
        const std::string type = text_at(layer, "mediaType");
        if (type.ends_with("+encrypted"))
            throw no_image(name, "expected a layer that can be read, got one of type " + printable(type));
        const std::string sha256 = sha256_of(name, layer);
        layers.push_back({"blobs/sha256/" + sha256, sha256, ""});
    }
    return layers;
}

// What docker save says of its layers: their SHA-256 uncompressed, in the image's configuration.
void add_diff_ids(BlobStore &blobs, const std::string &name, const std::string &config,
                  std::vector<OciLayer> &layers)
{
    if (config.empty() || !blobs.has(config))
        return;
    const Json json = read_json(blobs, config);
    const auto rootfs = json.is_object() ? json.find("rootfs") : json.end();
    if (!json.is_object() || rootfs == json.end())
        return;
    const Json &ids = list_at(name, *rootfs, "diff_ids");
    if (ids.size() != layers.size())
        throw no_image(name, fmt::format("{}: expected {} diff_ids, one for each layer, got {}",
                                         printable(config), layers.size(), ids.size()));
    for (std::size_t i = 0; i < layers.size(); ++i)
        layers[i].diff_id = hex_of_sha256(name, ids[i].is_string() ? ids[i].get<std::string>() : "");
}

std::vector<OciLayer> layers_of_docker(BlobStore &blobs, const std::string &name, const std::string &tag,
                                       const std::string &platform)
{
    const Json images = read_json(blobs, "manifest.json");
    if (!images.is_array())
        throw no_image(name, "manifest.json: expected a list of images, got something else");
    const std::vector<const Json *> found = named(images, tag, [&](const Json &image) {
        std::vector<std::string> names;
        for (const Json &one : list_at(name, image, "RepoTags"))
            names.push_back(one.is_string() ? one.get<std::string>() : "");
        return names;
    });
    if (found.size() != 1)
        throw no_image(name, fmt::format("expected one image{}, got {}: name one as {}:TAG",
                                         tag.empty() ? "" : " tagged " + printable(tag), found.size(),
                                         printable(name)));
    if (!found.front()->is_object() || !found.front()->contains("Layers"))
        throw no_image(name, "manifest.json: expected an image with Layers, got another one");
    std::vector<OciLayer> layers;
    for (const Json &layer : list_at(name, *found.front(), "Layers")) {
        if (!layer.is_string())
            throw no_image(name, "manifest.json: expected the names of layers, got something else");
        layers.push_back({layer.get<std::string>(), "", ""});
    }
    const std::string config = text_at(*found.front(), "Config");
    if (!platform.empty())
        check_platform(name, !config.empty() && blobs.has(config) ? read_json(blobs, config) : Json(),
                       platform);
    add_diff_ids(blobs, name, config, layers);
    return layers;
}

} // namespace

std::vector<OciLayer> oci_layers(BlobStore &blobs, const std::string &name, const std::string &tag,
                                 const std::string &platform)
{
    if (blobs.has("index.json"))
        return layers_of_layout(blobs, name, tag, platform);
    if (blobs.has("manifest.json"))
        return layers_of_docker(blobs, name, tag, platform);
    throw no_image(name, "expected index.json (OCI) or manifest.json (docker save) in it, neither is there");
}

std::pair<std::string, std::string> split_oci_name(const std::string &where)
{
    // A tag may be a whole name with colons of its own: the path ends at the first one behind something that
    // is there.
    for (std::size_t colon = where.find(':'); colon != where.npos && !std::filesystem::exists(where);
         colon = where.find(':', colon + 1)) {
        if (colon != 0 && std::filesystem::exists(where.substr(0, colon)))
            return {where.substr(0, colon), where.substr(colon + 1)};
    }
    return {where, ""};
}

OciImage::OciImage(const std::string &where, const std::string &platform, const Workers &workers)
{
    const auto [path, tag] = split_oci_name(where);
    path_ = path;
    blobs_ = open_blobs(path_, workers);
    layers_ = oci_layers(*blobs_, path_, tag, platform);
}

void OciImage::read_layer(std::size_t index, const ArchiveTarget &target) const
{
    const OciLayer &layer = layers_[index];
    const std::string name = path_ + " " + layer.path;
    ReadBytes read = blobs_->open(layer.path);
    if (!layer.sha256.empty())
        read = checked_sha256(std::move(read), layer.sha256, name);
    if (!layer.diff_id.empty())
        read = checked_sha256(decompressed(std::move(read), name), layer.diff_id, name);
    const auto drain = [&] { // what follows the archive's end counts for the digest
        std::array<std::byte, 65536> rest;
        while (read(rest) != 0)
            target.workers.check_stop();
    };
    try {
        read_archive(read, name, target);
    } catch (const Interrupted &) {
        throw;
    } catch (const std::runtime_error &) {
        drain(); // that the blob is damaged says more
        throw;
    }
    drain();
}

OciSource::OciSource(std::string where, std::string platform, PathFilter filter)
    : where_(std::move(where)), platform_(std::move(platform)), filter_(std::move(filter))
{
}

std::unique_ptr<Tree> OciSource::scan(const Workers &workers)
{
    TreeBuilder builder;
    add_to(builder, workers);
    return builder.finish();
}

void OciSource::add_to(TreeBuilder &builder, const Workers &workers)
{
    const OciImage image(where_, platform_, workers);
    for (std::size_t i = 0; i < image.layers().size(); ++i) {
        builder.begin_layer();
        image.read_layer(i, {builder, spool_, filter_, workers, Whiteouts::apply});
    }
}

std::unique_ptr<FileContent> OciSource::open(const Tree &tree, NodeId node) const
{
    return spool_.open(tree, node);
}

OciLayerSource::OciLayerSource(const OciImage &image, std::size_t layer, PathFilter filter,
                               TreeBuilder &below)
    : image_(image), layer_(layer), filter_(std::move(filter)), below_(below)
{
}

std::unique_ptr<Tree> OciLayerSource::scan(const Workers &workers)
{
    TreeBuilder builder(&below_);
    image_.read_layer(layer_, {builder, spool_, filter_, workers, Whiteouts::overlay});
    builder.adopt_parents(below_);
    return builder.finish();
}

std::unique_ptr<FileContent> OciLayerSource::open(const Tree &tree, NodeId node) const
{
    return spool_.open(tree, node);
}

} // namespace daxfs
