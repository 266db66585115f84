// SPDX-License-Identifier: Apache-2.0
#include "instruction.hpp"

#include <algorithm>
#include <cstring>

#include "marks.hpp"

namespace daxbench {

namespace {

std::uint32_t immediate(Bytes instruction, std::size_t at)
{
    std::uint32_t value = 0;
    std::memcpy(&value, instruction.data() + at, sizeof value);
    return value;
}

bool is_prefix(std::uint8_t byte)
{
    return (byte & 0xf0) == 0x40 || byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 ||
           byte == 0x2e || byte == 0x3e;
}

} // namespace

std::optional<std::uint8_t> mark_of(Bytes instruction)
{
    constexpr auto &opcode = marks::mark_opcode;
    if (instruction.size() != opcode.size() + 4 ||
        !std::ranges::equal(opcode, instruction.first(opcode.size())))
        return {};
    const std::uint32_t value = immediate(instruction, opcode.size());
    if ((value & 0xffffff00) != marks::signature)
        return {};
    return static_cast<std::uint8_t>(value);
}

std::optional<std::uint64_t> announced_address(Bytes instruction)
{
    constexpr auto &opcode = marks::address_opcode;
    if (instruction.size() != opcode.size() + 4 ||
        !std::ranges::equal(opcode, instruction.first(opcode.size())))
        return {};
    return 0xffffffff00000000 | immediate(instruction, opcode.size());
}

bool is_iretq(Bytes instruction)
{
    return instruction.size() == 2 && instruction[0] == 0x48 && instruction[1] == 0xcf;
}

bool is_conditional_branch(Bytes instruction)
{
    while (!instruction.empty() && is_prefix(instruction.front()))
        instruction = instruction.subspan(1);
    if (instruction.size() < 2)
        return false;
    const std::uint8_t first = instruction[0];
    const bool two_bytes = first == 0x0f && (instruction[1] & 0xf0) == 0x80;
    return (first & 0xf0) == 0x70 || two_bytes || (first >= 0xe0 && first <= 0xe3);
}

} // namespace daxbench
