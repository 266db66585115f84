// SPDX-License-Identifier: Apache-2.0
// Any bytes as the JSON of a container image: its first byte says of which kind.
#include <algorithm>
#include <cstring>

#include "fuzz.hpp"
#include "oci_source.hpp"

using namespace daxfs;

namespace {

class OneFile : public BlobStore {
public:
    OneFile(std::string name, std::span<const std::uint8_t> data) : name_(std::move(name)), data_(data) {}

    bool has(const std::string &path) override { return path == name_; }
    ReadBytes open(const std::string &) override
    {
        return [this, at = std::size_t{0}](std::span<std::byte> to) mutable {
            const std::size_t piece = std::min(to.size(), data_.size() - at);
            std::memcpy(to.data(), data_.data() + at, piece);
            at += piece;
            return piece;
        };
    }

private:
    std::string name_;
    std::span<const std::uint8_t> data_;
};

} // namespace

void fuzz_one(std::span<const std::uint8_t> data)
{
    if (data.empty())
        return;
    for (const char *tag : {"", "v1"}) {
        OneFile blobs(data[0] % 2 ? "index.json" : "manifest.json", data.subspan(1));
        try {
            oci_layers(blobs, "input", tag, "");
        } catch (const std::runtime_error &) {
        }
    }
}
