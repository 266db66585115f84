// SPDX-License-Identifier: Apache-2.0
#include "oci_source.hpp"

#include <array>
#include <filesystem>
#include <functional>
#include <stdexcept>

#include "decompress.hpp"
#include "error.hpp"

namespace daxfs {

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

// Where a layer lies in a file as it is.
FilePart OciImage::plain_part(const std::string &path, const std::string &name,
                              const std::atomic<bool> *stop) const
{
    const FilePart part = blobs_->part(path);
    try {
        return part.file && is_compressed(bytes_of_part(part, stop), name) ? FilePart() : part;
    } catch (const Interrupted &) {
        throw;
    } catch (const std::runtime_error &) {
        return {}; // reading it will tell
    }
}

void OciImage::read_layer(std::size_t index, const ArchiveTarget &target) const
{
    const OciLayer &layer = layers_[index];
    const std::string name = path_ + " " + layer.shown;
    const FilePart part = plain_part(layer.path, name, target.workers.stop);
    ReadBytes blob = blobs_->open(layer.path);
    bool is_known = false; // what it is uncompressed, by what it is as it is
    for (const Stated &stated : layer.stated) {
        blob = checked_bytes(std::move(blob), stated, name);
        is_known |= part.file && stated.hex == layer.diff_id.hex;
    }
    ReadBytes read = std::cref(blob);
    if (!layer.diff_id.hex.empty() && !is_known)
        read = checked_bytes(decompressed(std::move(read), name), layer.diff_id, name);
    // What follows the archive's end counts for the digests.
    const auto drain = [&](const ReadBytes &rest) {
        std::array<std::byte, 65536> buffer;
        while (rest(buffer) != 0)
            target.workers.check_stop();
    };
    try {
        read_archive({std::cref(read), part}, name, target);
        drain(read);
    } catch (const Interrupted &) {
        throw;
    } catch (const std::runtime_error &) {
        drain(blob); // that the blob is damaged says more
        throw;
    }
    drain(blob);
}

OciSource::OciSource(std::string where, std::string platform, PathFilter filter, OnWarning warn)
    : where_(std::move(where)), platform_(std::move(platform)), filter_(std::move(filter)),
      warn_(std::move(warn))
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
    NotKept not_kept;
    for (std::size_t i = 0; i < image.layers().size(); ++i) {
        builder.begin_layer();
        image.read_layer(i, {builder, spool_, filter_, workers, Whiteouts::apply, true, &not_kept});
    }
    not_kept.tell(named_warning(warn_, where_));
}

std::unique_ptr<FileContent> OciSource::open(const Tree &tree, NodeId node) const
{
    return spool_.open(tree, node);
}

OciLayerSource::OciLayerSource(const OciImage &image, std::size_t layer, PathFilter filter,
                               TreeBuilder &below, OnWarning warn)
    : image_(image), layer_(layer), filter_(std::move(filter)), below_(below), warn_(std::move(warn))
{
}

std::unique_ptr<Tree> OciLayerSource::scan(const Workers &workers)
{
    TreeBuilder builder(&below_);
    NotKept not_kept;
    image_.read_layer(layer_, {builder, spool_, filter_, workers, Whiteouts::overlay, true, &not_kept});
    not_kept.tell(warn_);
    builder.adopt_parents(below_);
    return builder.finish();
}

std::unique_ptr<FileContent> OciLayerSource::open(const Tree &tree, NodeId node) const
{
    return spool_.open(tree, node);
}

} // namespace daxfs
