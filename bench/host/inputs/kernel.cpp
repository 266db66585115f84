// SPDX-License-Identifier: Apache-2.0
#include "kernel.hpp"

#include <algorithm>
#include <regex>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cache.hpp"
#include "kernel_modules.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::vector<std::string> lines_of(std::string_view text)
{
    std::vector<std::string> lines;
    for (std::size_t from = 0; from < text.size();) {
        const auto to = std::min(text.find('\n', from), text.size());
        lines.emplace_back(text.substr(from, to - from));
        from = to + 1;
    }
    return lines;
}

// "6.12" matches "6.12.117+deb12-amd64" and not "6.120.1-amd64".
bool release_matches(std::string_view release, std::string_view pattern)
{
    if (!release.starts_with(pattern))
        return false;
    return release.size() == pattern.size() || pattern.empty() ||
           std::string_view(".+-").find(release[pattern.size()]) != std::string_view::npos;
}

std::string architecture()
{
    auto text = run_checked({"dpkg", "--print-architecture"}).out;
    text.erase(std::find(text.begin(), text.end(), '\n'), text.end());
    return text;
}

// `apt-cache depends NAME`, or "" when there is no such package.
std::string depends_of(const std::string &package)
{
    const auto result = run_command({"apt-cache", "depends", "--no-recommends", "--no-suggests", package});
    return result.ok() ? result.out : std::string();
}

std::optional<std::string> release_by_meta_package(const std::string &meta, std::string_view pattern)
{
    for (const auto &name : dependencies_matching(depends_of(meta), "linux-image-[0-9].*"))
        if (const auto release = release_of_image_package(name);
            release && release_matches(*release, pattern))
            return release;
    return std::nullopt;
}

std::optional<std::string> newest_release_by_name(std::string_view pattern, const std::string &arch)
{
    std::vector<std::string> releases;
    for (const auto &name : lines_of(run_checked({"apt-cache", "pkgnames", "linux-image-"}).out))
        if (const auto release = release_of_image_package(name);
            release && release_matches(*release, pattern) && release->ends_with("-" + arch) &&
            std::count(release->begin(), release->end(), '-') <= 2)
            releases.push_back(*release);
    // dpkg's own order of versions, so that 6.12.117 comes after 6.12.63.
    std::optional<std::string> best;
    for (const auto &release : releases)
        if (!best || run_command({"dpkg", "--compare-versions", release, "gt", *best}).ok())
            best = release;
    return best;
}

std::optional<std::string> find_release(std::string_view pattern, const std::string &arch)
{
    if (!pattern.empty())
        if (auto release = release_by_meta_package(fmt::format("linux-image-{}-{}", pattern, arch), pattern))
            return release;
    if (auto release = release_by_meta_package("linux-image-" + arch, pattern))
        return release;
    return newest_release_by_name(pattern, arch);
}

std::string require_release(std::string_view pattern, const std::string &arch, const Progress &progress)
{
    if (!find_program("apt-get") || !find_program("dpkg-deb"))
        throw std::runtime_error(
            "expected a Debian kernel, but there is no apt-get here: give a kernel of your own with "
            "--kernel VMLINUZ --modules DIR --headers DIR");
    if (auto release = find_release(pattern, arch))
        return *release;
    if (running_as_root()) {
        progress("reading the package lists (apt-get update)");
        run_checked({"apt-get", "update"});
        if (auto release = find_release(pattern, arch))
            return *release;
    }
    throw std::runtime_error(
        fmt::format("expected a package linux-image-{}… for {}, but apt knows none: run `apt-get update`, or "
                    "give a kernel of your own with --kernel VMLINUZ --modules DIR --headers DIR",
                    pattern, arch));
}

// Headers need the common headers of their version and kbuild; the image and compiler packages
// they also depend on are not wanted.
std::vector<std::string> headers_packages(const std::string &release)
{
    const auto headers = "linux-headers-" + release;
    auto packages = dependencies_matching(depends_of(headers), "linux-headers-.*-common|linux-kbuild-.*");
    if (packages.size() < 2)
        throw std::runtime_error(
            fmt::format("expected {} with its common headers and linux-kbuild, got {} of them from apt: run "
                        "`apt-get update`",
                        headers, packages.size()));
    packages.insert(packages.begin(), headers);
    return packages;
}

std::string candidate_version(const std::string &package)
{
    const auto text = run_checked({"apt-cache", "show", "--no-all-versions", package}).out;
    for (const auto &line : lines_of(text))
        if (line.starts_with("Version: "))
            return line.substr(9);
    return "unknown";
}

// Debian is moving /lib into /usr/lib; depmod and we want to find the modules under both names.
void make_both_names(const fs::path &root)
{
    if (!fs::exists(root / "lib") && fs::exists(root / "usr/lib/modules"))
        fs::create_directory_symlink("usr/lib", root / "lib");
    if (!fs::exists(root / "usr/lib/modules") && fs::exists(root / "lib/modules")) {
        fs::create_directories(root / "usr/lib");
        fs::create_directory_symlink("../../lib/modules", root / "usr/lib/modules");
    }
}

// Makes unpacked headers usable where they are. `final_root` is where `root` will be renamed to.
void relocate_headers(const fs::path &root, const fs::path &final_root, const std::string &release)
{
    const auto dir = root / "usr/src" / ("linux-headers-" + release);
    const auto makefile = dir / "Makefile";
    if (!fs::exists(makefile))
        throw std::runtime_error(
            fmt::format("expected {} in the headers package, it is not there", makefile.string()));
    write_file(makefile, relocated_makefile(read_file(makefile), final_root));
    // With it kbuild would generate BTF for our modules, which needs pahole; without it, not.
    fs::remove(dir / "vmlinux");
    for (const auto *name : {"scripts", "tools"})
        if (fs::is_symlink(dir / name) && !fs::exists(dir / name))
            throw std::runtime_error(
                fmt::format("expected {} to lead into linux-kbuild, but it leads to {}, which is not there",
                            (dir / name).string(), fs::read_symlink(dir / name).string()));
}

void remove_links_to_the_host(const fs::path &modules)
{
    fs::remove(modules / "build");
    fs::remove(modules / "source");
}

void write_vmlinux(const fs::path &vmlinuz, const fs::path &vmlinux)
{
    const auto elf = vmlinux_of_bzimage(read_file(vmlinuz), vmlinuz.string());
    if (!elf.empty())
        write_file(vmlinux, elf);
}

void make_kernel(const fs::path &dir, const fs::path &final_dir, const std::string &release,
                 const std::string &version, const Progress &progress)
{
    const auto root = dir / "root";
    auto packages = headers_packages(release);
    packages.insert(packages.begin(), "linux-image-" + release);
    unpack_debian_packages(packages, root, progress);
    make_both_names(root);
    remove_links_to_the_host(root / "lib/modules" / release);
    relocate_headers(root, final_dir / "root", release);
    progress("indexing the modules of " + release);
    run_checked({"depmod", "-b", root.string(), release});
    write_vmlinux(root / "boot" / ("vmlinuz-" + release), dir / "vmlinux");
    const json info = {{"release", release}, {"package", "linux-image-" + release}, {"version", version}};
    write_file(dir / "kernel.json", info.dump(2) + "\n");
}

fs::path existing_or_empty(const fs::path &path)
{
    return fs::exists(path) ? path : fs::path();
}

Kernel kernel_in(const fs::path &dir)
{
    const auto info = json::parse(read_file(dir / "kernel.json"));
    Kernel kernel;
    kernel.release = info.at("release");
    kernel.package = info.at("package");
    kernel.version = info.at("version");
    const auto root = dir / "root";
    kernel.vmlinuz = root / "boot" / ("vmlinuz-" + kernel.release);
    kernel.vmlinux = existing_or_empty(dir / "vmlinux");
    kernel.config = existing_or_empty(root / "boot" / ("config-" + kernel.release));
    kernel.modules_dir = root / "lib/modules" / kernel.release;
    kernel.headers_dir = root / "usr/src" / ("linux-headers-" + kernel.release);
    return kernel;
}

fs::path pointer_file(std::string_view kind, std::string_view pattern)
{
    return Cache::root() / kind /
           fmt::format("{}.current", pattern.empty() ? std::string_view("default") : pattern);
}

// The finished entry an earlier run chose for this pattern, or nothing.
std::optional<fs::path> chosen_before(std::string_view kind, std::string_view pattern)
{
    const auto pointer = pointer_file(kind, pattern);
    if (!fs::exists(pointer))
        return std::nullopt;
    const auto key = read_file(pointer);
    if (key.empty() || !Cache::has(kind, key))
        return std::nullopt;
    return Cache::path(kind, key);
}

fs::path modules_folder(const fs::path &given, const std::optional<std::string> &release)
{
    if (fs::exists(given / "modules.dep") || fs::exists(given / "modules.order"))
        return fs::canonical(given);
    for (const auto *below : {"lib/modules", "usr/lib/modules"}) {
        if (release && fs::is_directory(given / below / *release))
            return fs::canonical(given / below / *release);
        if (release || !fs::is_directory(given / below))
            continue;
        const auto all = fs::directory_iterator(given / below);
        const std::vector<fs::path> found(begin(all), end(all));
        if (found.size() == 1)
            return fs::canonical(found[0]);
    }
    throw std::runtime_error(fmt::format(
        "expected --modules to be …/lib/modules/{0} or a folder that holds lib/modules/{0}, got {1}",
        release.value_or("RELEASE"), given.string()));
}

} // namespace

void unpack_debian_packages(const std::vector<std::string> &packages, const fs::path &root,
                            const Progress &progress)
{
    const TempDir downloads(root.parent_path());
    progress("fetching " + fmt::format("{}", fmt::join(packages, ", ")));
    Argv argv{"apt-get", "-q", "download"};
    if (running_as_root()) // apt would drop to a user that cannot write into a private folder
        argv.insert(argv.begin() + 1, {"-o", "APT::Sandbox::User=root"});
    argv.insert(argv.end(), packages.begin(), packages.end());
    run_checked(argv, {.cwd = downloads.path()});
    fs::create_directories(root);
    for (const auto &file : fs::directory_iterator(downloads.path()))
        if (file.path().extension() == ".deb")
            run_checked({"dpkg-deb", "-x", file.path().string(), root.string()});
}

Kernel fetch_debian_kernel(std::string_view pattern, const Progress &progress)
{
    constexpr std::string_view kind = "kernels";
    if (const auto dir = chosen_before(kind, pattern))
        return kernel_in(*dir);
    const auto arch = architecture();
    const auto release = require_release(pattern, arch, progress);
    const auto version = candidate_version("linux-image-" + release);
    const auto key = fmt::format("{}_{}", release, version);
    const auto dir = Cache::entry(kind, key, [&](const fs::path &aside) {
        make_kernel(aside, Cache::path(kind, key), release, version, progress);
    });
    write_file(pointer_file(kind, pattern), key);
    return kernel_in(dir);
}

Kernel user_kernel(const fs::path &vmlinuz, const fs::path &modules, const fs::path &headers)
{
    if (!fs::is_regular_file(vmlinuz))
        throw std::runtime_error(
            fmt::format("expected a kernel image at {}, there is no such file", vmlinuz.string()));
    if (modules.empty())
        throw std::runtime_error(
            "expected --modules with --kernel: the folder lib/modules/RELEASE of that kernel");
    Kernel kernel;
    kernel.vmlinuz = fs::canonical(vmlinuz);
    const auto release = release_of_bzimage(kernel.vmlinuz);
    kernel.modules_dir = modules_folder(modules, release);
    kernel.release = release.value_or(kernel.modules_dir.filename().string());
    kernel.config = existing_or_empty(kernel.vmlinuz.parent_path() / ("config-" + kernel.release));
    static_cast<void>(KernelModules(kernel.modules_dir)); // throws where depmod has not been
    if (!headers.empty() && !fs::exists(headers / "Makefile"))
        throw std::runtime_error(
            fmt::format("expected kernel headers with a Makefile at {}, there is none", headers.string()));
    if (!headers.empty())
        kernel.headers_dir = fs::canonical(headers);
    const auto dir = Cache::entry("vmlinux", xxh3_file(kernel.vmlinuz), [&](const fs::path &aside) {
        write_vmlinux(kernel.vmlinuz, aside / "vmlinux");
    });
    kernel.vmlinux = existing_or_empty(dir / "vmlinux");
    return kernel;
}

std::vector<std::string> dependencies_matching(std::string_view depends, const std::string &regex)
{
    // `apt-cache depends` gives "  Depends: NAME" or " |Depends: NAME" (an alternative, of which
    // the first counts); a control field gives "NAME (>= 1), NAME | NAME".
    const std::regex wanted(regex, std::regex::extended);
    const std::regex name_pattern("[a-z0-9][a-z0-9+.-]+");
    std::vector<std::string> names;
    for (auto line : lines_of(depends)) {
        if (const auto at = line.find("Depends:"); at != std::string::npos)
            line.erase(0, at + 8);
        for (std::size_t from = 0; from < line.size();) {
            const auto to = std::min(line.find(',', from), line.size());
            const auto item = line.substr(from, to - from);
            std::smatch match;
            if (std::regex_search(item, match, name_pattern)) {
                const auto name = match.str();
                if (std::regex_match(name, wanted) &&
                    std::find(names.begin(), names.end(), name) == names.end())
                    names.push_back(name);
            }
            from = to + 1;
        }
    }
    return names;
}

std::optional<std::string> release_of_image_package(std::string_view package)
{
    constexpr std::string_view prefix = "linux-image-";
    if (!package.starts_with(prefix))
        return std::nullopt;
    const std::string release(package.substr(prefix.size()));
    // Meta packages have no third number: linux-image-6.12-amd64.
    static const std::regex real("[0-9]+\\.[0-9]+\\.[0-9]+.*", std::regex::extended);
    if (!std::regex_match(release, real))
        return std::nullopt;
    for (const std::string_view suffix : {"-unsigned", "-dbg", "-dbgsym"})
        if (release.ends_with(suffix))
            return std::nullopt;
    return release;
}

std::string relocated_makefile(std::string_view makefile, const fs::path &root)
{
    return std::regex_replace(std::string(makefile), std::regex("(^|\n)(include[ \t]+)/usr/src/"),
                              "$1$2" + root.string() + "/usr/src/");
}

} // namespace daxbench
