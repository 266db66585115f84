// SPDX-License-Identifier: Apache-2.0
#include "withheld.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

#include <sys/mman.h>
#include <sys/syscall.h>

#include <fmt/format.h>

#include "io.hpp"
#include "mounts.hpp"
#include "operation_parts.hpp"

namespace daxbench {

namespace {

void *address(std::uintptr_t at)
{
    return reinterpret_cast<void *>(at);
}

// What is left of a range without another.
void add_without(std::vector<AddressRange> &ranges, AddressRange range, AddressRange without)
{
    const AddressRange below = {range.start, std::min(range.end, without.start)};
    const AddressRange above = {std::max(range.start, without.end), range.end};
    for (const AddressRange part : {below, above})
        if (part.start < part.end)
            ranges.push_back(part);
}

// The kernel's own mappings, [vdso] and its like, refuse to be given back to children.
bool may_be_withheld(const std::string &line)
{
    return line.find(" r-xp ") == std::string::npos && line.find("[v") == std::string::npos;
}

} // namespace

WithheldMemory::WithheldMemory(AddressRange kept)
{
    const auto thread = reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer()) / page_size * page_size;
    const AddressRange descriptor = {thread - page_size, thread + 2 * page_size};
    for (const std::string &line : split(read_file("/proc/self/maps"), '\n')) {
        AddressRange range;
        if (std::sscanf(line.c_str(), "%lx-%lx", &range.start, &range.end) != 2 || !may_be_withheld(line))
            continue;
        std::vector<AddressRange> parts;
        add_without(parts, range, kept);
        for (const AddressRange part : parts)
            add_without(ranges_, part, descriptor);
    }
    for (const AddressRange range : ranges_)
        if (::madvise(address(range.start), range.end - range.start, MADV_DONTFORK) != 0)
            throw_errno("cannot keep memory from a child");
}

WithheldMemory::~WithheldMemory()
{
    for (const AddressRange range : ranges_)
        ::madvise(address(range.start), range.end - range.start, MADV_DOFORK);
}

// Not fork() of the C library, whose child has work to do in memory that is withheld here. x86-64, as the
// marks for QEMU's plugin are.
int fork_and_leave()
{
    long result = SYS_fork;
    asm volatile("syscall\n\t"
                 "test %%eax, %%eax\n\t"
                 "jnz 1f\n\t"
                 "mov %[leave], %%eax\n\t"
                 "xor %%edi, %%edi\n\t"
                 "syscall\n"
                 "1:"
                 : "+a"(result)
                 : [leave] "i"(SYS_exit_group)
                 : "rcx", "r11", "rdi", "cc", "memory");
    if (result < 0)
        errno = static_cast<int>(-result);
    return result < 0 ? -1 : static_cast<int>(result);
}

} // namespace daxbench
