// SPDX-License-Identifier: Apache-2.0
// From the JSON of a container image to its layers.
#pragma once

#include <string>
#include <vector>

#include "blob_store.hpp"
#include "oci_names.hpp"

namespace daxfs {

// A layer's file in the store, and what the image says of it.
struct OciLayer {
    std::string path;
    std::string shown;          // for messages: "layer 2, PATH"
    std::vector<Stated> stated; // of the file
    Stated diff_id;             // of what it is uncompressed
};

// The layers of the image with this tag for this platform, the lowest first, of an OCI image layout, of the
// directory that skopeo's dir: transport writes, or of docker save.
std::vector<OciLayer> oci_layers(BlobStore &blobs, const std::string &name, const std::string &tag,
                                 const std::string &platform);

// The same of docker save's manifest.json.
std::vector<OciLayer> layers_of_docker(BlobStore &blobs, const std::string &name, const Json &images,
                                       const std::string &tag, const std::string &platform);

// What a configuration says of the layers: one SHA-256 each, uncompressed.
void add_diff_ids(const std::string &name, const Json &config, std::vector<OciLayer> &layers);

} // namespace daxfs
