// SPDX-License-Identifier: Apache-2.0
#include "dump.hpp"

#include <map>
#include <ostream>

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "dump_text.hpp"
#include "error.hpp"
#include "extract.hpp"
#include "file_type.hpp"
#include "image_reader.hpp"
#include "image_walk.hpp"
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

Json describe(const ImageReader &reader, const std::string &path, std::uint32_t ino)
{
    const daxfs_attr attr = reader.inode(ino);
    Json json = {
        {"path", printable(path)},
        {"inode", ino},
        {"type", file_type_name(attr.mode)},
        {"mode", fmt::format("{:04o}", attr.mode & 07777)},
        {"nlink", attr.nlink},
        {"uid", attr.uid},
        {"gid", attr.gid},
        {"size", attr.node.size},
        {"mtime", fmt::format("{}.{:09}", attr.mtime_sec, attr.mtime_nsec)},
    };
    if (S_ISLNK(attr.mode))
        json["target"] = printable(reader.target(attr.node));
    if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode))
        json["device"] = fmt::format("{}:{}", attr.rdev_major, attr.rdev_minor);
    for (const Xattr &xattr : reader.xattrs(attr.node))
        json["xattrs"][printable(join_xattr_name(xattr.index, xattr.name))] = printable(xattr.value);
    for (std::uint64_t pos = 0; S_ISREG(attr.mode) && pos < attr.node.size;) {
        const daxfs_map run = reader.map(attr.node, pos);
        if (!run.hole)
            json["runs"].push_back({{"file_offset", pos}, {"offset", run.off}, {"bytes", run.len}});
        pos += run.len;
    }
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

void list(const ImageReader &reader, const Options &options, std::ostream &out)
{
    const daxfs_attr dir = reader.inode(find(reader, options.ls));
    if (!S_ISDIR(dir.mode))
        throw std::runtime_error(printable(options.ls) + " is no directory");
    for (const auto &[name, ino] : sorted_entries(reader, dir.node)) {
        const Json json = describe(reader, name, ino);
        if (options.json)
            print(options, json, out);
        else
            out << fmt::format("{:4} {} {:>5} {:>5} {:>12} {}\n", json["type"].get<std::string>(),
                               json["mode"].get<std::string>(), json["uid"].get<std::uint32_t>(),
                               json["gid"].get<std::uint32_t>(), json["size"].get<std::uint64_t>(),
                               json["path"].get<std::string>());
    }
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

// As diff(1): 1 is "differs".
int failed(const Options &options)
{
    return options.diff.empty() ? 1 : 2;
}

// Returns the exit status.
int dump(const Options &options, std::ostream &out, std::ostream &err)
{
    const ImageReader reader(options.image);
    if (!options.diff.empty())
        return dump_diff(reader, ImageReader(options.diff), out, options.json) == 0 ? 0 : 1;
    if (!options.extract.empty()) {
        const auto warn = [&](const std::string &text) { err << "dump.daxfs: " << text << '\n'; };
        return extract_image(reader, options.extract, warn) == 0 ? 0 : 1;
    }
    if (!options.ls.empty())
        list(reader, options, out);
    else if (!options.cat.empty())
        cat(reader, options, out);
    else if (!options.stat.empty())
        print(options, describe(reader, options.stat, find(reader, options.stat)), out);
    else if (options.layout)
        show_layout(reader, options, out);
    else if (options.tar)
        dump_tar(reader, out, err);
    else if (options.text)
        dump_text(reader, out);
    else
        summary(reader, options, out);
    return 0;
}

} // namespace

int dump_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err)
{
    Options options;
    CLI::App app("Show what a DAXFS image holds: superblock and statistics unless told otherwise.",
                 "dump.daxfs");
    app.add_option("IMAGE", options.image, "image file or device")->required();
    app.add_flag("--json", options.json, "print JSON");
    auto *ls = app.add_option("--ls", options.ls, "list the directory PATH")->type_name("PATH");
    auto *stat = app.add_option("--stat", options.stat, "all about PATH")->type_name("PATH");
    auto *cat = app.add_option("--cat", options.cat, "the content of the file PATH")->type_name("PATH");
    auto *extract =
        app.add_option("--extract", options.extract, "write the tree into the empty or new directory DIR")
            ->type_name("DIR");
    auto *diff = app.add_option("--diff", options.diff,
                                "what differs from the tree of the image OTHER; status 1 if anything")
                     ->type_name("OTHER");
    auto *layout = app.add_flag("--layout", options.layout, "how the image's bytes are used");
    auto *tar = app.add_flag("--tar", options.tar, "the tree as a tar archive");
    auto *text = app.add_flag("--text", options.text, "the image as text for mkdaxfs --text");
    const std::vector<CLI::Option *> actions = {ls, stat, cat, extract, diff, layout, tar, text};
    for (std::size_t i = 0; i < actions.size(); ++i) {
        for (std::size_t j = i + 1; j < actions.size(); ++j)
            actions[i]->excludes(actions[j]);
    }
    app.set_version_flag("-V,--version", fmt::format("dump.daxfs {}", DAXFS_TOOLS_VERSION));
    try {
        parse_arguments(app, args);
        const EndOnUnreadableImage end("dump.daxfs", failed(options));
        const int status = dump(options, out, err);
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
