// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <regex>

#include <fmt/format.h>

#include "cache.hpp"
#include "debian_mirrors.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

constexpr int launcher_version = 2; // of what write_launcher() writes

bool new_enough(const fs::path &program, const ProgramSpec &spec)
{
    const auto result = run_command({program.string(), "--version"});
    const auto version = version_in(result.out + result.err);
    return result.ok() && !version.empty() &&
           run_command({"dpkg", "--compare-versions", version, "ge", spec.at_least}).ok();
}

// Names compare up to their end or, with "*" at the end, up to there.
fs::path find_below(const fs::path &root, std::string_view name)
{
    const bool open_end = name.ends_with('*');
    const auto start = name.substr(0, name.size() - (open_end ? 1 : 0));
    const auto fits = [&](const std::string &found) {
        return open_end ? found.starts_with(start) : found == start;
    };
    for (const auto &entry :
         fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied))
        if (entry.is_regular_file() && fits(entry.path().filename().string()))
            return entry.path();
    throw std::runtime_error(fmt::format("expected {} among the unpacked packages below {}, it is not there",
                                         name, root.string()));
}

void unpack(const ProgramSpec &spec, const fs::path &root)
{
    Argv argv{"mmdebstrap", running_as_root() ? "--mode=root" : "--mode=auto", "--variant=extract",
              "--include=" + spec.package,
              // A mirror may be a snapshot of some weeks ago; who signed it counts all the same.
              "--aptopt=Acquire::Check-Valid-Until \"false\""};
    for (auto &option : own_apt_options())
        argv.push_back(std::move(option));
    argv.insert(argv.end(), {spec.release, root.string()});
    for (auto &source : mirrors_of_release(spec.release))
        argv.push_back(std::move(source));
    run_checked(argv, {.timeout = Seconds(600), .log = Cache::root() / "mmdebstrap.log"});
}

// The other release's libc wants its own loader and libraries. Called by its full path; whatever else
// it started would be measured, too.
void write_launcher(const std::string &name, const fs::path &dir)
{
    const auto root = dir / "root";
    const auto loader = fs::relative(find_below(root, "ld-linux*"), dir);
    const auto libraries = fs::relative(find_below(root, "libc.so.6").parent_path(), dir);
    const auto program = fs::relative(find_below(root, name), dir);
    const auto launcher = dir / name;
    write_file(launcher, fmt::format("#!/bin/sh\n"
                                     "here=${{0%/*}}\n"
                                     "exec \"$here/{}\" --library-path \"$here/{}\" "
                                     "\"$here/{}\" \"$@\"\n",
                                     loader.string(), libraries.string(), program.string()));
    fs::permissions(launcher, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                  fs::perms::others_read | fs::perms::others_exec);
}

} // namespace

std::string version_in(std::string_view text)
{
    static const std::regex pattern("[0-9]+(\\.[0-9]+)+");
    std::cmatch match;
    return std::regex_search(text.data(), text.data() + text.size(), match, pattern) ? match.str() : "";
}

fs::path ensure_program(const ProgramSpec &spec, const Progress &progress)
{
    if (const auto own = find_program(spec.name); own && new_enough(*own, spec))
        return *own;
    std::vector<std::string> names{spec.name};
    names.insert(names.end(), spec.also.begin(), spec.also.end());
    const auto key = fmt::format("{}-{}-{}-{}-{}", spec.package, spec.at_least, spec.release,
                                 fmt::join(names, "+"), launcher_version);
    const auto dir = Cache::entry("programs", key, [&](const fs::path &aside) {
        progress(fmt::format("fetching {} of Debian {}", spec.package, spec.release));
        unpack(spec, aside / "root");
        for (const auto &name : names)
            write_launcher(name, aside);
    });
    const auto program = dir / spec.name;
    if (!new_enough(program, spec))
        throw std::runtime_error(fmt::format("expected {} {} or newer, Debian {} has an older one", spec.name,
                                             spec.at_least, spec.release));
    return program;
}

} // namespace daxbench
