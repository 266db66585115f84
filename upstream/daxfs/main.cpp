// SPDX-License-Identifier: Apache-2.0
// fs/daxfs for the kernel's tree, as files or as a series of patches: the reader, the filesystem on memory
// with struct pages of its own, then ranges of physical addresses, then dma-bufs, then the documentation.
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "files.hpp"
#include "generate.hpp"
#include "process.hpp"
#include "temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using std::string;
using std::vector;

constexpr const char *folder = "fs/daxfs";
constexpr int patches = 8;
constexpr const char *documentation = "Documentation/filesystems/daxfs.rst";

/// What can be left out, the last one first.
struct Feature {
    const char *patch; ///< of the parts: what is left without it
    const char *file;  ///< that is its own
};
constexpr Feature dmabuf = {"without-dmabuf.patch", "dmabuf.c"};
constexpr Feature phys = {"without-phys.patch", "phys.c"};

void leave_out(const Feature &feature, const fs::path &parts, const fs::path &tree)
{
    fs::remove(tree / folder / feature.file);
    const auto patch = fs::absolute(parts / feature.patch).string();
    const auto said = daxbench::run_command(
        {"patch", "-d", tree.string(), "-p1", "-s", "-F0", "--no-backup-if-mismatch", "-i", patch});
    if (!said.ok())
        throw std::runtime_error(
            fmt::format("{} does not fit what kmod/ has become: make it anew (upstream/daxfs/README.md)\n{}",
                        patch, said.out));
}

/// The tree with so many features, from 0.
void make_tree(const fs::path &kmod, const fs::path &parts, const fs::path &tree, int features)
{
    generate(kmod, parts, tree);
    if (features < 2)
        leave_out(dmabuf, parts, tree);
    if (features < 1)
        leave_out(phys, parts, tree);
}

/// As git shows it, with paths below a/ and b/; both are folders in `scratch`.
string difference(const fs::path &scratch)
{
    const auto said =
        daxbench::run_command({"git", "-C", scratch.string(), "diff", "--no-index", "--no-prefix",
                               "--no-renames", "--stat=72", "--patch", "a", "b"});
    if (said.status != 1 || said.out.empty())
        throw std::runtime_error("expected git to find a difference, it said " + said.err);
    string text;
    for (std::size_t at = 0; at < said.out.size();) {
        const auto end = said.out.find('\n', at) + 1;
        string line = said.out.substr(at, end - at);
        // Of a new file both names are below b/.
        if (line.starts_with("diff --git b/"))
            line[11] = 'a';
        text += line;
        at = end;
    }
    return text;
}

void copy_into(const fs::path &from, const fs::path &to, const vector<string> &names)
{
    for (const auto &name : names) {
        fs::create_directories((to / name).parent_path());
        fs::copy(from / name, to / name, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    }
}

class Series {
public:
    Series(const fs::path &parts, const fs::path &out) : parts_(parts), out_(out)
    {
        fs::create_directories(scratch_.path() / "a");
        fs::create_directories(scratch_.path() / "b");
    }

    /// From here on in the tree.
    fs::path next() const { return scratch_.path() / "b"; }

    /// One patch: what has changed in next() since the last one, and what the parts change in files that the
    /// kernel has.
    void add(const string &name, const string &changes_of_tree = "")
    {
        const auto message = daxbench::read_file(parts_ / "messages" / (name + ".txt"));
        const auto end = message.find('\n');
        string text = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n";
        text += fmt::format("Subject: [PATCH {}/{}] {}\n{}---\n", ++count_, patches, message.substr(0, end),
                            message.substr(end + 1));
        text += difference(scratch_.path());
        if (!changes_of_tree.empty())
            text += daxbench::read_file(parts_ / changes_of_tree);
        daxbench::write_file(out_ / fmt::format("{:04}-{}.patch", count_, name), text);
        fs::copy(next(), scratch_.path() / "a",
                 fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    }

private:
    fs::path parts_;
    fs::path out_;
    daxbench::TempDir scratch_;
    int count_ = 0;
};

/// The files of a patch; what the kernel's own files get with it, of the parts.
struct Topic {
    const char *name;
    vector<const char *> files;
    const char *changes_of_tree = "";
};

/// Nothing is compiled before the last of them.
const Topic topics[] = {
    {"daxfs-the-format-and-its-reader", {"daxfs_format.h", "image.h", "image.c", "validate.c"}},
    {"daxfs-mounting-memory",
     {"daxfs.h", "arch.h", "super.c", "options.c", "failure.c", "region.c", "dax.c", "trace.h", "trace.c"}},
    {"daxfs-inodes-directories-and-attributes", {"inode.c", "dir.c", "xattr.c", "export.c"}},
    {"daxfs-reading-and-mapping-files",
     {"file.c", "fault.c", "entries.h", "entries_folio.c", "entries_special.c"}},
    {"daxfs-faults-by-iomap-and-the-build", {"iomap.c", "Kconfig", "Makefile"}, "tree-fs.patch"},
};

void write_series(const fs::path &kmod, const fs::path &parts, const fs::path &out)
{
    fs::create_directories(out);
    Series series(parts, out);
    const auto tree_with = [&](int features) {
        daxbench::TempDir tree;
        make_tree(kmod, parts, tree.path(), features);
        return tree;
    };
    const auto core = tree_with(0);
    for (const auto &topic : topics) {
        vector<string> files;
        for (const char *file : topic.files)
            files.push_back(fmt::format("{}/{}", folder, file));
        copy_into(core.path(), series.next(), files);
        series.add(topic.name, topic.changes_of_tree);
    }
    copy_into(tree_with(1).path(), series.next(), {folder});
    series.add("daxfs-images-in-a-range-of-physical-addresses");
    const auto whole = tree_with(2);
    copy_into(whole.path(), series.next(), {folder});
    series.add("daxfs-images-in-a-dma-buf");
    copy_into(whole.path(), series.next(), {documentation});
    series.add("daxfs-documentation", "tree-documentation.patch");
}

constexpr const char *usage =
    "usage: generate-daxfs KMOD PARTS OUT            fs/daxfs and its documentation below the folder OUT\n"
    "       generate-daxfs --without WHAT KMOD PARTS OUT   the same without dmabuf, or without both (phys)\n"
    "       generate-daxfs --series KMOD PARTS OUT   patches for the kernel's tree, in the folder OUT\n";

int run(const vector<string> &arguments)
{
    if (arguments.size() == 3 && !arguments[0].starts_with("-"))
        make_tree(arguments[0], arguments[1], arguments[2], 2);
    else if (arguments.size() == 4 && arguments[0] == "--series")
        write_series(arguments[1], arguments[2], arguments[3]);
    else if (arguments.size() == 5 && arguments[0] == "--without" &&
             (arguments[1] == "dmabuf" || arguments[1] == "phys"))
        make_tree(arguments[2], arguments[3], arguments[4], arguments[1] == "dmabuf" ? 1 : 0);
    else {
        std::cerr << usage;
        return 2;
    }
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception &error) {
        std::cerr << "generate-daxfs: " << error.what() << '\n';
        return 1;
    }
}
