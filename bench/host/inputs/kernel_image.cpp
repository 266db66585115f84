// SPDX-License-Identifier: Apache-2.0
// Reading x86 bzImage files. Source: Documentation/arch/x86/boot.rst of the kernel.
#include <cstdint>
#include <cstring>

#include <elf.h>

#include "cache.hpp"
#include "decompress.hpp"
#include "kernel.hpp"

namespace daxbench {

namespace {

constexpr std::size_t setup_sects_at = 0x1f1;
constexpr std::size_t magic_at = 0x202;
constexpr std::size_t protocol_at = 0x206;
constexpr std::size_t kernel_version_at = 0x20e;
constexpr std::size_t payload_offset_at = 0x248;
constexpr std::size_t payload_length_at = 0x24c;
constexpr std::uint16_t first_protocol_with_payload = 0x0208;
constexpr std::uint32_t xen_elfnote_phys32_entry = 18; // what QEMU looks for to boot by PVH

template <typename T> T get(std::string_view data, std::size_t at)
{
    T value = 0;
    if (at <= data.size() && data.size() - at >= sizeof value)
        std::memcpy(&value, data.data() + at, sizeof value);
    return value;
}

bool is_bzimage(std::string_view data)
{
    return data.size() > 0x250 && data.substr(magic_at, 4) == "HdrS";
}

bool has_pvh_note(std::string_view notes)
{
    while (notes.size() >= sizeof(Elf64_Nhdr)) {
        const auto name_size = get<std::uint32_t>(notes, 0);
        const auto data_size = get<std::uint32_t>(notes, 4);
        const auto type = get<std::uint32_t>(notes, 8);
        const auto name_at = sizeof(Elf64_Nhdr);
        const auto padded = [](std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; };
        const auto next = name_at + padded(name_size) + padded(data_size);
        if (next > notes.size())
            return false;
        if (type == xen_elfnote_phys32_entry && notes.substr(name_at, 3) == "Xen")
            return true;
        notes.remove_prefix(next);
    }
    return false;
}

bool can_boot_by_pvh(std::string_view elf)
{
    if (elf.size() < sizeof(Elf64_Ehdr) || elf.substr(0, SELFMAG) != ELFMAG)
        return false;
    Elf64_Ehdr header;
    std::memcpy(&header, elf.data(), sizeof header);
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
        const auto at = header.e_phoff + i * sizeof(Elf64_Phdr);
        if (at > elf.size() || elf.size() - at < sizeof(Elf64_Phdr))
            return false;
        Elf64_Phdr segment;
        std::memcpy(&segment, elf.data() + at, sizeof segment);
        if (segment.p_type == PT_NOTE && segment.p_offset <= elf.size() &&
            segment.p_filesz <= elf.size() - segment.p_offset &&
            has_pvh_note(elf.substr(segment.p_offset, segment.p_filesz)))
            return true;
    }
    return false;
}

} // namespace

std::optional<std::string> release_of_bzimage(const std::filesystem::path &vmlinuz)
{
    const auto data = read_file(vmlinuz);
    if (!is_bzimage(data))
        return std::nullopt;
    const std::size_t at = get<std::uint16_t>(data, kernel_version_at) + std::size_t{0x200};
    if (at == 0x200 || at >= data.size())
        return std::nullopt;
    // "6.12.117+deb12-amd64 (debian-kernel@…) #1 SMP …", ended by a zero byte
    const auto end = data.find_first_of(std::string_view(" \0", 2), at);
    return data.substr(at, end == std::string::npos ? end : end - at);
}

std::string vmlinux_of_bzimage(std::string_view bzimage, const std::string &name)
{
    if (!is_bzimage(bzimage) || get<std::uint16_t>(bzimage, protocol_at) < first_protocol_with_payload)
        return {};
    const std::size_t setup = (std::size_t{get<std::uint8_t>(bzimage, setup_sects_at)} + 1) * 512;
    const std::size_t from = setup + get<std::uint32_t>(bzimage, payload_offset_at);
    const std::size_t size = get<std::uint32_t>(bzimage, payload_length_at);
    if (from > bzimage.size() || size > bzimage.size() - from || size < 4)
        return {};
    try {
        // The last four bytes are the size of what comes out, not part of the stream.
        auto elf = decompressed(bzimage.substr(from, size - 4), name);
        return can_boot_by_pvh(elf) ? elf : std::string();
    } catch (const std::runtime_error &) {
        return {}; // a compression libarchive does not know: the bzImage itself still boots
    }
}

} // namespace daxbench
