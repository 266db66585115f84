// SPDX-License-Identifier: Apache-2.0
#include "dump.hpp"

#include <map>
#include <ostream>

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "describe.hpp"
#include "dump_text.hpp"
#include "error.hpp"
#include "extract.hpp"
#include "file_type.hpp"
#include "image_reader.hpp"
#include "inode_paths.hpp"
#include "layout.hpp"
#include "options.hpp"
#include "uuid.hpp"

namespace daxfs {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
    std::string image;
    bool json = false;
    std::string ls;
    std::string stat;
    std::string cat;
    std::string extract;
    std::string diff;
    bool layout = false;
    bool tar = false;
    bool text = false;
    bool recursive = false;
    std::vector<std::string> only;
    std::vector<std::string> exclude;
    bool overwrite = false;
    bool skip_existing = false;
    bool keep_newer = false;
    bool keeps_owners = geteuid() == 0;
};

Json range(const daxfs_span &span)
{
    return {{"offset", span.off}, {"bytes", span.len}};
}

Json superblock(const ImageReader &reader)
{
    const daxfs_image &image = reader.image();
    const std::size_t digest = digest_size(reader.digest_kind());
    return {
        {"version", DAXFS_VERSION},
        {"uuid", show_uuid(reader.uuid())},
        {"label", printable(image.label)},
        {"build_time", image.build_sec},
        {"compat", image.compat},
        {"incompat", image.incompat},
        {"image_bytes", image.size},
        {"inodes", image.inode_count},
        {"data_bytes", image.data_bytes},
        {"metadata_crc", fmt::format("{:08x}", image.metadata_crc)},
        {"digest", digest_name(reader.digest_kind())},
        {"root_digest", to_hex({reinterpret_cast<const char *>(image.root_digest), digest})},
        {"metadata", range(image.metadata)},
        {"inode_table", range(image.inodes)},
        {"directories", range(image.dirs)},
        {"extents", range(image.extents)},
        {"symlinks", range(image.symlinks)},
        {"xattrs", range(image.xattrs)},
        {"digests", range(image.digests)},
        {"data", range(image.data)},
    };
}

// How many inodes of each type, and how file data can be mapped.
Json statistics(const ImageReader &reader)
{
    std::map<std::string_view, std::uint64_t> types;
    std::uint64_t file_bytes = 0;
    std::uint64_t with_holes = 0;
    std::uint64_t huge = 0;
    for (std::uint64_t ino = 1; ino <= reader.image().inode_count; ++ino) {
        const daxfs_attr attr = reader.inode(ino);
        ++types[file_type_name(attr.mode)];
        if (!S_ISREG(attr.mode))
            continue;
        file_bytes += attr.node.size;
        with_holes += attr.node.layout == DAXFS_LAYOUT_EXTENTS;
        huge += huge_bytes(reader, attr.node);
    }
    Json json = {{"file_bytes", file_bytes}, {"files_with_holes", with_holes}, {"huge_page_bytes", huge}};
    for (const auto &[type, count] : types)
        json["types"][std::string(type)] = count;
    return json;
}

// Nested objects become indented lines.
void print_text(const Json &json, std::ostream &out, const std::string &indent = "")
{
    for (const auto &[key, value] : json.items()) {
        if (value.is_structured()) {
            out << indent << key << ":\n";
            print_text(value, out, indent + "  ");
        } else {
            out << indent << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump())
                << '\n';
        }
    }
}

void print(const Options &options, const Json &json, std::ostream &out)
{
    if (options.json)
        out << json.dump() << '\n';
    else
        print_text(json, out);
}

std::uint32_t find(const ImageReader &reader, const std::string &path)
{
    if (const auto ino = reader.find(path))
        return *ino;
    throw std::runtime_error(printable(path) + " is not in the image");
}

void cat(const ImageReader &reader, const Options &options, std::ostream &out)
{
    const daxfs_attr file = reader.inode(find(reader, options.cat));
    if (!S_ISREG(file.mode))
        throw std::runtime_error(printable(options.cat) + " is no regular file");
    static constexpr char zeros[65536] = {};
    reader.for_each_piece(file.node, [&](std::span<const std::uint8_t> data, std::uint64_t len) {
        out.write(reinterpret_cast<const char *>(data.data()), static_cast<std::streamsize>(data.size()));
        for (std::uint64_t left = len - data.size(); left > 0 && out;) {
            const std::uint64_t piece = std::min<std::uint64_t>(left, sizeof(zeros));
            out.write(zeros, static_cast<std::streamsize>(piece));
            left -= piece;
        }
        if (!out)
            throw std::runtime_error("cannot write the output");
    });
}

void show_layout(const ImageReader &reader, const Options &options, std::ostream &out)
{
    Json files = Json::array();
    const Layout layout =
        image_layout(reader, [&](const std::string &path, std::uint64_t size, std::uint64_t huge) {
            files.push_back({{"path", "/" + printable(path)}, {"size", size}, {"huge_page_bytes", huge}});
        });
    Json json = {{"superblock", layout.superblock}, {"metadata", layout.metadata}, {"data", layout.data},
                 {"padding", layout.padding},       {"shared", layout.shared},     {"holes", layout.holes},
                 {"huge_page_bytes", layout.huge}};
    if (options.json)
        json["large_files"] = files;
    print(options, json, out);
    if (options.json)
        return;
    for (const Json &file : files)
        out << fmt::format("{:>14} of {:>14} bytes by 2 MiB pages: {}\n",
                           file["huge_page_bytes"].get<std::uint64_t>(), file["size"].get<std::uint64_t>(),
                           file["path"].get<std::string>());
}

void summary(const ImageReader &reader, const Options &options, std::ostream &out)
{
    Json json = superblock(reader);
    json["statistics"] = statistics(reader);
    print(options, json, out);
}

// Runs an action on images; what it says of an inode of one of them is told with the path.
template <typename Action>
int with_paths(const std::vector<const ImageReader *> &readers, const Action &action)
{
    try {
        return action();
    } catch (const ImageError &error) {
        for (const ImageReader *reader : readers) {
            const std::string path =
                error.ino != 0 && error.image == reader->name() ? InodePaths(*reader).shown(error.ino) : "";
            if (!path.empty())
                throw ImageError(path + ": " + error.what(), error.image);
        }
        throw;
    }
}

// As diff(1): 1 is "differs".
int failed(const Options &options)
{
    return options.diff.empty() ? 1 : 2;
}

Existing existing_by(const Options &options)
{
    return options.overwrite       ? Existing::overwrite
           : options.skip_existing ? Existing::skip
           : options.keep_newer    ? Existing::keep_newer
                                   : Existing::refuse;
}

int extract(const ImageReader &reader, const Options &options, Selection selection, std::ostream &err)
{
    const auto warn = [&](const std::string &text) { err << "dump.daxfs: " << text << '\n'; };
    selection.find_in(reader);
    const ExtractOptions how = {options.keeps_owners, existing_by(options), std::move(selection)};
    return extract_image(reader, options.extract, warn, how) == 0 ? 0 : 1;
}

void tar(const ImageReader &reader, Selection selection, std::ostream &out, std::ostream &err)
{
    selection.find_in(reader);
    dump_tar(reader, out, err, selection);
}

// Of actions on one image; returns the exit status.
int act(const ImageReader &reader, const Options &options, const Selection &selection, std::ostream &out,
        std::ostream &err)
{
    if (!options.extract.empty())
        return extract(reader, options, selection, err);
    if (!options.ls.empty())
        list_tree(reader, options.ls, {options.recursive, options.json}, out);
    else if (!options.cat.empty())
        cat(reader, options, out);
    else if (!options.stat.empty())
        print(options, describe(reader, options.stat, find(reader, options.stat)), out);
    else if (options.layout)
        show_layout(reader, options, out);
    else if (options.tar)
        tar(reader, selection, out, err);
    else if (options.text)
        dump_text(reader, out);
    else
        summary(reader, options, out);
    return 0;
}

int dump(const Options &options, const Selection &selection, std::ostream &out, std::ostream &err)
{
    const ImageReader reader(options.image);
    if (options.diff.empty())
        return with_paths({&reader}, [&] { return act(reader, options, selection, out, err); });
    const ImageReader other(options.diff);
    return with_paths({&reader, &other},
                      [&] { return dump_diff(reader, other, out, options.json) == 0 ? 0 : 1; });
}

// One action at a time, or none.
void add_actions(CLI::App &app, Options &options)
{
    const std::vector<CLI::Option *> actions = {
        app.add_option("--ls", options.ls, "list the directory PATH, as ls -l does")->type_name("PATH"),
        app.add_option("--stat", options.stat, "all about PATH")->type_name("PATH"),
        app.add_option("--cat", options.cat, "the content of the file PATH")->type_name("PATH"),
        app.add_option("--extract", options.extract, "write the tree into the empty or new directory DIR")
            ->type_name("DIR"),
        app.add_option("--diff", options.diff,
                       "what differs from the tree of the image OTHER; status 1 if anything")
            ->type_name("OTHER"),
        app.add_flag("--layout", options.layout, "how the image's bytes are used"),
        app.add_flag("--tar", options.tar, "the tree as a tar archive"),
        app.add_flag("--text", options.text, "the image as text for mkdaxfs --text")};
    for (std::size_t i = 0; i < actions.size(); ++i) {
        for (std::size_t j = i + 1; j < actions.size(); ++j)
            actions[i]->excludes(actions[j]);
    }
}

// What an action is to do, besides.
void add_details(CLI::App &app, Options &options)
{
    auto *extract = app.get_option("--extract");
    app.add_flag("-R,--recursive", options.recursive,
                 "--ls: the directory and all below it, with whole paths")
        ->needs(app.get_option("--ls"));
    app.add_option("--only", options.only,
                   "--extract, --tar: only what GLOB names and all below it (repeatable)")
        ->type_name("GLOB")
        ->allow_extra_args(false);
    app.add_option("-x,--exclude", options.exclude, "--extract, --tar: not what GLOB names (repeatable)")
        ->type_name("GLOB")
        ->allow_extra_args(false);
    const std::vector<CLI::Option *> existing = {
        app.add_flag("--overwrite", options.overwrite,
                     "--extract: DIR may hold something, which is replaced"),
        app.add_flag("--skip-existing", options.skip_existing,
                     "--extract: DIR may hold something, which stays"),
        app.add_flag("--keep-newer", options.keep_newer,
                     "--extract: as --overwrite, but files with a later time stay")};
    for (CLI::Option *one : existing) {
        one->needs(extract);
        for (CLI::Option *other : existing) {
            if (other != one)
                one->excludes(other);
        }
    }
    app.add_flag("--preserve-owner,!--no-preserve-owner", options.keeps_owners,
                 "--extract: owners are the image's (as root the default), or the caller's")
        ->needs(extract);
}

// Wrong globs are wrong usage.
Selection selection_of(const Options &options)
{
    if ((!options.only.empty() || !options.exclude.empty()) && options.extract.empty() && !options.tar)
        throw CLI::ValidationError("expected --extract or --tar with --only and --exclude, got none of them");
    Selection selection;
    try {
        for (const std::string &glob : options.only)
            selection.only(glob);
        for (const std::string &glob : options.exclude)
            selection.exclude(glob);
    } catch (const std::exception &wrong) {
        throw CLI::ValidationError(wrong.what());
    }
    return selection;
}

} // namespace

int dump_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err)
{
    Options options;
    CLI::App app("Show what a DAXFS image holds: superblock and statistics unless told otherwise.",
                 "dump.daxfs");
    app.add_option("IMAGE", options.image, "image file or device")->required();
    app.add_flag("--json", options.json, "print JSON");
    add_actions(app, options);
    add_details(app, options);
    app.set_version_flag("-V,--version", fmt::format("dump.daxfs {}", DAXFS_TOOLS_VERSION));
    try {
        parse_arguments(app, args);
        const Selection selection = selection_of(options);
        const EndOnUnreadableImage end("dump.daxfs", failed(options));
        const int status = dump(options, selection, out, err);
        if (!out.flush())
            throw std::runtime_error("cannot write the output");
        return status;
    } catch (const CLI::Success &asked) {
        return end_as_asked(app, asked, out, err, failed(options));
    } catch (const CLI::ParseError &wrong) {
        err << "dump.daxfs: " << wrong.what() << " (dump.daxfs --help tells more)\n";
        return 2;
    } catch (const ImageError &error) {
        err << "dump.daxfs: " << (error.image.empty() ? printable(options.image) : error.image) << ": "
            << error.what() << '\n';
        return failed(options);
    } catch (const std::bad_alloc &) {
        err << "dump.daxfs: out of memory\n";
        return failed(options);
    } catch (const std::exception &failure) {
        err << "dump.daxfs: " << failure.what() << '\n';
        return failed(options);
    }
}

} // namespace daxfs
