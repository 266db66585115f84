// SPDX-License-Identifier: Apache-2.0
#include "mark.hpp"

#include <cstring>

#include <sys/mman.h>

#include "io.hpp"

namespace daxbench {

int next_section()
{
    static int sections = 0;
    return sections++;
}

void announce_routine(std::uint64_t address, std::uint8_t meaning)
{
    // What a NOP says is in its bytes: they are written, then executed.
    constexpr std::size_t size = 4096;
    void *const map =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        throw_errno("cannot map memory to execute");
    auto *at = static_cast<std::uint8_t *>(map);
    const auto put = [&at](const auto &opcode, std::uint32_t value) {
        at = static_cast<std::uint8_t *>(std::memcpy(at, opcode.data(), opcode.size())) + opcode.size();
        at = static_cast<std::uint8_t *>(std::memcpy(at, &value, sizeof value)) + sizeof value;
    };
    put(marks::mark_opcode, marks::signature | (marks::announce + meaning));
    put(marks::address_opcode, static_cast<std::uint32_t>(address));
    *at = 0xc3; // ret
    reinterpret_cast<void (*)()>(map)();
    ::munmap(map, size);
}

} // namespace daxbench
