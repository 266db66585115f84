// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "oci_manifest.hpp"
#include "source.hpp"

namespace daxfs {

// A container image: an OCI image layout (directory or archive) or what docker save
// writes. Its layers are applied in order, whiteouts among them.
class OciSource : public TreeSource {
public:
    // where: PATH or PATH:TAG. Without a tag the image must hold one only. Of images for several platforms it
    // is that for `platform` ("arm64", "linux/arm64", "arm/v7"), "" being this machine's architecture.
    OciSource(std::string where, std::string platform, PathFilter filter, OnWarning warn = {});

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    void add_to(TreeBuilder &builder, const Workers &workers) override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    std::string where_;
    std::string platform_;
    PathFilter filter_;
    OnWarning warn_;
    Spool spool_;
};

// A container image that is open, and where its layers are.
class OciImage {
public:
    // where, platform: as for OciSource.
    OciImage(const std::string &where, const std::string &platform, const Workers &workers);

    const std::vector<OciLayer> &layers() const { return layers_; }
    // Read a layer, all of it, so that its digest is compared too.
    void read_layer(std::size_t layer, const ArchiveTarget &target) const;

private:
    FilePart plain_part(const std::string &path, const std::string &name,
                        const std::atomic<bool> *stop) const;

    std::string path_;
    std::unique_ptr<BlobStore> blobs_;
    std::vector<OciLayer> layers_;
};

// One layer alone, its whiteouts as overlayfs has them. The image outlives it, and so does `below`,
// which gathers the layers' directories: to be used for one layer after the other, the lowest first.
class OciLayerSource : public TreeSource {
public:
    OciLayerSource(const OciImage &image, std::size_t layer, PathFilter filter, TreeBuilder &below,
                   OnWarning warn = {});

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    const OciImage &image_;
    std::size_t layer_;
    PathFilter filter_;
    TreeBuilder &below_;
    OnWarning warn_;
    Spool spool_;
};

// PATH or PATH:TAG as its two parts; the tag is "" when there is none.
std::pair<std::string, std::string> split_oci_name(const std::string &where);

} // namespace daxfs
