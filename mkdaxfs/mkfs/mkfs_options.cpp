// SPDX-License-Identifier: Apache-2.0
#include "mkfs_options.hpp"

#include <bit>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "daxfs_format.h"
#include "error.hpp"
#include "file_contexts.hpp"
#include "order.hpp"
#include "uuid.hpp"

namespace daxfs {

namespace {

// MkfsOptions that may be given several times, each time with one value.
CLI::Option *add_list(CLI::App &app, const std::string &name, std::vector<std::string> &list,
                      const std::string &type, const std::string &what)
{
    return app.add_option(name, list, what + "; repeatable")->type_name(type)->allow_extra_args(false);
}

// Decimal, and none that is cut to what fits: CLI11 and strtoll(3) do that.
std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most)
{
    if (text.starts_with('+') && !text.starts_with("+-")) // as strtoll(3) takes it
        text.remove_prefix(1);
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_good =
        failure == std::errc() && end == text.data() + text.size() && value >= least && value <= most;
    return is_good ? std::optional(value) : std::nullopt;
}

CLI::Validator number(std::int64_t least, std::int64_t most)
{
    return CLI::Validator(
        [=](std::string &text) {
            const auto value = parse_number(text, least, most);
            if (!value)
                return fmt::format("expected a number from {} to {}, got {}", least, most, printable(text));
            text = std::to_string(*value);
            return std::string();
        },
        "");
}

void declare_sources(CLI::App &app, MkfsOptions &o)
{
    app.add_option("IMAGE", o.image,
                   "file, block device or /dev/daxX.Y to write, - for standard output; a source where an "
                   "option names the target");
    app.add_option("SOURCE", o.sources, "directory that becomes the root");
    add_list(app, "--tar", o.tar, "FILE",
             "source: an archive (tar or cpio, compressed or not); - is "
             "standard input");
    app.add_option("--layer", o.layer,
                   "the only source: one layer's archive, its whiteouts as overlayfs has them; - is "
                   "standard input")
        ->type_name("FILE");
    add_list(app, "--oci", o.oci, "PATH[:TAG]",
             "source: a container image, as an OCI layout (directory or archive) or from docker save");
    app.add_option("--platform", o.platform,
                   "which of a container image's platforms: ARCH, OS/ARCH or OS/ARCH/VARIANT "
                   "(default: this machine's)")
        ->type_name("PLATFORM");
    add_list(app, "--text,--pseudo", o.text, "FILE",
             "source: a tree as text, whole or a few entries to add; - is standard input");
    add_list(
        app, "--list", o.list, "FILE",
        "source: files of this machine, a line each: path in the image, file, attributes to change; - is "
        "standard input");
    add_list(
        app, "--files-from", o.files_from, "FILE",
        "source: the files of this machine that this list names, as find -print or -print0 gives it; - is "
        "standard input");
    app.add_flag("--one-file-system", o.one_file_system,
                 "of directories, what is mounted below them is left empty");
    app.add_flag("--hard-dereference", o.hard_dereference,
                 "of directories and lists, every name is a file of its own, whatever hard links there are");
    app.add_flag("--layers", o.layers,
                 "make one image for each layer of the one --oci: IMAGE.1 (the lowest), IMAGE.2, ...; "
                 "whiteouts as overlayfs has them");
}

void declare_targets(CLI::App &app, MkfsOptions &o)
{
    CLI::Option *device = app.add_option("--device", o.device, "write to this block device or /dev/daxX.Y");
    device->type_name("PATH");
    CLI::Option *phys = app.add_option("--phys", o.phys, "write to this range of physical memory");
    phys->type_name("ADDR,SIZE")->excludes(device);
    CLI::Option *heap =
        app.add_option("--heap", o.heap, "write to a buffer of this dma-buf heap and mount it");
    heap->type_name("NAME")->excludes(device)->excludes(phys);
    CLI::Option *mount = app.add_option("--mount", o.directory, "where to mount the buffer of --heap");
    mount->type_name("DIR")->needs(heap);
    heap->needs(mount);
}

void declare_image(CLI::App &app, MkfsOptions &o)
{
    app.add_option("-L,--label", o.label, "label, up to 32 bytes");
    app.add_option("-U,--uuid", o.uuid, "UUID (default: made from the content)");
    app.add_option("-j,--threads", o.threads,
                   "threads at most (default: 16, or one for each core if those are more)")
        ->check(CLI::Range(1u, 1024u));
    app.add_option("--align", o.build.align,
                   "files of this size and more start on a multiple of it: 4K to 1G, a power of 2 "
                   "(default 2M)")
        ->transform(CLI::AsSizeValue(false));
    app.add_flag("--no-dedupe", o.no_dedupe, "store equal files as often as they occur");
    app.add_option("--order", o.order,
                   "store what this list of paths names first, in its order; - is standard input")
        ->type_name("FILE");
    app.add_option("--digest", o.digest, "keep a digest of every file: xxh3, sha256 or none");
}

void declare_changes(CLI::App &app, MkfsOptions &o)
{
    constexpr std::int64_t last_owner = no_owner - 1;
    const CLI::Validator owner = number(0, last_owner);
    const CLI::Validator any =
        number(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
    add_list(app, "-x,--exclude", o.exclude, "GLOB",
             "leave out what matches: names, or paths when it has a slash; ** is any depth, ! in front keeps "
             "what matches");
    add_list(app, "--exclude-from", o.exclude_from, "FILE",
             "leave out what the globs in this file match, one a line; - is standard input");
    add_list(app, "--exclude-regex", o.exclude_regex, "REGEX",
             "leave out paths that match the extended regular expression");
    add_list(app, "--xattr-exclude", o.build.xattr_exclude, "GLOB",
             "leave out extended attributes whose full name matches");
    app.add_option("--file-contexts", o.file_contexts, "SELinux labels as this file says")->type_name("FILE");
    add_list(
        app, "--rules", o.rules, "FILE",
        "change modes, owners, times and extended attributes of what this file's globs match; - is standard "
        "input");
    app.add_flag("--all-root", o.all_root, "make root the owner and group of everything");
    app.add_option("--force-uid", o.build.uid, "owner of everything")->transform(owner);
    app.add_option("--force-gid", o.build.gid, "group of everything")->transform(owner);
    app.add_option("--uid-offset", o.build.uid_offset, "add this to every owner's number")->transform(any);
    app.add_option("--gid-offset", o.build.gid_offset, "add this to every group's number")->transform(any);
    app.add_option("-T,--mtime", o.build.mtime, "time of everything, seconds since the epoch")
        ->transform(any);
}

void declare_run(CLI::App &app, MkfsOptions &o)
{
    app.add_flag("-f,--force", o.force, "overwrite a device or memory that holds something");
    app.add_flag("--keep-going", o.keep_going, "name what cannot be read and leave it out");
    app.add_flag("--no-sync", o.no_sync, "do not wait until the image is on the medium");
    app.add_flag("-q,--quiet", o.quiet, "print nothing but errors");
    app.add_flag("--json", o.json, "print a summary as one line of JSON");
    app.set_version_flag("-V,--version",
                         fmt::format("mkdaxfs {}, format version {}", DAXFS_TOOLS_VERSION, DAXFS_VERSION));
    app.footer("Several sources are merged in the order given, later ones over earlier ones.\n"
               "SOURCE_DATE_EPOCH, when set, is the image's build time, and no file's time is later unless "
               "--mtime gives it; "
               "otherwise the newest time in the tree is the build time.");
}

// In the order of the command line: of all that match, the last one decides.
PathFilter make_filter(const CLI::App &app, const MkfsOptions &o, Inputs &inputs)
{
    PathFilter filter;
    std::map<std::string, std::size_t> used;
    for (const CLI::Option *option : app.parse_order()) {
        const std::string name = option->get_name();
        const std::size_t i = used[name]++;
        try {
            if (name == "--exclude")
                filter.add_glob(o.exclude[i]);
            else if (name == "--exclude-from")
                filter.add_globs(inputs.text(o.exclude_from[i]), o.exclude_from[i]);
            else if (name == "--exclude-regex")
                filter.add_regex(o.exclude_regex[i]);
        } catch (const std::invalid_argument &wrong) {
            throw CLI::ValidationError(name, wrong.what());
        }
    }
    return filter;
}

PhysicalRange physical_range(const std::string &text)
{
    try {
        return parse_physical_range(text);
    } catch (const std::invalid_argument &wrong) {
        throw CLI::ValidationError("--phys", wrong.what());
    }
}

// What goes together, and what does not.
void refuse_combinations(const MkfsOptions &o)
{
    if (o.layers && (o.oci.size() != 1 || o.directories() + o.other_sources() != 1))
        throw CLI::ValidationError("--layers", "expected one --oci and no other source");
    if (o.layers && !o.uuid.empty())
        throw CLI::ValidationError("--layers", "expected no --uuid, since each image has its own");
    if (!o.platform.empty() && o.oci.empty())
        throw CLI::ValidationError("--platform", "expected --oci with it");
    if (o.layers && o.has_target())
        throw CLI::ValidationError("--layers", "expected IMAGE for the names of the images");
    if (o.layers && o.to_standard_output())
        throw CLI::ValidationError("--layers", "expected a file's name for the images, got standard output");
}

} // namespace

// In the order of --help.
void declare(CLI::App &app, MkfsOptions &options)
{
    declare_sources(app, options);
    declare_targets(app, options);
    declare_image(app, options);
    declare_changes(app, options);
    declare_run(app, options);
}

void complete(const CLI::App &app, MkfsOptions &o, Inputs &inputs)
{
    if (o.label.size() > DAXFS_LABEL_MAX)
        throw CLI::ValidationError(
            "--label", fmt::format("expected at most {} bytes, got {}", DAXFS_LABEL_MAX, o.label.size()));
    if (!is_utf8(o.label))
        throw CLI::ValidationError("--label", "expected UTF-8, got " + printable(o.label));
    if (!std::has_single_bit(o.build.align) || o.build.align < DAXFS_BLOCK_SIZE ||
        o.build.align > (1ULL << 30))
        throw CLI::ValidationError("--align",
                                   fmt::format("expected a power of 2 from 4K to 1G, got {}", o.build.align));
    o.build.uuid = parse_uuid(o.uuid);
    if (!o.uuid.empty() && !o.build.uuid)
        throw CLI::ValidationError("--uuid", "expected 32 hexadecimal digits, got " + printable(o.uuid));
    if (o.image.empty() && !o.has_target())
        throw CLI::RequiredError("IMAGE");
    const auto others = o.directories() + o.other_sources();
    if (others == 0 && o.layer.empty())
        throw CLI::RequiredError("SOURCE");
    if (others != 0 && !o.layer.empty())
        throw CLI::ValidationError("--layer", "expected no other source with it");
    if (!o.phys.empty())
        o.range = physical_range(o.phys);
    if (!o.digest.empty()) {
        o.build.digest = parse_digest_kind(o.digest);
        if (!o.build.digest)
            throw CLI::ValidationError("--digest",
                                       "expected xxh3, sha256 or none, got " + printable(o.digest));
    }
    refuse_combinations(o);
    o.filter = make_filter(app, o, inputs);
    o.build.dedupe = !o.no_dedupe;
    o.build.sync = !o.no_sync;
    o.build.keep_opaque = o.layers || !o.layer.empty();
    if (!o.file_contexts.empty())
        o.build.label_of = read_file_contexts(o.file_contexts);
    for (const std::string &file : o.rules)
        o.build.rules.add(inputs.text(file), file);
    if (!o.order.empty())
        o.build.order = read_order(inputs.text(o.order), o.order);
    if (o.all_root) {
        o.build.uid = o.build.uid.value_or(0);
        o.build.gid = o.build.gid.value_or(0);
    }
    if (const char *epoch = std::getenv("SOURCE_DATE_EPOCH")) {
        const auto seconds = parse_number(epoch, std::numeric_limits<std::int64_t>::min(),
                                          std::numeric_limits<std::int64_t>::max());
        if (!seconds)
            throw CLI::ValidationError("SOURCE_DATE_EPOCH",
                                       fmt::format("expected seconds, got {}", printable(epoch)));
        o.build.build_time = seconds;
        o.build.newest_mtime = seconds;
    }
}

} // namespace daxfs
