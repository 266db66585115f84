// SPDX-License-Identifier: Apache-2.0
#include "mkdaxfs.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <thread>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "build_image.hpp"
#include "daxfs_format.h"
#include "directory_source.hpp"
#include "error.hpp"
#include "file_contexts.hpp"
#include "input.hpp"
#include "oci_source.hpp"
#include "options.hpp"
#include "order.hpp"
#include "output_file.hpp"
#include "output_memory.hpp"
#include "progress.hpp"
#include "source_list.hpp"
#include "tar_source.hpp"
#include "text_source.hpp"

namespace daxfs {

namespace {

struct Streams {
    std::ostream &out;
    std::ostream &err;
    bool err_is_terminal;
};

struct Options {
    std::string image; // a file, a block device or a device-dax device
    std::string device;
    std::string phys;
    PhysicalRange range; // what phys says
    std::string heap;
    std::string directory;            // where the heap's buffer is mounted
    std::vector<std::string> sources; // directories
    std::vector<std::string> tar;
    std::vector<std::string> oci;
    std::string platform;
    std::vector<std::string> text;
    std::string label;
    std::string uuid;
    std::vector<std::string> exclude;
    std::vector<std::string> exclude_regex;
    std::string file_contexts;
    std::string order;
    std::string digest;
    BuildOptions build;
    // More than cores: where files come from a disk, most of them wait for it.
    unsigned threads = std::max(16u, std::thread::hardware_concurrency());
    bool all_root = false;
    bool no_dedupe = false;
    bool no_sync = false;
    bool keep_going = false;
    bool layers = false;
    bool quiet = false;
    bool json = false;
    bool force = false;

    // Is the target named by an option? The first argument is a source then.
    bool has_target() const { return !device.empty() || !phys.empty() || !heap.empty(); }
};

// Options that may be given several times, each time with one value.
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
                return fmt::format("wanted a number from {} to {}, got {}", least, most, printable(text));
            text = std::to_string(*value);
            return std::string();
        },
        "");
}

void declare(CLI::App &app, Options &o)
{
    constexpr std::int64_t last_owner = no_owner - 1;
    const CLI::Validator owner = number(0, last_owner);
    const CLI::Validator any =
        number(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
    app.add_option("IMAGE", o.image,
                   "file, block device or /dev/daxX.Y to write; a source where an "
                   "option names the target");
    app.add_option("SOURCE", o.sources, "directory that becomes the root");
    add_list(app, "--tar", o.tar, "FILE",
             "source: an archive (tar or cpio, compressed or not); - is "
             "standard input");
    add_list(app, "--oci", o.oci, "PATH[:TAG]",
             "source: a container image, as an OCI layout (directory or archive) or from docker save");
    app.add_option("--platform", o.platform,
                   "which of a container image's platforms: ARCH, OS/ARCH or OS/ARCH/VARIANT "
                   "(default: this machine's)")
        ->type_name("PLATFORM");
    add_list(app, "--text,--pseudo", o.text, "FILE",
             "source: a tree as text, whole or a few entries to add; - is standard input");
    app.add_flag("--layers", o.layers,
                 "make one image for each layer of the one --oci: IMAGE.1 (the lowest), IMAGE.2, ...; "
                 "whiteouts as overlayfs has them");
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
    add_list(app, "-x,--exclude", o.exclude, "GLOB",
             "leave out what matches: names, or paths when it has a slash");
    add_list(app, "--exclude-regex", o.exclude_regex, "REGEX",
             "leave out paths that match the extended regular expression");
    add_list(app, "--xattr-exclude", o.build.xattr_exclude, "GLOB",
             "leave out extended attributes whose full name matches");
    app.add_option("--file-contexts", o.file_contexts, "SELinux labels as this file says")->type_name("FILE");
    app.add_flag("--all-root", o.all_root, "make root the owner and group of everything");
    app.add_option("--force-uid", o.build.uid, "owner of everything")->transform(owner);
    app.add_option("--force-gid", o.build.gid, "group of everything")->transform(owner);
    app.add_option("--uid-offset", o.build.uid_offset, "add this to every owner's number")->transform(any);
    app.add_option("--gid-offset", o.build.gid_offset, "add this to every group's number")->transform(any);
    app.add_option("-T,--mtime", o.build.mtime, "time of everything, seconds since the epoch")
        ->transform(any);
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

PhysicalRange physical_range(const std::string &text)
{
    try {
        return parse_physical_range(text);
    } catch (const std::invalid_argument &wrong) {
        throw CLI::ValidationError("--phys", wrong.what());
    }
}

// Gives options and sources their files and standard input, and keeps them open.
class Inputs {
public:
    Inputs(std::istream &in, const std::atomic<bool> *stop) : in_(in), stop_(stop) {}

    ReadBytes bytes(const std::string &path)
    {
        if (path == "-") {
            take_standard_input();
            return [this](std::span<std::byte> to) {
                in_.read(reinterpret_cast<char *>(to.data()), static_cast<std::streamsize>(to.size()));
                if (in_.bad())
                    throw std::runtime_error("cannot read standard input");
                return static_cast<std::size_t>(in_.gcount());
            };
        }
        return bytes_of_file(open_input(path, stop_), path, stop_);
    }

    std::istream &text(const std::string &path)
    {
        if (path == "-") {
            take_standard_input();
            return in_;
        }
        return *files_.emplace_back(std::make_unique<InputStream>(bytes(path)));
    }

private:
    void take_standard_input()
    {
        if (std::exchange(taken_, true))
            throw std::runtime_error("wanted standard input (-) once, got it twice");
    }

    std::istream &in_;
    const std::atomic<bool> *stop_;
    bool taken_ = false;
    std::vector<std::unique_ptr<InputStream>> files_;
};

// What CLI11 does not check by itself. Throws CLI::ValidationError.
void complete(Options &o, Inputs &inputs)
{
    if (o.label.size() > DAXFS_LABEL_MAX)
        throw CLI::ValidationError(
            "--label", fmt::format("wanted at most {} bytes, got {}", DAXFS_LABEL_MAX, o.label.size()));
    if (!is_utf8(o.label))
        throw CLI::ValidationError("--label", "wanted UTF-8, got " + printable(o.label));
    if (!std::has_single_bit(o.build.align) || o.build.align < DAXFS_BLOCK_SIZE ||
        o.build.align > (1ULL << 30))
        throw CLI::ValidationError("--align",
                                   fmt::format("wanted a power of 2 from 4K to 1G, got {}", o.build.align));
    o.build.uuid = parse_uuid(o.uuid);
    if (!o.uuid.empty() && !o.build.uuid)
        throw CLI::ValidationError("--uuid", "wanted 32 hexadecimal digits, got " + printable(o.uuid));
    if (o.image.empty() && !o.has_target())
        throw CLI::RequiredError("IMAGE");
    const std::size_t directories = o.sources.size() + (o.has_target() && !o.image.empty() ? 1 : 0);
    if (directories + o.tar.size() + o.oci.size() + o.text.size() == 0)
        throw CLI::RequiredError("SOURCE");
    if (!o.phys.empty())
        o.range = physical_range(o.phys);
    if (!o.digest.empty()) {
        o.build.digest = parse_digest_kind(o.digest);
        if (!o.build.digest)
            throw CLI::ValidationError("--digest", "wanted xxh3, sha256 or none, got " + printable(o.digest));
    }
    if (o.layers && (o.oci.size() != 1 || directories + o.tar.size() + o.text.size() != 0))
        throw CLI::ValidationError("--layers", "wanted one --oci and no other source");
    if (o.layers && !o.uuid.empty())
        throw CLI::ValidationError("--layers", "wanted no --uuid, since each image has its own");
    if (!o.platform.empty() && o.oci.empty())
        throw CLI::ValidationError("--platform", "wanted --oci with it");
    if (o.layers && o.has_target())
        throw CLI::ValidationError("--layers", "wanted IMAGE for the names of the images");
    o.build.dedupe = !o.no_dedupe;
    o.build.sync = !o.no_sync;
    o.build.keep_opaque = o.layers;
    if (!o.file_contexts.empty())
        o.build.label_of = read_file_contexts(o.file_contexts);
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
                                       fmt::format("wanted seconds, got {}", printable(epoch)));
        o.build.build_time = seconds;
        o.build.newest_mtime = seconds;
    }
}

// Writing the image would change the tree it is made of.
void refuse_image_inside_source(const Options &o, const std::string &directory, const PathFilter &filter)
{
    namespace fs = std::filesystem;
    std::error_code unknown;
    if (fs::is_block_file(o.image, unknown) || is_device_dax(o.image))
        return; // a tree has its name only
    const fs::path beside = fs::path(resolved(o.image)).parent_path();
    const fs::path source = fs::canonical(directory, unknown);
    // A bind mount gives a directory another name, but does not have what is mounted below it. What cannot be
    // looked at is refused when it is opened.
    struct stat of_source = {};
    struct stat of_beside = {};
    const bool may_be_bound = stat(directory.c_str(), &of_source) == 0 &&
                              stat(beside.c_str(), &of_beside) == 0 && of_source.st_dev == of_beside.st_dev;
    for (fs::path above = beside;; above = above.parent_path()) {
        const bool is_source = above == source || (may_be_bound && fs::equivalent(above, directory, unknown));
        if (is_source && !filter.excludes_or_above(beside.lexically_relative(above).string()))
            throw std::runtime_error(
                fmt::format("the image {} would lie inside its source {}: write it somewhere else",
                            printable(o.image), printable(directory)));
        if (above == above.parent_path())
            return;
    }
}

// As the summary names it.
std::string target_name(const Options &o)
{
    if (!o.heap.empty())
        return o.directory;
    if (!o.phys.empty())
        return o.phys;
    return o.device.empty() ? o.image : o.device;
}

// The image takes the place of what has its name: it must not be something it is made of.
void refuse_image_instead_of_source(const Options &o, const std::string &image)
{
    struct stat target = {};
    if (stat(image.c_str(), &target) != 0)
        return;
    const auto refuse = [&](const std::string &path) {
        struct stat st = {};
        const int result = path == "-" ? fstat(STDIN_FILENO, &st) : stat(path.c_str(), &st);
        if (result == 0 && st.st_dev == target.st_dev && st.st_ino == target.st_ino)
            throw std::runtime_error(
                fmt::format("the image {} would replace {}, which it is made of: write it "
                            "somewhere else",
                            printable(image), path == "-" ? "standard input" : printable(path)));
    };
    for (const auto *list : {&o.tar, &o.oci, &o.text})
        std::for_each(list->begin(), list->end(), refuse);
    for (const std::string &path : o.oci)
        refuse(split_oci_name(path).first);
    refuse(o.order);
    refuse(o.file_contexts);
}

PathFilter filter_of(const Options &o)
{
    PathFilter filter;
    for (const std::string &glob : o.exclude)
        filter.add_glob(glob);
    for (const std::string &regex : o.exclude_regex)
        filter.add_regex(regex);
    return filter;
}

// In the order of the command line.
void add_sources(SourceList &list, const CLI::App &app, const Options &o, Inputs &inputs,
                 const OnUnreadable &unreadable)
{
    const PathFilter filter = filter_of(o);
    std::map<std::string, std::size_t> used;
    for (const CLI::Option *option : app.parse_order()) {
        const std::string name = option->get_name();
        const std::size_t i = used[name]++;
        if (name == "SOURCE" || (name == "IMAGE" && o.has_target())) {
            const std::string &directory = name == "SOURCE" ? o.sources[i] : o.image;
            list.add(std::make_unique<DirectorySource>(directory, filter, unreadable));
            if (!o.has_target())
                refuse_image_inside_source(o, directory, filter);
        } else if (name == "--tar") {
            list.add(std::make_unique<TarSource>(inputs.bytes(o.tar[i]), o.tar[i], filter));
        } else if (name == "--oci") {
            list.add(std::make_unique<OciSource>(o.oci[i], o.platform, filter));
        } else if (name == "--text") {
            list.add(std::make_unique<TextSource>(inputs.text(o.text[i]), o.text[i], filter));
        }
    }
}

std::string to_json(const std::string &image, const BuildSummary &s, double seconds)
{
    return nlohmann::ordered_json{
        {"image", printable(image)},
        {"uuid", show_uuid(s.uuid)},
        {"label", printable(s.label)},
        {"inodes", s.inodes},
        {"files", s.files},
        {"directories", s.directories},
        {"symlinks", s.symlinks},
        {"image_bytes", s.image_bytes},
        {"metadata_bytes", s.metadata_bytes},
        {"file_bytes", s.file_bytes},
        {"data_bytes", s.data_bytes},
        {"shared_bytes", s.shared_bytes},
        {"hole_bytes", s.hole_bytes},
        {"padding_bytes", s.padding_bytes},
        {"ordered_files", s.ordered_files},
        {"unknown_files", s.unknown_files},
        {"digest", digest_name(s.digest)},
        {"root_digest", to_hex(s.root_digest)},
        {"seconds", seconds},
    }
        .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string to_text(const std::string &image, const Options &o, const BuildSummary &s, double seconds)
{
    constexpr double mb = 1e6;
    return fmt::format(
        "{}: {:.1f} MB, {} inodes, {:.1f} MB of data, {:.1f} MB shared, UUID {}{}{}, {:.2f} s",
        printable(image), static_cast<double>(s.image_bytes) / mb, s.inodes,
        static_cast<double>(s.data_bytes) / mb, static_cast<double>(s.shared_bytes) / mb, show_uuid(s.uuid),
        s.root_digest.empty() ? "" : fmt::format(", {} {}", digest_name(s.digest), to_hex(s.root_digest)),
        o.order.empty() ? ""
                        : fmt::format(", {} files ordered, {} unknown", s.ordered_files, s.unknown_files),
        seconds);
}

void report(const Options &o, const std::string &image, const BuildSummary &summary, double seconds,
            std::ostream &out)
{
    if (o.json)
        out << to_json(image, summary, seconds) << '\n';
    else if (!o.quiet)
        out << to_text(image, o, summary, seconds) << '\n';
}

double seconds_since(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::unique_ptr<Output> open_target(const Options &o)
{
    if (!o.heap.empty())
        return open_heap(o.heap, o.directory);
    if (!o.phys.empty())
        return open_physical(o.range, o.force);
    const std::string &path = o.device.empty() ? o.image : o.device;
    if (is_device_dax(path))
        return open_device_dax(path, o.force);
    std::error_code unknown; // what cannot be looked at cannot be written either
    if (std::filesystem::is_block_file(path, unknown))
        return std::make_unique<OutputDevice>(path, o.force);
    if (!o.device.empty())
        throw std::runtime_error("wanted a block device or /dev/daxX.Y, got " + printable(path));
    return std::make_unique<OutputFile>(path);
}

// None where nobody wants to see it.
std::unique_ptr<ProgressPrinter> print_progress(const Options &o, Streams &streams, const Progress &progress,
                                                const std::string &prefix = "")
{
    if (o.quiet || o.json)
        return nullptr;
    return std::make_unique<ProgressPrinter>(progress, streams.err, streams.err_is_terminal, prefix);
}

void make_layers(const Options &o, Streams &streams, const std::atomic<bool> *stop)
{
    const Workers workers = {o.threads, stop, nullptr};
    const OciImage image(o.oci.front(), o.platform, workers);
    const PathFilter filter = filter_of(o);
    const std::size_t count = image.layers().size();
    if (count == 0)
        throw std::runtime_error(printable(o.oci.front()) + ": wanted an image with layers, it has none");
    TreeBuilder below;
    struct Layer {
        std::string name;
        std::shared_ptr<OutputFile> file;
        BuildSummary summary;
        double seconds;
    };
    std::vector<Layer> layers;
    for (std::size_t i = 0; i < count; ++i) {
        Progress progress;
        const auto printer =
            print_progress(o, streams, progress, fmt::format("layer {} of {}: ", i + 1, count));
        const auto start = std::chrono::steady_clock::now();
        OciLayerSource source(image, i, filter, below);
        const std::string name = fmt::format("{}.{}", o.image, i + 1);
        refuse_image_instead_of_source(o, name);
        const auto file = std::make_shared<OutputFile>(name, OutputFile::Publish::later);
        try {
            const BuildSummary summary =
                build_image(source, [&] { return file; }, o.build, {o.threads, stop, &progress});
            layers.push_back({name, file, summary, seconds_since(start)});
        } catch (const Interrupted &) {
            throw;
        } catch (const std::runtime_error &failure) {
            throw std::runtime_error(fmt::format("layer {}: {}", i + 1, failure.what()));
        }
    }
    // All or none.
    for (const Layer &layer : layers)
        layer.file->publish();
    for (const Layer &layer : layers)
        report(o, layer.name, layer.summary, layer.seconds, streams.out);
}

void make_image(const CLI::App &app, const Options &o, Inputs &inputs, Streams &streams,
                const std::atomic<bool> *stop)
{
    const auto start = std::chrono::steady_clock::now();
    if (o.phys.empty() && o.heap.empty())
        refuse_image_instead_of_source(o, target_name(o));
    SourceList sources;
    std::mutex mutex;
    OnUnreadable unreadable;
    if (o.keep_going)
        unreadable = [&](const std::string &failure) {
            const std::lock_guard lock(mutex);
            streams.err << "mkdaxfs: left out: " << failure << '\n';
        };
    add_sources(sources, app, o, inputs, unreadable);
    Progress progress;
    auto printer = print_progress(o, streams, progress);
    const BuildSummary summary =
        build_image(sources, [&] { return open_target(o); }, o.build, {o.threads, stop, &progress});
    printer.reset();
    report(o, target_name(o), summary, seconds_since(start), streams.out);
}

} // namespace

int mkdaxfs_main(const std::vector<std::string> &args, std::istream &in, std::ostream &out, std::ostream &err,
                 const std::atomic<bool> *stop, bool err_is_terminal)
{
    Streams streams = {out, err, err_is_terminal};
    Options options;
    CLI::App app("Make a DAXFS image of directories, archives, container images or text.", "mkdaxfs");
    declare(app, options);
    try {
        parse_arguments(app, args, "--label");
        Inputs inputs(in, stop);
        complete(options, inputs);
        if (app.count("--label") != 0) // an empty one, too
            options.build.label = options.label;
        if (options.layers)
            make_layers(options, streams, stop);
        else
            make_image(app, options, inputs, streams, stop);
        if (!out.flush())
            throw std::runtime_error("the image is made, but its summary cannot be written");
        return 0;
    } catch (const CLI::Success &asked) {
        return end_as_asked(app, asked, out, err, 1);
    } catch (const CLI::ParseError &wrong) {
        err << "mkdaxfs: " << wrong.what() << " (mkdaxfs --help tells more)\n";
        return 2;
    } catch (const Interrupted &stopped) {
        err << "mkdaxfs: " << stopped.what() << '\n';
        return 130;
    } catch (const std::bad_alloc &) {
        err << "mkdaxfs: out of memory\n";
        return 1;
    } catch (const std::exception &failure) {
        err << "mkdaxfs: " << failure.what() << '\n';
        return 1;
    }
}

} // namespace daxfs
