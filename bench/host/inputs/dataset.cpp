// SPDX-License-Identifier: Apache-2.0
#include "dataset.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "accelerator_data.hpp"
#include "cache.hpp"
#include "debian_mirrors.hpp"
#include "debian_rootfs.hpp"
#include "manifest.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Bump when a dataset's content changes for the same spec.
constexpr int content_version = 3;
constexpr std::uint64_t page = 4096;

// Equal for everybody, whatever the umask, so that images of it are.
void set_mode_and_time(const fs::path &file)
{
    fs::permissions(file, fs::perms(fs::is_directory(file) ? 0755 : 0644));
    fs::last_write_time(file, std::chrono::file_clock::from_sys(std::chrono::sys_seconds(dataset_epoch)));
}

void make_random_file(const DatasetSpec &spec, const fs::path &tree)
{
    const fs::path name(spec.path);
    if (spec.path.empty() || name.is_absolute() || spec.path.find("..") != std::string::npos)
        throw std::runtime_error(
            fmt::format("expected a relative path for the file of dataset {}, got `{}`", spec.id, spec.path));
    fs::create_directories((tree / name).parent_path());
    std::ofstream file(tree / name, std::ios::binary);
    std::mt19937_64 random(spec.seed);
    std::vector<std::uint64_t> buffer(1 << 17);
    for (std::uint64_t left = spec.bytes; left > 0 && file;) {
        throw_if_interrupted();
        for (auto &word : buffer)
            word = random();
        const auto count = std::min<std::uint64_t>(left, buffer.size() * sizeof buffer[0]);
        file.write(reinterpret_cast<const char *>(buffer.data()), static_cast<std::streamsize>(count));
        left -= count;
    }
    file.close();
    if (!file)
        throw std::runtime_error(fmt::format("expected to write {} bytes to {}, failed: is the disk full?",
                                             spec.bytes, (tree / name).string()));
    set_mode_and_time(tree / name);
}

void make_random_files(const DatasetSpec &spec, const fs::path &tree)
{
    DatasetSpec one = spec;
    for (const auto &[name, bytes] : spec.files) {
        one.path = name;
        one.bytes = bytes;
        make_random_file(one, tree);
        ++one.seed; // no two files with a block in common
    }
}

void make_fio_layout(const DatasetSpec &spec, const fs::path &tree)
{
    run_checked({"fio", "--output-format=terse", spec.job.string()}, {.cwd = tree, .timeout = Seconds(600)});
    for (const auto &entry : fs::directory_iterator(tree))
        if (entry.path().extension() == ".state")
            fs::remove(entry.path());
    for (const auto &entry : fs::directory_iterator(tree))
        set_mode_and_time(entry.path());
}

// A file of some size beside the many without, by which a mount is proved.
constexpr char probe_name[] = "probe.bin";
constexpr std::uint64_t probe_bytes = 4 << 20;

void make_directory_of_files(const fs::path &dir, std::uint64_t entries, std::uint64_t tiny_every)
{
    fs::create_directory(dir);
    for (std::uint64_t i = 0; i < entries; ++i) {
        throw_if_interrupted();
        const auto name = fmt::format("file-{:06}", i);
        const auto file = dir / name;
        const Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
        const bool tiny = tiny_every != 0 && i % tiny_every == 0;
        const timespec epoch{static_cast<time_t>(dataset_epoch.count()), 0};
        const timespec times[2] = {epoch, epoch};
        if (!fd || (tiny && write(fd.get(), name.data(), name.size()) < 0) || futimens(fd.get(), times) < 0)
            throw std::runtime_error(
                fmt::format("expected to write {}, failed: {}", file.string(), std::strerror(errno)));
    }
    set_mode_and_time(dir);
}

void make_file_tree(const DatasetSpec &spec, const fs::path &tree)
{
    for (const auto &directories : spec.directories)
        for (std::uint64_t i = 0; i < directories.count; ++i)
            make_directory_of_files(tree / fmt::format("d{}-{:04}", directories.entries, i),
                                    directories.entries, spec.tiny_every);
    DatasetSpec probe = spec;
    probe.bytes = probe_bytes;
    probe.path = probe_name;
    make_random_file(probe, tree);
}

// So many pages of data, as far from each other as the size allows, the first and the last among them.
void make_sparse_files(const DatasetSpec &spec, const fs::path &tree)
{
    std::mt19937_64 random(spec.seed);
    std::vector<std::uint64_t> data(page / sizeof(std::uint64_t));
    for (const auto &[name, bytes] : spec.files) {
        throw_if_interrupted();
        const auto file = tree / name;
        const Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
        bool done = fd && ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0;
        const std::uint64_t pages = std::max<std::uint64_t>(1, bytes / page);
        const std::uint64_t count = std::min(pages, spec.data_pages);
        for (std::uint64_t i = 0; i < count && done; ++i) {
            for (auto &word : data)
                word = random();
            const std::uint64_t at = count == 1 ? 0 : (pages - 1) * i / (count - 1);
            done = pwrite(fd.get(), data.data(), page, static_cast<off_t>(at * page)) ==
                   static_cast<ssize_t>(page);
        }
        if (!done)
            throw std::runtime_error(
                fmt::format("expected to write {} of {} bytes, mostly a hole, failed: {}", file.string(),
                            bytes, std::strerror(errno)));
        set_mode_and_time(file);
    }
    DatasetSpec probe = spec;
    probe.bytes = probe_bytes;
    probe.path = probe_name;
    make_random_file(probe, tree);
}

void make_accelerator_data(const DatasetSpec &spec, const fs::path &tree)
{
    std::map<std::string, TensorShape> tensors;
    for (const auto &[name, shape] : spec.tensors)
        tensors[name] = parse_shape(shape);
    write_safetensors(tree / "model.safetensors", tensors, spec.seed);
    write_probe_table(tree / "table.bin", spec.slots);
    for (const auto *name : {"model.safetensors", "table.bin"})
        set_mode_and_time(tree / name);
}

// The same bytes under two names are the same file content in two layers.
void make_layer_file(const fs::path &file, std::uint64_t bytes, std::uint64_t seed, const fs::path &tree)
{
    DatasetSpec one;
    one.path = file.string();
    one.bytes = bytes;
    one.seed = seed;
    make_random_file(one, tree);
}

// Folders 000, 001 and so on, each a layer: `own` files of its own, `shared` files that every layer has under
// another name, and a small one in a folder that all have.
void make_layers(const DatasetSpec &spec, const fs::path &tree)
{
    constexpr std::uint64_t own_seeds = 1000; // apart from those of the shared files
    for (std::uint64_t i = 0; i < spec.layers; ++i) {
        const auto layer = fs::path(fmt::format("{:03}", i));
        for (std::uint64_t file = 0; file < spec.own; ++file)
            make_layer_file(layer / "own" / fmt::format("{:03}-{}", i, file), spec.bytes,
                            spec.seed + own_seeds + i * spec.own + file, tree);
        for (std::uint64_t file = 0; file < spec.shared; ++file)
            make_layer_file(layer / "shared" / fmt::format("{:03}-{}", i, file), spec.bytes, spec.seed + file,
                            tree);
        make_layer_file(layer / "common" / fmt::format("in-{:03}", i), 64, spec.seed + i, tree);
        for (const char *folder : {"own", "shared", "common", ""})
            if (fs::is_directory(tree / layer / folder))
                set_mode_and_time(tree / layer / folder);
    }
    make_layer_file(probe_name, probe_bytes, spec.seed, tree);
}

std::string spec_key(const DatasetSpec &spec)
{
    std::string text = fmt::format("{} {}\n", content_version, spec.kind);
    if (spec.kind == "debian-rootfs")
        text += fmt::format("{} {}", debian_codename(), fmt::join(spec.packages, " "));
    else if (spec.kind == "random-file")
        text += fmt::format("{} {} {}", spec.bytes, spec.seed, spec.path);
    else if (spec.kind == "random-files")
        for (const auto &[name, bytes] : spec.files)
            text += fmt::format("{} {} {}\n", name, bytes, spec.seed);
    else if (spec.kind == "sparse-files")
        text += fmt::format("{} {} {}", spec.seed, spec.data_pages, nlohmann::json(spec.files).dump());
    else if (spec.kind == "accelerator-data")
        text += fmt::format("{} {} {}", spec.seed, spec.slots, nlohmann::json(spec.tensors).dump());
    else if (spec.kind == "fio-layout")
        text += read_file(spec.job);
    else if (spec.kind == "file-tree")
        for (const auto &directories : spec.directories)
            text += fmt::format("{}x{} {} ", directories.count, directories.entries, spec.tiny_every);
    else if (spec.kind == "layers")
        text += fmt::format("{} {} {} {} {}", spec.layers, spec.own, spec.shared, spec.bytes, spec.seed);
    return fmt::format("{}-{}", spec.id, xxh3_text(text).substr(0, 16));
}

// Does not depend on the state being there yet: fakeroot -s makes it.
Argv with_state(const fs::path &state, const Argv &argv, bool writes)
{
    if (running_as_root())
        return argv;
    Argv result{"fakeroot"};
    if (fs::exists(state))
        result.insert(result.end(), {"-i", state.string()});
    if (writes)
        result.insert(result.end(), {"-s", state.string()});
    result.push_back("--");
    result.insert(result.end(), argv.begin(), argv.end());
    return result;
}

// What a manifest adds up to.
struct Summary {
    std::uint64_t bytes = 0;
    std::uint64_t data_bytes = 0;
    std::uint64_t distinct_bytes = 0;
    std::uint64_t entries = 0;
    std::string hash; // without what the host's filesystem has made up: how many links a directory has
};

Summary summary_of(const std::string &manifest)
{
    Summary summary;
    std::string text;
    std::set<std::string> contents;
    std::istringstream stream(manifest);
    for (std::string line; std::getline(stream, line);) {
        ++summary.entries;
        auto entry = json::parse(line);
        if (entry.at("type") == "dir")
            entry.erase("nlink");
        text += entry.dump() + "\n";
        // "link" names an earlier entry with the same inode.
        if (entry.at("type") != "reg" || (entry.contains("link") && entry.at("link") != entry.at("path")))
            continue;
        const std::uint64_t size = entry.at("size");
        summary.bytes += size;
        const auto whole_pages = (size + page - 1) / page * page;
        summary.data_bytes += whole_pages;
        if (contents.insert(entry.at("hash")).second)
            summary.distinct_bytes += whole_pages;
    }
    summary.hash = xxh3_text(text);
    return summary;
}

// How mkdaxfs is told what the source is: a folder, an OCI image (as a folder or an archive), or an archive.
Argv source_arguments(const fs::path &source)
{
    if (fs::is_directory(source))
        return fs::exists(source / "oci-layout") ? Argv{"--oci", source.string()} : Argv{source.string()};
    std::istringstream names(run_checked({"tar", "-tf", source.string()}).out);
    for (std::string name; std::getline(names, name);)
        if (name == "oci-layout" || name == "./oci-layout" || name == "manifest.json") // or of docker save
            return {"--oci", source.string()};
    return {"--tar", source.string()};
}

// Whatever mkdaxfs reads, as an image, whose bytes depend on the content only.
fs::path image_of(const DatasetSpec &spec, const fs::path &dir, const Progress &progress)
{
    progress("reading " + spec.source.string());
    const auto image = dir / "source.daxfs";
    Argv argv{DAXBENCH_MKDAXFS, "--quiet", "--no-sync", image.string()};
    const auto arguments = source_arguments(spec.source);
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    run_checked(argv, {.timeout = Seconds(3600)});
    return image;
}

void make_dataset(const DatasetSpec &spec, const fs::path &dir, const fs::path &image,
                  const Progress &progress)
{
    const auto tree = dir / "tree";
    const auto state = dir / "fakeroot.state";
    fs::create_directories(tree);
    if (spec.kind == "debian-rootfs")
        make_debian_rootfs(
            spec.packages, tree, dir, [&](const Argv &argv) { return with_state(state, argv, true); },
            progress);
    else if (spec.kind == "random-file")
        make_random_file(spec, tree);
    else if (spec.kind == "random-files")
        make_random_files(spec, tree);
    else if (spec.kind == "sparse-files")
        make_sparse_files(spec, tree);
    else if (spec.kind == "accelerator-data")
        make_accelerator_data(spec, tree);
    else if (spec.kind == "file-tree")
        make_file_tree(spec, tree);
    else if (spec.kind == "layers")
        make_layers(spec, tree);
    else if (spec.kind == "fio-layout")
        make_fio_layout(spec, tree);
    else
        run_checked(with_state(state, {DAXBENCH_DUMP, "--extract", tree.string(), image.string()}, true));
    if (image.empty() && spec.kind != "debian-rootfs")
        set_mode_and_time(tree);
    progress("writing the manifest of " + spec.id);
    const auto *const mode = spec.kind == "sparse-files" ? "data" : "read";
    const auto manifest =
        run_checked(with_state(state, {DAXBENCH_MANIFEST_TOOL, "--mode", mode, tree.string()}, false),
                    {.timeout = Seconds(3600)})
            .out;
    write_file(dir / "manifest.jsonl", manifest);
    const auto summary = summary_of(manifest);
    const json info = {{"id", spec.id},
                       {"hash", summary.hash},
                       {"bytes", summary.bytes},
                       {"data_bytes", summary.data_bytes},
                       {"distinct_bytes", summary.distinct_bytes},
                       {"entries", summary.entries}};
    write_file(dir / "dataset.json", info.dump(2) + "\n");
}

/// Of a tree that dpkg has filled; nothing for others.
std::vector<std::string> packages_in(const fs::path &tree)
{
    const auto database = tree / "var/lib/dpkg";
    std::vector<std::string> packages;
    if (!fs::exists(database / "status") || !find_program("dpkg-query"))
        return packages;
    std::istringstream lines(
        run_checked({"dpkg-query", "--admindir=" + database.string(), "-W", "-f", "${Package} ${Version}\\n"})
            .out);
    for (std::string line; std::getline(lines, line);)
        packages.push_back(line);
    return packages;
}

} // namespace

std::string probe_file_of(const DatasetSpec &spec)
{
    if (spec.kind == "file-tree" || spec.kind == "sparse-files" || spec.kind == "layers")
        return probe_name;
    return spec.kind == "random-file" ? spec.path : "large";
}

Dataset ensure_dataset(const DatasetSpec &spec, const Progress &progress)
{
    std::optional<TempDir> scratch;
    fs::path image;
    auto key = spec_key(spec);
    if (spec.kind == "tree") {
        image = image_of(spec, scratch.emplace(Cache::scratch()).path(), progress);
        key += xxh3_file(image);
    }
    const auto dir = Cache::entry("datasets", key, [&](const fs::path &aside) {
        progress("making the dataset " + spec.id);
        make_dataset(spec, aside, image, progress);
    });
    const auto info = json::parse(read_file(dir / "dataset.json"));
    Dataset dataset;
    dataset.id = spec.id;
    dataset.hash = info.at("hash");
    if (!spec.xxh3.empty() && dataset.hash != spec.xxh3)
        throw std::runtime_error(fmt::format(
            "expected the dataset {} with the hash {}, which its declaration names, got {}: it is not the "
            "data that others measured; declare the new hash as xxh3, or none",
            spec.id, spec.xxh3, dataset.hash));
    dataset.dir = dir / "tree";
    dataset.packages = packages_in(dataset.dir);
    dataset.manifest_path = dir / "manifest.jsonl";
    if (fs::exists(dir / "fakeroot.state"))
        dataset.fakeroot_state = dir / "fakeroot.state";
    dataset.data_bytes = info.at("data_bytes");
    // A cache of before has no such key.
    dataset.distinct_bytes = info.contains("distinct_bytes")
                                 ? info.at("distinct_bytes").get<std::uint64_t>()
                                 : summary_of(read_file(dataset.manifest_path)).distinct_bytes;
    dataset.bytes = info.at("bytes");
    dataset.entries = info.at("entries");
    return dataset;
}

std::string digest_of(const Dataset &dataset)
{
    std::vector<std::string> lines;
    std::istringstream stream(read_file(dataset.manifest_path));
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return content_digest(lines);
}

Argv dataset_command(const Dataset &dataset, const Argv &argv)
{
    return dataset.fakeroot_state.empty() ? argv : with_state(dataset.fakeroot_state, argv, false);
}

} // namespace daxbench
