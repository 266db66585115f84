// SPDX-License-Identifier: Apache-2.0
// What an accelerator's process maps: a model's weights, and a table that is looked up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace daxbench {

/// A tensor's rows and columns, of 32-bit floats.
struct TensorShape {
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
};

/// "4096x1024"; throws naming what it got.
TensorShape parse_shape(const std::string &text);

/// A file in the format safetensors: the header's length, the header (JSON, padded to 8 bytes with blanks),
/// then the tensors in the order of their names, of floats in [-1, 1) that depend on the seed alone.
void write_safetensors(const std::filesystem::path &file, const std::map<std::string, TensorShape> &tensors,
                       std::uint64_t seed);

/// A table of probe_table.hpp, half full. SLOTS: a power of two.
void write_probe_table(const std::filesystem::path &file, std::uint64_t slots);

} // namespace daxbench
