// SPDX-License-Identifier: Apache-2.0
// What the plugin needs to know of an x86-64 instruction, from its bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace daxbench {

using Bytes = std::span<const std::uint8_t>;

/// The code of a mark (marks.hpp).
std::optional<std::uint8_t> mark_of(Bytes instruction);
/// The address in the NOP that follows an announcing mark: in the kernel's text, the upper half all ones.
std::optional<std::uint64_t> announced_address(Bytes instruction);
/// Return from an exception or interrupt.
bool is_iretq(Bytes instruction);
/// Jcc, LOOP and JCXZ; what cmov and setcc decide is no branch.
bool is_conditional_branch(Bytes instruction);

} // namespace daxbench
