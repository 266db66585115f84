// SPDX-License-Identifier: Apache-2.0
#include "safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace daxbench {

namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t longest_header = 100'000'000; // the format's own limit

[[noreturn]] void refuse(const std::string &expected)
{
    throw std::runtime_error("expected safetensors with " + expected);
}

std::uint64_t bits_of(const std::string &dtype)
{
    static const std::map<std::string, std::uint64_t> bits = {
        {"BOOL", 8}, {"U8", 8},   {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8},
        {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},   {"I32", 32},
        {"U32", 32}, {"F32", 32}, {"I64", 64}, {"U64", 64},    {"F64", 64}};
    const auto found = bits.find(dtype);
    if (found == bits.end())
        refuse(fmt::format("a known type, got {}", dtype.substr(0, 20)));
    return found->second;
}

std::uint64_t product(std::uint64_t a, std::uint64_t b)
{
    std::uint64_t result = 0;
    if (__builtin_mul_overflow(a, b, &result))
        refuse("a tensor whose size is a number, got an overflow");
    return result;
}

// Refuses a name that comes twice, of which a parser would keep one.
json parse_header(std::string_view text)
{
    if (text.empty() || text.front() != '{')
        refuse("a header that begins with {");
    std::vector<std::set<std::string>> names;
    const auto see = [&](int, json::parse_event_t event, json &value) {
        if (event == json::parse_event_t::object_start)
            names.emplace_back();
        else if (event == json::parse_event_t::object_end)
            names.pop_back();
        else if (event == json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
            refuse(fmt::format("each name once, got {} twice", value.dump()));
        return true;
    };
    try {
        return json::parse(text, see);
    } catch (const json::exception &) {
        refuse("a header in JSON, got another text");
    }
}

// A count of "shape" or a place of "data_offsets".
std::uint64_t whole(const json &value)
{
    if (!value.is_number_unsigned())
        refuse(fmt::format("whole numbers, got {}", value.dump().substr(0, 40)));
    return value.get<std::uint64_t>();
}

Tensor parse_tensor(const std::string &name, const json &entry, std::uint64_t data, std::uint64_t size)
{
    if (!entry.is_object() || !entry.contains("dtype") || !entry.at("dtype").is_string() ||
        !entry.contains("shape") || !entry.at("shape").is_array() || !entry.contains("data_offsets") ||
        !entry.at("data_offsets").is_array() || entry.at("data_offsets").size() != 2)
        refuse(fmt::format("dtype, shape and two data_offsets of {}", name.substr(0, 40)));
    Tensor tensor;
    tensor.name = name;
    tensor.dtype = entry.at("dtype");
    std::uint64_t bits = bits_of(tensor.dtype);
    for (const json &count : entry.at("shape")) {
        tensor.shape.push_back(whole(count));
        bits = product(bits, tensor.shape.back());
    }
    const std::uint64_t begin = whole(entry.at("data_offsets")[0]);
    const std::uint64_t end = whole(entry.at("data_offsets")[1]);
    if (begin > end || end > size - data)
        refuse(fmt::format("{} inside the file, got bytes {} to {} of {}", name.substr(0, 40), begin, end,
                           size - data));
    if (end - begin != bits / 8)
        refuse(fmt::format("{} bytes of {}, as its shape says, got {}", bits / 8, name.substr(0, 40),
                           end - begin));
    tensor.begin = data + begin;
    tensor.end = data + end;
    return tensor;
}

} // namespace

std::vector<Tensor> parse_safetensors(std::string_view file)
{
    std::uint64_t length = 0;
    if (file.size() < sizeof length)
        refuse(fmt::format("8 bytes or more, got {}", file.size()));
    std::memcpy(&length, file.data(), sizeof length);
    if (length > longest_header || length > file.size() - sizeof length)
        refuse(fmt::format("a header inside the file of {} bytes, got one of {}", file.size(), length));
    const std::uint64_t data = sizeof length + length;
    std::vector<Tensor> tensors;
    const json header = parse_header(file.substr(sizeof length, length));
    for (const auto &[name, entry] : header.items())
        if (name != "__metadata__")
            tensors.push_back(parse_tensor(name, entry, data, file.size()));
    std::ranges::sort(tensors, {}, [](const Tensor &tensor) { return std::pair(tensor.begin, tensor.end); });
    std::uint64_t at = data;
    for (const Tensor &tensor : tensors) { // the format allows neither holes nor overlaps
        if (tensor.begin != at)
            refuse(fmt::format("{} at byte {}, where the one before it ends, got {}",
                               tensor.name.substr(0, 40), at, tensor.begin));
        at = tensor.end;
    }
    if (at != file.size())
        refuse(fmt::format("tensors to the file's end, got {} bytes more", file.size() - at));
    return tensors;
}

} // namespace daxbench
