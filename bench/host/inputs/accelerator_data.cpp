// SPDX-License-Identifier: Apache-2.0
#include "accelerator_data.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <fstream>
#include <random>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "probe_table.hpp"
#include "process.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

static_assert(std::endian::native == std::endian::little, "the format's numbers are little-endian");

constexpr std::size_t chunk = std::size_t{1} << 18; // numbers written at a time

std::string header_of(const std::map<std::string, TensorShape> &tensors)
{
    nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
    std::uint64_t at = 0;
    for (const auto &[name, shape] : tensors) {
        const auto end = at + shape.rows * shape.columns * sizeof(float);
        header[name] = {
            {"dtype", "F32"}, {"shape", {shape.rows, shape.columns}}, {"data_offsets", {at, end}}};
        at = end;
    }
    auto text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
}

std::ofstream create(const fs::path &file)
{
    std::ofstream out(file, std::ios::binary);
    if (!out)
        throw std::runtime_error(fmt::format("expected to create {}, failed", file.string()));
    return out;
}

void finish(std::ofstream &out, const fs::path &file)
{
    out.close();
    if (!out)
        throw std::runtime_error(
            fmt::format("expected to write {}, failed: is the disk full?", file.string()));
}

template <typename Number> void put(std::ofstream &out, const Number *numbers, std::size_t count)
{
    out.write(reinterpret_cast<const char *>(numbers), static_cast<std::streamsize>(count * sizeof *numbers));
}

} // namespace

TensorShape parse_shape(const std::string &text)
{
    TensorShape shape;
    int used = 0;
    unsigned long long rows = 0;
    unsigned long long columns = 0;
    if (std::sscanf(text.c_str(), "%9llux%9llu%n", &rows, &columns, &used) != 2 ||
        static_cast<std::size_t>(used) != text.size() || rows == 0 || columns == 0)
        throw std::runtime_error(
            fmt::format("expected the rows and columns of a tensor such as 4096x1024, got {}", text));
    shape.rows = rows;
    shape.columns = columns;
    return shape;
}

void write_safetensors(const fs::path &file, const std::map<std::string, TensorShape> &tensors,
                       std::uint64_t seed)
{
    auto out = create(file);
    const auto header = header_of(tensors);
    const std::uint64_t length = header.size();
    put(out, &length, 1);
    put(out, header.data(), header.size());
    std::mt19937_64 random(seed);
    std::vector<float> numbers(chunk);
    for (const auto &[name, shape] : tensors)
        for (auto left = shape.rows * shape.columns; left > 0 && out;) {
            throw_if_interrupted();
            const auto count = std::min<std::uint64_t>(left, chunk);
            for (std::size_t i = 0; i < count; ++i) // 24 bits, which a float holds exactly
                numbers[i] = static_cast<float>(static_cast<std::int64_t>(random() >> 40) - (1 << 23)) /
                             static_cast<float>(1 << 23);
            put(out, numbers.data(), count);
            left -= count;
        }
    finish(out, file);
}

void write_probe_table(const fs::path &file, std::uint64_t slots)
{
    if (!std::has_single_bit(slots))
        throw std::runtime_error(fmt::format("expected slots of a table in a power of two, got {}", slots));
    std::vector<ProbeSlot> table(slots);
    for (std::uint64_t i = 0; i < slots / 2; ++i) {
        const auto key = probe_key(i);
        table[probe_slot(table.data(), slots, key)] = {key, probe_value(key)};
    }
    auto out = create(file);
    put(out, table.data(), table.size());
    finish(out, file);
}

} // namespace daxbench
