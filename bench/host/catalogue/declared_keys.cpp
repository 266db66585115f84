// SPDX-License-Identifier: Apache-2.0
#include "declared_keys.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/core.h>

#include "media.hpp"

namespace daxbench {
namespace {

using std::string;
using std::string_view;
using std::vector;

const DeclaredKey id{"id", "text", true,
                     "lower case letters, digits and dashes; files name each other by it"};

string media_in_words()
{
    string words;
    for (const auto &medium : media())
        if (medium.declared)
            words += fmt::format("{}`{}`: {}", words.empty() ? "" : "; ", medium.name, medium.meaning);
    return words;
}

DeclaredFile filesystems()
{
    return {
        "filesystems",
        "A filesystem",
        "How a guest mounts it, and what the mount must show before a figure carries its name.",
        {id,
         {"label", "text", false, "for people, in tables and figures (default: the id)"},
         {"variant_of", "id of a filesystem", false, "it is a variant of that one, and no rival to it"},
         {"type", "text", true, "as mount(8) calls it; from here on not for the medium `none`"},
         {"modules", "list of texts", false, "modules of the guest kernel's own package to load"},
         {"external_module", "text", false, "a module of this tree to load, without .ko"},
         {"medium", "name", true, "what it lies on: " + media_in_words()},
         {"image", "id of an image", false, "what the medium holds; required unless it is `ram`"},
         {"seed", "id of an image", false, "what is copied into the mount; required where it is `ram`"},
         {"options", "text", false, "mount options, with commas between"},
         {"settings", "list of texts", false,
          "`/FILE=TEXT`: what the kernel is told before the mount, by its files in /proc, /sys or debugfs; "
          "it must read back as written, and is part of the cell's proof"},
         {"overlay", "flag", false,
          "an OverlayFS with an empty layer above it is what is measured (default: false; name the "
          "module `overlay`)"},
         {"since_kernel", "version", false,
          "the first kernel with it, such as 7.0: on older ones its cells are skipped"},
         {"kernel_warnings", "list of texts", false,
          "parts of kernel warnings that are known: counted and shown, not failures"},
         {"prove", "table", true, "what must be seen of the mount"},
         {"prove.options", "list of texts", false, "each must be in the options read back"},
         {"prove.dax", "flag", true, "whether STATX_ATTR_DAX must be set, or must be clear"},
         {"prove.page_cache", "flag", true,
          "whether a read of the probed file must fill the page cache, or must not add to it"}}};
}

DeclaredFile images()
{
    return {"images",
            "An image",
            "A command that makes it of a dataset. Filled in are `{source}`, the dataset's folder, `{out}`, "
            "the file to "
            "make, which is not there yet, and `{build}`, Meson's build folder. It runs as the owner of the "
            "dataset's "
            "files (root, or under fakeroot). Install the tool's package yourself, or declare `program`.",
            {id,
             {"command", "list of texts", true, "program and arguments, `{out}` and `{source}` among them"},
             {"check", "list of texts", false,
              "a command that ends with 0 for a sound `{out}`; run by drivers `build` alone"},
             {"version", "list of texts", false, "a command that prints the tool's version"},
             {"align", "bytes", false,
              "the file is padded with zeros to a multiple (virtio-pmem: 2097152; default: 1)"},
             {"program", "table", false,
              "a tool that the machine's package may be too old for, or that may be missing: then it is "
              "fetched; it must know `--version`"},
             {"program.name", "text", true, "what `{program}` stands for; `{programs}` is its folder"},
             {"program.at_least", "version", true, "an older one is not used"},
             {"program.package", "text", true, "Debian's package that has it"},
             {"program.release", "text", true, "the Debian release to fetch it from, unpacked privately"},
             {"program.also", "list of texts", false, "more programs of that package"}}};
}

DeclaredFile datasets()
{
    return {
        "datasets",
        "A dataset",
        "A tree that images are made of. `--dataset-from DIR|TAR|OCI` declares one of kind `tree`.",
        {id,
         {"kind",
          "`none`, `debian-rootfs`, `random-file`, `random-files`, `file-tree`, `layers`, `fio-layout`, "
          "`accelerator-data`, `sparse-files` or `tree`",
          true, "how the tree is made"},
         {"xxh3", "hash", false,
          "pins it: a tree whose manifest has another XXH3-128 is refused (results.json has the hash)"},
         {"packages", "list of texts", false, "debian-rootfs: Debian packages beside the essential ones"},
         {"bytes", "bytes", false, "random-file: its size; layers: of each of their files"},
         {"seed", "number", false,
          "random-file, random-files, layers, accelerator-data: of the random bytes"},
         {"layers", "number", false, "layers: how many, folders `000`, `001` and so on"},
         {"own", "number", false, "layers: files in each that no other has"},
         {"shared", "number", false, "layers: files in each whose bytes all of them have, under other names"},
         {"files", "table", false, "random-files, sparse-files: `NAME = BYTES`"},
         {"files.*", "bytes", false, "random-files, sparse-files: size of that file"},
         {"data_pages", "number", false,
          "sparse-files: pages of data of each file, the first and the last among them; the rest are holes"},
         {"path", "path", false, "random-file: its name in the tree"},
         {"directories", "table", false, "file-tree: `ENTRIES = COUNT`, so many folders of so many files"},
         {"directories.*", "number", false, "file-tree: how many folders of that size"},
         {"tiny_every", "number", false, "file-tree: every Nth file has a few bytes, the others none"},
         {"tensors", "table", false, "accelerator-data: of `model.safetensors`, 32-bit floats"},
         {"tensors.*", "text", false, "accelerator-data: `ROWSxCOLUMNS` of the tensor of that name"},
         {"slots", "number", false, "accelerator-data: of `table.bin`, a hash table; a power of two"},
         {"job", "path", false, "fio-layout: a job of fio, below workloads/, that writes the files"},
         {"source", "path", false, "tree: a folder, a tar archive or an OCI image"}}};
}

DeclaredFile experiments()
{
    return {
        "experiments",
        "An experiment",
        "Workloads on datasets on filesystems: each combination is a cell, which boots guests of its own.",
        {id,
         {"title", "text", false, "for people (default: the id)"},
         {"driver", "`single`, `instances`, `frames`, `hostile`, `traced` or `build`", true,
          "one guest; several at once over one image; one whose memory the host counts, too; one whose image "
          "is "
          "overwritten; one whose instructions are counted by the kernel's functions; or no guest, and tools "
          "that make images on the host"},
         {"every_run", "flag", false,
          "its cells are part of every run with guests, on each of the run's kernels, unless `--only` leaves "
          "them "
          "out (default: false)"},
         {"clock", "`instructions` or `none`", false,
          "what is counted under TCG (KVM: nanoseconds), or that only memory is counted; not for `build`"},
         {"memory", "MiB", false, "of each guest; not for `build`"},
         {"cpus", "number", false, "of each guest under KVM (default: 1); TCG counts on one"},
         {"emulated_cpus", "number", false,
          "of each guest under TCG (default: 1): they take turns, instructions are those of all"},
         {"tools", "table", false, "programs that engine `compute` runs, beside the data"},
         {"tools.dataset", "id", true, "the dataset that has them"},
         {"tools.image", "id", true, "how it is made an image, which must be EROFS"},
         {"datasets", "list of ids", true, "on which data"},
         {"filesystems", "list of ids", false, "which rivals; not for `build`"},
         {"images", "list of ids", false, "which image tools; only for `build`"},
         {"workloads", "list of ids", true, "in the order in which a guest runs them"},
         {"dataset_workloads", "table", false, "`DATASET = [WORKLOADS]`, in place of `workloads` there"},
         {"dataset_workloads.*", "list of ids", false, "the workloads on that dataset"},
         {"instances", "list of numbers", false,
          "instances: how many guests at once; hostile: 1, the host "
          "overwrites, or 2, a second guest does (default: [1])"},
         {"other_dataset", "id of a dataset", false, "hostile: the dataset of the image that is swapped in"},
         {"kernels", "list of texts", false,
          "each cell once on each of these: `6.1` or `6.12` as Debian packages it, `7.3` or `6.12-debug` "
          "from "
          "source, `7.3+dax-map-ahead` with the patches of that folder of upstream/ (default: the suite's, "
          "or the run's one kernel); not for `build`"},
         {"mixed_kernels", "list of texts", false,
          "instances: the guests of one cell boot these in turn, at once; instead of `kernels`"},
         {"timeout", "seconds", true, "for each step of a guest, or run of a tool"},
         {"estimate", "seconds", false, "of one cell, for the time left that is shown at first"},
         {"table", "list of metrics", false, "what the terminal shows (default: `cost_per_op`)"}}};
}

DeclaredFile suites()
{
    return {
        "suites",
        "A suite",
        "What `./run-bench SUITE` runs, by profile, and the limits that make its exit status 3.",
        {id,
         {"title", "text", false, "for people (default: the id)"},
         {"subject", "id of a filesystem", false, "whose rows are judged; the others are its rivals"},
         {"experiments", "list of ids", true, "in this order"},
         {"kernels", "list of texts", false, "the kernels of the experiments that name none"},
         {"profile", "table", true, "`[profile.NAME]`; `default` runs where none is named"},
         {"profile.*", "table", false, "how much: what is absent stays as declared"},
         {"profile.*.repetitions", "number", false, "samples of each workload"},
         {"profile.*.boots", "number", false, "driver instances: how often guests are booted (default: 1)"},
         {"profile.*.limit", "number", false, "upper bound of every workload's own limit of files"},
         {"profile.*.experiments", "list of ids", false, "only these"},
         {"profile.*.datasets", "list of ids", false, "only these"},
         {"profile.*.filesystems", "list of ids", false, "only these"},
         {"profile.*.workloads", "list of ids", false, "only these"},
         {"profile.*.instances", "list of numbers", false, "only these"},
         {"profile.*.kernels", "list of texts", false, "only these; where none are named, these"},
         {"limit", "table", false, "`[limit.NAME]`"},
         {"limit.*", "table", false, "what some rows must not exceed"},
         {"limit.*.title", "text", true, "for people"},
         {"limit.*.row", "table", true, "which rows, by their keys in results.json; the highest counts"},
         {"limit.*.row.*", "text", false, "a value that the rows have"},
         {"limit.*.at_most", "number", false, "the bound, in the rows' unit; or it is relative to:"},
         {"limit.*.against", "table", false, "the same rows but for these keys"},
         {"limit.*.against.*", "text", false, "a value that those rows have"},
         {"limit.*.rivals", "list of ids", false, "the same rows of these filesystems; the lowest counts"},
         {"limit.*.times", "number", false, "that many times the other rows (default: 1)"}}};
}

DeclaredFile metrics()
{
    return {"metrics.toml",
            "Metrics",
            "`[METRIC]`: what the analysis calls each, and how it judges.",
            {{"*", "table", false, "a metric, by its name in results.json"},
             {"*.label", "text", true, "for people"},
             {"*.better", "`lower` or `higher`", false, "absent: it describes, and is not judged"},
             {"*.margin", "part of one", false, "figures this close count as equal (default: 0.005)"}}};
}

/// "a.b.c" → {"a", "b", "c"}
vector<string_view> parts_of(string_view key)
{
    vector<string_view> parts;
    for (;;) {
        const auto dot = key.find('.');
        parts.push_back(key.substr(0, dot));
        if (dot == string_view::npos)
            return parts;
        key.remove_prefix(dot + 1);
    }
}

} // namespace

bool DeclaredFile::declares(string_view key) const
{
    const auto wanted = parts_of(key);
    return std::ranges::any_of(keys, [&](const DeclaredKey &declared) {
        return std::ranges::equal(parts_of(declared.name), wanted, [](string_view pattern, string_view part) {
            return pattern == "*" || pattern == part;
        });
    });
}

const vector<DeclaredFile> &declared_files()
{
    static const vector<DeclaredFile> files = {filesystems(), images(), datasets(),
                                               experiments(), suites(), metrics()};
    return files;
}

const DeclaredFile &declared_file(string_view folder)
{
    const auto found = std::ranges::find(declared_files(), folder, &DeclaredFile::folder);
    if (found == declared_files().end())
        throw std::logic_error(fmt::format("no keys are declared for {}", folder));
    return *found;
}

} // namespace daxbench
