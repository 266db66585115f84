// SPDX-License-Identifier: Apache-2.0
#include "mount_options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include <linux/mount.h>

#include <fmt/format.h>

#include "error.hpp"

namespace daxfs {

namespace {

struct Attribute {
    std::string_view name;
    std::uint64_t set;
    std::uint64_t clear;
};

constexpr std::array attributes{
    Attribute{"nosuid", MOUNT_ATTR_NOSUID, 0},
    Attribute{"suid", 0, MOUNT_ATTR_NOSUID},
    Attribute{"nodev", MOUNT_ATTR_NODEV, 0},
    Attribute{"dev", 0, MOUNT_ATTR_NODEV},
    Attribute{"noexec", MOUNT_ATTR_NOEXEC, 0},
    Attribute{"exec", 0, MOUNT_ATTR_NOEXEC},
    Attribute{"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    Attribute{"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    Attribute{"atime", 0, MOUNT_ATTR__ATIME},
    Attribute{"relatime", 0, MOUNT_ATTR__ATIME},
    Attribute{"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    Attribute{"diratime", 0, MOUNT_ATTR_NODIRATIME},
    Attribute{"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    Attribute{"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

// For mount(8), fstab and systemd; nothing of them reaches the kernel.
constexpr std::array<std::string_view, 11> of_user_space{
    "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev", "loud"};

bool is_of_user_space(std::string_view name)
{
    return std::ranges::find(of_user_space, name) != of_user_space.end() || name.starts_with("x-") ||
           name.starts_with("X-");
}

void add_attribute(const Attribute &attribute, MountOptions &options)
{
    options.attributes = (options.attributes & ~attribute.clear) | attribute.set;
    options.cleared = (options.cleared & ~attribute.set) | (attribute.clear & ~attribute.set);
}

void choose_exporter(Exporter exporter, std::string name, MountOptions &options)
{
    if (options.exporter != Exporter::none)
        throw std::invalid_argument("expected one of dmabuf-heap=, dmabuf-drm= and udmabuf, got two");
    options.exporter = exporter;
    options.exporter_name = std::move(name);
}

int to_descriptor(const std::string &text)
{
    int value = -1;
    const auto end = text.data() + text.size();
    if (const auto [at, code] = std::from_chars(text.data(), end, value);
        code != std::errc() || at != end || value < 0)
        throw std::invalid_argument("expected dmabuf=FILE-DESCRIPTOR, got dmabuf=" + printable(text));
    return value;
}

void add_option(const std::string &name, const std::string &value, MountOptions &options)
{
    const auto attribute = std::ranges::find(attributes, name, &Attribute::name);
    if (attribute != attributes.end())
        add_attribute(*attribute, options);
    else if (name == "ro" || name == "rw")
        options.read_only = name == "ro";
    else if (name == "remount")
        options.remount = true;
    else if (name == "dmabuf-heap")
        choose_exporter(Exporter::heap, value, options);
    else if (name == "dmabuf-drm")
        choose_exporter(Exporter::drm, value, options);
    else if (name == "udmabuf")
        choose_exporter(Exporter::udmabuf, {}, options);
    else if (name == "image")
        options.image = value;
    else if (name == "dmabuf")
        options.dmabuf = to_descriptor(value);
    else if (!is_of_user_space(name))
        options.filesystem.emplace_back(name, value);
}

} // namespace

void parse_options(std::string_view list, MountOptions &options)
{
    std::string name, text;
    bool quoted = false, has_value = false;
    const auto finish = [&] {
        if (!has_value)
            name = std::exchange(text, {});
        if (!name.empty())
            add_option(name, text, options);
        name.clear();
        text.clear();
        has_value = false;
    };
    for (const char c : list) {
        if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            finish();
        else if (c == '=' && !has_value) {
            name = std::exchange(text, {});
            has_value = true;
        } else
            text += c;
    }
    if (quoted)
        throw std::invalid_argument("expected a second \" in the options: " + printable(list));
    finish();
}

void check_options(const MountOptions &options)
{
    const bool exports = options.exporter != Exporter::none;
    if (exports && options.dmabuf >= 0)
        throw std::invalid_argument("expected a dma-buf made here or dmabuf=, got both");
    if (exports && options.image.empty())
        throw std::invalid_argument("expected image=FILE to fill the dma-buf with, it is missing");
    if (!exports && !options.image.empty())
        throw std::invalid_argument(
            "image=FILE needs dmabuf-heap=NAME, udmabuf or dmabuf-drm=DEVICE to put it in");
    if (options.remount && (exports || options.dmabuf >= 0))
        throw std::invalid_argument("a remount cannot change the memory");
}

} // namespace daxfs
