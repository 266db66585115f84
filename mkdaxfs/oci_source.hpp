// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "blob_store.hpp"
#include "source.hpp"

namespace daxfs {

// A container image: an OCI image layout (directory or archive) or what docker save
// writes. Its layers are applied in order, whiteouts among them.
class OciSource : public TreeSource {
public:
    // where: PATH or PATH:TAG. Without a tag the image must hold one only, or one only for
    // this machine's architecture.
    OciSource(std::string where, PathFilter filter);

    std::unique_ptr<Tree> scan(const Workers& workers) override;
    void add_to(TreeBuilder& builder, const Workers& workers) override;
    std::unique_ptr<FileContent> open(const Tree& tree, NodeId node) const override;

private:
    std::string path_;
    std::string tag_;
    PathFilter filter_;
    Spool spool_;
};

// A layer's file in the store, and the SHA-256 it must have; "" when none is given.
struct OciLayer {
    std::string path;
    std::string sha256;
};

// The layers of the image with this tag, the lowest first.
std::vector<OciLayer> oci_layers(BlobStore& blobs, const std::string& name, const std::string& tag);

}  // namespace daxfs
