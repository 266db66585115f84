// SPDX-License-Identifier: Apache-2.0
#include "source_kernel.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "cache.hpp"
#include "debian_mirrors.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view debug_suffix = "-debug";
constexpr std::string_view release_option = "CONFIG_LOCALVERSION=";

fs::path kernels_root()
{
    return Cache::root() / "source-kernels";
}

// Of the tree whose setup/kernels this is.
fs::path patches_folder(const fs::path &configs, const std::string &patches)
{
    return configs.parent_path().parent_path() / "upstream" / patches;
}

fs::path config_file(const fs::path &configs, const std::string &name)
{
    return configs / (name + ".config");
}

std::vector<fs::path> patch_files(const fs::path &folder)
{
    std::vector<fs::path> files;
    if (fs::is_directory(folder))
        for (const auto &file : fs::directory_iterator(folder))
            if (file.path().extension() == ".patch")
                files.push_back(file.path());
    if (files.empty())
        throw std::runtime_error(fmt::format(
            "expected a kernel's name to end in +FOLDER with a folder of patches, {} is none: see {}",
            folder.string(), (folder.parent_path() / "README.md").string()));
    std::sort(files.begin(), files.end());
    return files;
}

// A release of its own, since modules are kept by it; and the patches' content, for who builds it anew.
std::string patched_configuration(const SourceKernelName &name, const fs::path &configs)
{
    std::string version = name.debug ? std::string(debug_suffix) : "";
    std::string lines;
    for (const auto &patches : name.patches) {
        version += "-" + patches;
        for (const auto &file : patch_files(patches_folder(configs, patches)))
            lines += fmt::format("# patch: {}/{} {}\n", patches, file.filename().string(), sha256_file(file));
    }
    return fmt::format("{}\"{}\"\n{}", release_option, version, lines);
}

std::string configuration(const SourceKernelName &name, const fs::path &configs)
{
    if (!fs::exists(config_file(configs, name.series)))
        throw std::runtime_error(
            fmt::format("expected a kernel series that {} has a configuration of, got {}: write {}",
                        configs.string(), name.series, config_file(configs, name.series).string()));
    auto text = read_file(config_file(configs, "base")) + read_file(config_file(configs, name.series));
    if (name.debug)
        text += read_file(config_file(configs, "debug"));
    if (name.patches.empty())
        return text;
    // debug.config names a release, too.
    for (auto at = text.find(release_option); at != std::string::npos; at = text.find(release_option))
        text.erase(at, text.find('\n', at) + 1 - at);
    return text + patched_configuration(name, configs);
}

std::string package_of(const std::string &series)
{
    return "linux-source-" + series;
}

// Which version of the source was fetched first: it stays until the cache is emptied.
fs::path version_file(const std::string &series)
{
    return kernels_root() / (series + ".version");
}

std::optional<std::string> fetched_version(const std::string &series)
{
    if (!fs::exists(version_file(series)))
        return std::nullopt;
    return read_file(version_file(series));
}

// apt for one suite of the machine's mirror, in a folder of its own; the machine's lists stay.
Argv private_apt(const fs::path &dir, const std::string &suite)
{
    std::string sources;
    for (const auto &line : mirrors_of_release(suite))
        sources += line + "\n";
    fs::create_directories(dir / "lists/partial");
    fs::create_directories(dir / "cache/archives/partial");
    write_file(dir / "sources.list", sources);
    const auto option = [](const std::string &key, const std::string &value) { return key + "=" + value; };
    return {"-q",
            "-o",
            option("Dir::Etc::sourcelist", (dir / "sources.list").string()),
            "-o",
            option("Dir::Etc::sourceparts", "/nonexistent"),
            "-o",
            option("Dir::State::lists", (dir / "lists").string()),
            "-o",
            option("Dir::Cache", (dir / "cache").string()),
            "-o",
            option("Debug::NoLocking", "1")};
}

Argv with(std::string program, std::string verb, const Argv &options, const std::string &package)
{
    Argv argv{std::move(program)};
    argv.insert(argv.end(), options.begin(), options.end());
    if (running_as_root()) // apt would drop to a user that cannot write into a private folder
        argv.insert(argv.end(), {"-o", "APT::Sandbox::User=root"});
    argv.push_back(std::move(verb));
    if (!package.empty())
        argv.push_back(package);
    return argv;
}

std::optional<std::string> candidate(const Argv &options, const std::string &package)
{
    auto argv = with("apt-cache", "show", options, "");
    argv.insert(argv.end(), {"--no-all-versions", package});
    std::istringstream text(run_command(argv).out);
    for (std::string line; std::getline(text, line);)
        if (line.starts_with("Version: "))
            return line.substr(9);
    return std::nullopt;
}

// How to ask apt for the source: as the machine does, or by the suite the configuration names.
Argv apt_options_for(const std::string &series, const fs::path &configs, const fs::path &scratch,
                     const Progress &progress)
{
    const auto suite = suite_of_config(read_file(config_file(configs, series)));
    if (candidate({}, package_of(series)) || !suite)
        return {};
    progress(fmt::format("reading the package lists of {}", *suite));
    auto options = private_apt(scratch, *suite);
    run_checked(with("apt-get", "update", options, ""));
    return options;
}

// Fetches the newest source of a series and unpacks it.
std::string fetch_source(const std::string &series, const fs::path &configs, const Progress &progress)
{
    const TempDir scratch;
    const auto package = package_of(series);
    const auto options = apt_options_for(series, configs, scratch.path(), progress);
    const auto version = candidate(options, package);
    if (!version)
        throw std::runtime_error(
            fmt::format("expected the package {}, apt knows none: run `apt-get update`", package));
    Cache::entry("kernel-sources", package + "_" + *version, [&](const fs::path &aside) {
        progress(fmt::format("fetching {} {}", package, *version));
        run_checked(with("apt-get", "download", options, package), {.cwd = aside});
        const auto archive = fs::directory_iterator(aside)->path();
        run_checked({"dpkg-deb", "-x", archive.string(), (aside / "deb").string()});
        fs::remove(archive);
        progress("unpacking " + package);
        run_checked({"tar", "-xf", (aside / "deb/usr/src" / (package + ".tar.xz")).string()}, {.cwd = aside});
        remove_tree(aside / "deb");
    });
    write_file(version_file(series), *version);
    return *version;
}

fs::path write_config(const std::string &text, const TempDir &scratch)
{
    write_file(scratch.path() / "kernel.config", text);
    return scratch.path() / "kernel.config";
}

// The source with the patches in it: another folder, since builds of it are there to be kept.
fs::path patched_source(const fs::path &source, const std::string &version, const SourceKernelName &name,
                        const fs::path &configs, const Progress &progress)
{
    if (name.patches.empty())
        return source;
    const TempDir scratch;
    const auto hash = sha256_file(write_config(patched_configuration(name, configs), scratch)).substr(0, 16);
    return Cache::entry("patched-sources", fmt::format("{}_{}_{}", package_of(name.series), version, hash),
                        [&](const fs::path &aside) {
                            progress("patching " + package_of(name.series));
                            run_checked({"cp", "-a", source.string(), aside.string()});
                            for (const auto &patches : name.patches)
                                run_checked({(patches_folder(configs, "apply")).string(),
                                             patches_folder(configs, patches).string(),
                                             (aside / source.filename()).string()});
                        }) /
           source.filename();
}

fs::path build_dir(const std::string &version, const fs::path &config)
{
    return kernels_root() / fmt::format("{}_{}", version, sha256_file(config).substr(0, 16));
}

void require_tools()
{
    for (const auto *tool : {"flex", "bison", "bc", "make", "gcc", "xz"})
        if (!find_program(tool))
            throw std::runtime_error(
                fmt::format("expected {0} to build a kernel, it is not here: apt-get install {0}", tool));
}

void make_kernel(const fs::path &dir, const fs::path &source, const SourceKernelName &name,
                 const std::string &wanted, const Progress &progress)
{
    require_tools();
    const auto out = dir / "build";
    const std::string cc = find_program("ccache") ? "ccache gcc" : "gcc";
    const auto make = [&](const Argv &targets) {
        Argv argv{"make", "-C", source.string(), "O=" + out.string(), "CC=" + cc, "HOSTCC=" + cc};
        argv.insert(argv.end(), targets.begin(), targets.end());
        run_checked(argv, {.log = dir / "build.log"});
    };
    fs::create_directories(out);
    write_file(dir / "kernel.config", wanted);
    make({"KCONFIG_ALLCONFIG=" + (dir / "kernel.config").string(), "allnoconfig"});
    // An option that its dependencies turned off is a feature, or a check, that is not there.
    if (const auto lost = lost_options(wanted, read_file(out / ".config")); !lost.empty())
        throw std::runtime_error("expected in the kernel's configuration: " + lost);
    progress(fmt::format("building Linux {} ({}), once; what it says is in {}", name.series,
                         name.debug ? "with its checkers, an hour on two cores"
                                    : "up to half an hour on two cores",
                         (dir / "build.log").string()));
    make({fmt::format("-j{}", std::max(1U, std::thread::hardware_concurrency())), "vmlinux", "modules"});
    remove_tree(dir / "root");
    make({"INSTALL_MOD_PATH=" + (dir / "root").string(), "modules_install"});
    run_checked({"objcopy", "--strip-debug", (out / "vmlinux").string(), (dir / "vmlinux").string()});
}

std::string first_line(const std::string &text)
{
    return text.substr(0, text.find('\n'));
}

Kernel kernel_in(const fs::path &dir, const std::string &series, const std::string &version)
{
    Kernel kernel;
    kernel.release = first_line(read_file(dir / "build/include/config/kernel.release"));
    kernel.package = package_of(series);
    kernel.version = version;
    kernel.vmlinuz = dir / "vmlinux";
    kernel.vmlinux = dir / "vmlinux";
    kernel.config = dir / "build/.config";
    kernel.modules_dir = dir / "root/lib/modules" / kernel.release;
    kernel.headers_dir = dir / "build";
    return kernel;
}

// Written last: a folder with it is complete. A kernel is built where it stays, since its makefiles
// know that folder.
constexpr const char *done = "done";

} // namespace

SourceKernelName source_kernel_name(std::string_view name)
{
    SourceKernelName parsed;
    auto series = name.substr(0, name.find('+'));
    for (auto rest = name.substr(series.size()); !rest.empty();) {
        rest.remove_prefix(1);
        const auto patches = rest.substr(0, rest.find('+'));
        parsed.patches.emplace_back(patches);
        rest.remove_prefix(patches.size());
    }
    parsed.debug = series.ends_with(debug_suffix);
    if (parsed.debug)
        series.remove_suffix(debug_suffix.size());
    parsed.series = series;
    return parsed;
}

std::vector<std::string> source_kernel_names(const fs::path &configs)
{
    std::vector<std::string> names;
    for (const auto &file : fs::directory_iterator(configs)) {
        const auto series = file.path().stem().string();
        if (file.path().extension() == ".config" && series != "base" && series != "debug")
            names.insert(names.end(), {series, series + std::string(debug_suffix)});
    }
    std::sort(names.begin(), names.end());
    return names;
}

bool has_source_kernel(const SourceKernelName &name, const fs::path &configs)
{
    const TempDir scratch;
    const auto config = write_config(configuration(name, configs), scratch);
    const auto version = fetched_version(name.series);
    return version && fs::exists(build_dir(*version, config) / done);
}

Kernel source_kernel(const SourceKernelName &name, const fs::path &configs, const Progress &progress)
{
    const auto wanted = configuration(name, configs);
    fs::create_directories(kernels_root());
    const FileLock lock(kernels_root() / ("." + name.series + ".lock"));
    const auto known = fetched_version(name.series);
    const auto version = known && Cache::has("kernel-sources", package_of(name.series) + "_" + *known)
                             ? *known
                             : fetch_source(name.series, configs, progress);
    const TempDir scratch;
    const auto dir = build_dir(version, write_config(wanted, scratch));
    if (!fs::exists(dir / done)) {
        const auto package = package_of(name.series);
        const auto stock = Cache::path("kernel-sources", package + "_" + version) / package;
        make_kernel(dir, patched_source(stock, version, name, configs, progress), name, wanted, progress);
        write_file(dir / done, "");
    }
    return kernel_in(dir, name.series, version);
}

Kernel named_kernel(std::string_view name, const fs::path &configs, const Progress &progress)
{
    const auto source = source_kernel_name(name);
    const auto config = config_file(configs, source.series);
    if (source.debug || !source.patches.empty() || (fs::exists(config) && suite_of_config(read_file(config))))
        return source_kernel(source, configs, progress);
    return fetch_debian_kernel(name, progress);
}

std::optional<std::string> suite_of_config(std::string_view config)
{
    constexpr std::string_view key = "# suite: ";
    const auto at = config.find(key);
    if (at == std::string_view::npos)
        return std::nullopt;
    const auto from = at + key.size();
    return std::string(config.substr(from, config.find('\n', from) - from));
}

std::string lost_options(std::string_view wanted, std::string_view config)
{
    std::set<std::string> have;
    std::istringstream lines{std::string(config)};
    for (std::string line; std::getline(lines, line);)
        have.insert(line);
    std::string lost;
    std::istringstream options{std::string(wanted)};
    for (std::string line; std::getline(options, line);)
        if (line.starts_with("CONFIG_") && !have.contains(line))
            lost += (lost.empty() ? "" : ", ") + line;
    return lost;
}

} // namespace daxbench
