// SPDX-License-Identifier: Apache-2.0
#include "mkdaxfs.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "build_image.hpp"
#include "daxfs_format.h"
#include "directory_source.hpp"
#include "error.hpp"

namespace daxfs {

namespace {

struct Options {
    std::string image;
    std::string source;
    std::string uuid;
    std::vector<std::string> exclude;
    BuildOptions build;
    unsigned threads = std::max(1u, std::thread::hardware_concurrency());
    bool all_root = false;
    bool no_dedupe = false;
    bool quiet = false;
    bool json = false;
};

void declare(CLI::App& app, Options& o)
{
    app.add_option("IMAGE", o.image, "image file to write")->required();
    app.add_option("SOURCE", o.source, "directory that becomes the root")->required();
    app.add_option("-L,--label", o.build.label, "label, up to 32 bytes");
    app.add_option("-U,--uuid", o.uuid, "UUID (default: made from the content)");
    app.add_option("-j,--threads", o.threads, "threads (default: one for each core)")
        ->check(CLI::Range(1u, 1024u));
    app.add_option("--align", o.build.align,
                   "files of this size and more start on a multiple of it: 4K to 1G, a power of 2 "
                   "(default 2M)")
        ->transform(CLI::AsSizeValue(false));
    app.add_flag("--no-dedupe", o.no_dedupe, "store equal files as often as they occur");
    app.add_option("-x,--exclude", o.exclude,
                   "leave out what matches GLOB: names, or paths when it has a slash; repeatable")
        ->type_name("GLOB")
        ->allow_extra_args(false);
    app.add_flag("--all-root", o.all_root, "make root the owner and group of everything");
    app.add_option("--force-uid", o.build.uid, "owner of everything");
    app.add_option("--force-gid", o.build.gid, "group of everything");
    app.add_option("-T,--mtime", o.build.mtime, "time of everything, seconds since the epoch");
    app.add_flag("-q,--quiet", o.quiet, "print nothing but errors");
    app.add_flag("--json", o.json, "print a summary as one line of JSON");
    app.set_version_flag("-V,--version", fmt::format("mkdaxfs {}, format version {}", DAXFS_TOOLS_VERSION,
                                                     DAXFS_VERSION));
    app.footer("SOURCE_DATE_EPOCH, when set, is the image's build time; otherwise the newest time "
               "in the tree is.");
}

// What CLI11 does not check by itself. Throws CLI::ValidationError.
void complete(Options& o)
{
    if (o.build.label.size() > DAXFS_LABEL_MAX)
        throw CLI::ValidationError("--label", fmt::format("wanted at most {} bytes, got {}",
                                                          DAXFS_LABEL_MAX, o.build.label.size()));
    if (!std::has_single_bit(o.build.align) || o.build.align < DAXFS_BLOCK_SIZE ||
        o.build.align > (1ULL << 30))
        throw CLI::ValidationError("--align", fmt::format("wanted a power of 2 from 4K to 1G, got {}",
                                                          o.build.align));
    o.build.uuid = parse_uuid(o.uuid);
    if (!o.uuid.empty() && !o.build.uuid)
        throw CLI::ValidationError("--uuid",
                                   "wanted 32 hexadecimal digits, got " + printable(o.uuid));
    o.build.dedupe = !o.no_dedupe;
    if (o.all_root) {
        o.build.uid = o.build.uid.value_or(0);
        o.build.gid = o.build.gid.value_or(0);
    }
    if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH")) {
        std::int64_t seconds = 0;
        if (!CLI::detail::lexical_cast(epoch, seconds))
            throw CLI::ValidationError("SOURCE_DATE_EPOCH", fmt::format("wanted seconds, got {}",
                                                                        printable(epoch)));
        o.build.build_time = seconds;
    }
}

// Writing the image would change the tree it is made of.
void refuse_image_inside_source(const Options& o)
{
    namespace fs = std::filesystem;
    const fs::path source = fs::weakly_canonical(o.source);
    const fs::path image = fs::weakly_canonical(o.image);
    const auto [end, rest] = std::mismatch(source.begin(), source.end(), image.begin(), image.end());
    if (end == source.end() && rest != image.end())
        throw std::runtime_error(fmt::format(
            "the image {} would lie inside its source {}: write it somewhere else",
            printable(o.image), printable(o.source)));
}

std::string to_json(const Options& o, const BuildSummary& s, double seconds)
{
    return nlohmann::ordered_json{
        {"image", printable(o.image)},
        {"uuid", show_uuid(s.uuid)},
        {"label", o.build.label},
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
        {"seconds", seconds},
    }
        .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string to_text(const Options& o, const BuildSummary& s, double seconds)
{
    constexpr double mb = 1e6;
    return fmt::format("{}: {:.1f} MB, {} inodes, {:.1f} MB of data, {:.1f} MB shared, UUID {}, {:.2f} s",
                       printable(o.image), static_cast<double>(s.image_bytes) / mb, s.inodes,
                       static_cast<double>(s.data_bytes) / mb,
                       static_cast<double>(s.shared_bytes) / mb, show_uuid(s.uuid), seconds);
}

void make_image(const Options& o, std::ostream& out, const std::atomic<bool>* stop)
{
    using clock = std::chrono::steady_clock;
    const auto start = clock::now();
    DirectorySource source(o.source, o.exclude);
    refuse_image_inside_source(o);
    const BuildSummary summary = build_image(source, o.image, o.build, {o.threads, stop});
    const double seconds = std::chrono::duration<double>(clock::now() - start).count();
    if (o.json)
        out << to_json(o, summary, seconds) << '\n';
    else if (!o.quiet)
        out << to_text(o, summary, seconds) << '\n';
}

}  // namespace

int mkdaxfs_main(const std::vector<std::string>& args, std::ostream& out, std::ostream& err,
                 const std::atomic<bool>* stop)
{
    Options options;
    CLI::App app("Make a DAXFS image of a directory tree.", "mkdaxfs");
    declare(app, options);
    try {
        app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
        complete(options);
        make_image(options, out, stop);
        return 0;
    } catch (const CLI::Success& asked) {
        return app.exit(asked, out, err);
    } catch (const CLI::ParseError& wrong) {
        err << "mkdaxfs: " << wrong.what() << " (mkdaxfs --help tells more)\n";
        return 2;
    } catch (const Interrupted& stopped) {
        err << "mkdaxfs: " << stopped.what() << '\n';
        return 130;
    } catch (const std::bad_alloc&) {
        err << "mkdaxfs: out of memory\n";
        return 1;
    } catch (const std::exception& failure) {
        err << "mkdaxfs: " << failure.what() << '\n';
        return 1;
    }
}

}  // namespace daxfs
