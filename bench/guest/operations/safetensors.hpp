// SPDX-License-Identifier: Apache-2.0
// A reader of model weights in the format safetensors: eight bytes with the header's length (little-endian),
// a JSON object that says of each tensor its type, shape and place, then the tensors. Source: the format's
// description (github.com/huggingface/safetensors, README, "Format").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace daxbench {

struct Tensor {
    std::string name;
    std::string dtype; // such as "F32"
    std::vector<std::uint64_t> shape;
    std::uint64_t begin = 0; // in the file
    std::uint64_t end = 0;
};

/// The tensors of a file's bytes, by place. Reads the header alone, whatever size it says it has; throws
/// "expected …, got …" for one that lies.
std::vector<Tensor> parse_safetensors(std::string_view file);

} // namespace daxbench
