// SPDX-License-Identifier: Apache-2.0
#include "initramfs.hpp"

#include <algorithm>
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cache.hpp"
#include "decompress.hpp"
#include "kernel_modules.hpp"
#include "shared_libraries.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Without these a guest cannot talk, or be told what to do.
const std::vector<std::string> needed_modules{"virtio_pci", "virtio_console", "qemu_fw_cfg"};
// Disks, virtio-pmem and QEMU's nvdimm; a kernel may lack what its cells do not use.
const std::vector<std::string> device_modules{"virtio_blk", "libnvdimm", "nd_pmem", "virtio_pmem", "nfit"};

// Bump when the layout below changes.
constexpr int layout_version = 1;

struct Content {
    fs::path from = {};    // copied from here, decompressed and stripped when a module
    std::string text = {}; // or this
    std::string link = {}; // or a symbolic link to this
    mode_t mode = 0644;
    bool module = false;
    bool strip = false; // of debug information
};
using Tree = std::map<std::string, Content>; // by path without leading slash

std::string without_slash(const std::string &path)
{
    return path.starts_with('/') ? path.substr(1) : path;
}

// Debug information and BTF are a large part of a module and cost time at each boot; the
// signature goes with them (the kernel then calls itself tainted, as with any foreign module).
std::string stripped(const std::string &elf, bool module)
{
    const TempDir dir;
    const auto file = dir.path() / "file";
    write_file(file, elf);
    Argv argv{"objcopy", "--strip-debug"};
    if (module)
        argv.insert(argv.end(), {"-R", ".BTF", "-R", ".BTF.ext", "-R", ".BTF.base"});
    argv.push_back(file.string());
    run_checked(argv);
    return read_file(file);
}

std::string bytes_of(const Content &content)
{
    if (content.from.empty())
        return content.text;
    if (content.module)
        return stripped(read_decompressed(content.from), true);
    return content.strip ? stripped(read_file(content.from), false) : read_file(content.from);
}

void add_program(Tree &tree, const std::string &as, const fs::path &program)
{
    tree[as] = {.from = program, .mode = 0755, .strip = true};
    for (const auto &library : library_closure(program))
        tree[without_slash(library.string())] = {.from = fs::canonical(library), .mode = 0755, .strip = true};
}

void add_busybox(Tree &tree)
{
    const auto busybox = find_program("busybox");
    if (!busybox)
        throw std::runtime_error(
            "expected busybox for the guest, it is not here: apt-get install busybox-static");
    add_program(tree, "bin/busybox", *busybox);
    std::istringstream names(run_checked({busybox->string(), "--list"}).out);
    for (std::string name; std::getline(names, name);)
        if (!name.empty() && name != "busybox")
            tree["bin/" + name] = {.link = "busybox"};
}

// Adds the modules' files and gives their paths in the guest, in load order.
std::vector<std::string> add_modules(Tree &tree, const Kernel &kernel, const KernelModules &modules,
                                     const std::vector<std::string> &names)
{
    std::vector<std::string> paths;
    for (const auto &file : modules.load_order(names)) {
        const auto path = "lib/modules/" + module_name(file) + ".ko";
        tree[path] = {.from = kernel.modules_dir / file, .module = true};
        paths.push_back("/" + path);
    }
    return paths;
}

std::vector<std::string> split(const std::string &text, char separator)
{
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);)
        if (part.find_first_not_of(" \n") != std::string::npos)
            parts.push_back(part.substr(0, part.find_last_not_of(" \n") + 1));
    return parts;
}

std::vector<std::string> add_external(Tree &tree, const Kernel &kernel, const KernelModules &modules,
                                      const std::string &name, const fs::path &file)
{
    if (!fs::exists(file))
        throw std::runtime_error(fmt::format(
            "expected the kernel module {}, there is no such file: build it first (./run-bench does)",
            file.string()));
    const auto needs = split(run_checked({"modinfo", "-F", "depends", file.string()}).out, ',');
    auto paths = add_modules(tree, kernel, modules, needs);
    const auto path = fmt::format("lib/modules/{}.ko", name);
    tree[path] = {.from = file, .module = true};
    paths.push_back("/" + path);
    return paths;
}

Tree make_tree(const InitramfsSpec &spec)
{
    const KernelModules known(spec.kernel.modules_dir);
    Tree tree;
    if (!fs::exists(spec.agent))
        throw std::runtime_error(
            fmt::format("expected the guest's agent at {}, there is no such file: build it (ninja -C build)",
                        spec.agent.string()));
    add_program(tree, "init", spec.agent);
    add_busybox(tree);
    for (const auto &[path, program] : spec.programs)
        add_program(tree, path, program);
    auto base = needed_modules;
    for (const auto &name : device_modules)
        if (known.has(name))
            base.push_back(name);
    json config;
    config["base_modules"] = add_modules(tree, spec.kernel, known, base);
    config["modules"] = json::object();
    for (const auto &[name, modules] : spec.modules)
        config["modules"][name] = add_modules(tree, spec.kernel, known, modules);
    for (const auto &[name, file] : spec.external_modules)
        config["modules"][name] = add_external(tree, spec.kernel, known, name, file);
    tree["etc/daxbench.json"] = {.text = config.dump(2) + "\n"};
    return tree;
}

// All that decides the archive's bytes, cheaply: files by path, size and time.
std::string fingerprint(const Tree &tree)
{
    std::string text = fmt::format("layout {}\n", layout_version);
    for (const auto &[path, content] : tree) {
        text += fmt::format("{} {:o} {} {}\n", path, content.mode, content.link, content.text);
        struct stat info = {};
        if (!content.from.empty() && stat(content.from.c_str(), &info) == 0)
            text += fmt::format("{} {} {}.{:09}\n", content.from.string(), info.st_size, info.st_mtim.tv_sec,
                                info.st_mtim.tv_nsec);
    }
    return xxh3_text(text);
}

using EntryPtr = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

EntryPtr new_entry(const std::string &path, mode_t type, mode_t mode)
{
    EntryPtr entry(archive_entry_new(), archive_entry_free);
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_filetype(entry.get(), type);
    archive_entry_set_perm(entry.get(), mode);
    archive_entry_set_nlink(entry.get(), 1);
    archive_entry_set_mtime(entry.get(), 0, 0);
    archive_entry_set_size(entry.get(), 0);
    return entry;
}

class NewcWriter {
public:
    explicit NewcWriter(const fs::path &path) : archive_(archive_write_new(), archive_write_free), path_(path)
    {
        archive_write_set_format_cpio_newc(archive_.get());
        archive_write_add_filter_none(archive_.get());
        check(archive_write_open_filename(archive_.get(), path.c_str()));
    }

    void folder(const std::string &path)
    {
        const auto entry = new_entry(path, AE_IFDIR, 0755);
        check(archive_write_header(archive_.get(), entry.get()));
    }

    void add(const std::string &path, const Content &content)
    {
        const auto bytes = content.link.empty() ? bytes_of(content) : std::string();
        const auto entry = new_entry(path, content.link.empty() ? AE_IFREG : AE_IFLNK,
                                     content.link.empty() ? content.mode : 0777);
        if (content.link.empty())
            archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
        else
            archive_entry_set_symlink(entry.get(), content.link.c_str());
        check(archive_write_header(archive_.get(), entry.get()));
        if (!bytes.empty() && archive_write_data(archive_.get(), bytes.data(), bytes.size()) !=
                                  static_cast<la_ssize_t>(bytes.size()))
            check(ARCHIVE_FATAL);
    }

    void close() { check(archive_write_close(archive_.get())); }

private:
    void check(int result)
    {
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            throw std::runtime_error(fmt::format("expected to write {}, got: {}", path_.string(),
                                                 archive_error_string(archive_.get())));
    }

    std::unique_ptr<archive, decltype(&archive_write_free)> archive_;
    fs::path path_;
};

void write_archive(const Tree &tree, const fs::path &path)
{
    std::set<std::string> folders{"dev", "proc", "sys", "tmp", "mnt", "tools"};
    for (const auto &[name, content] : tree)
        for (auto dir = fs::path(name).parent_path(); !dir.empty(); dir = dir.parent_path())
            folders.insert(dir.string());
    NewcWriter writer(path);
    for (const auto &folder : folders) // sorted, so parents come first
        writer.folder(folder);
    for (const auto &[name, content] : tree)
        writer.add(name, content);
    writer.close();
}

} // namespace

fs::path ensure_initramfs(const InitramfsSpec &spec)
{
    const auto tree = make_tree(spec);
    const auto dir = Cache::entry("initramfs", fingerprint(tree), [&](const fs::path &aside) {
        write_archive(tree, aside / "initramfs.cpio");
    });
    return dir / "initramfs.cpio";
}

} // namespace daxbench
