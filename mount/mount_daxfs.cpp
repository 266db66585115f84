// SPDX-License-Identifier: Apache-2.0
#include "mount_daxfs.hpp"

#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "buffer.hpp"
#include "error.hpp"
#include "new_mount.hpp"
#include "options.hpp"

namespace daxfs {

namespace {

constexpr int wrong_usage = 1, system_failed = 2, not_mounted = 32;

struct CommandLine {
    std::string source;
    std::string target;
    std::vector<std::string> options;
    bool sloppy = false;
    bool fake = false;
    bool verbose = false;
    bool ignored = false;
    std::string type;
};

void declare(CLI::App &app, CommandLine &line)
{
    app.add_option("SOURCE", line.source, "pmem device, /dev/daxX.Y, or any word")->required();
    app.add_option("DIR", line.target, "where to mount")->required();
    app.add_option("-o", line.options,
                   "options: the module's and mount(8)'s, and dmabuf-heap=NAME, dmabuf-drm=DEVICE or "
                   "udmabuf with image=FILE, and dmabuf=FD")
        ->allow_extra_args(false);
    app.add_flag("-s", line.sloppy, "pass over unknown options");
    app.add_flag("-f", line.fake, "do all but mount");
    app.add_flag("-v", line.verbose, "print what the kernel remarks");
    // What mount(8) may add and what has no meaning here.
    app.add_flag("-n,-r", line.ignored, "ignored");
    app.add_option("-t", line.type, "ignored");
    app.set_version_flag("-V,--version", std::string("mount.daxfs ") + DAXFS_TOOLS_VERSION);
}

void run(const CommandLine &line, std::ostream &out)
{
    MountRequest request;
    request.source = line.source;
    request.target = line.target;
    request.sloppy = line.sloppy;
    request.fake = line.fake;
    for (const auto &list : line.options)
        parse_options(list, request.options);
    check_options(request.options);
    resolve_device_dax(request.source, request.options);
    UniqueFd buffer;
    if (request.options.exporter != Exporter::none)
        buffer = make_buffer(request.options);
    request.dmabuf = buffer ? buffer.get() : request.options.dmabuf;
    const auto remarks = mount_daxfs(request);
    if (line.verbose)
        out << remarks;
}

} // namespace

int mount_daxfs_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err)
{
    CommandLine line;
    CLI::App app("Mount a DAXFS image.", "mount.daxfs");
    declare(app, line);
    const auto say = [&](const char *what) {
        err << "mount.daxfs: " << printable(line.target) << ": " << what << '\n';
    };
    try {
        app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
        run(line, out);
        return 0;
    } catch (const CLI::Success &asked) {
        return end_as_asked(app, asked, out, err, system_failed);
    } catch (const CLI::ParseError &wrong) {
        err << "mount.daxfs: " << wrong.what() << " (mount.daxfs --help tells more)\n";
        return wrong_usage;
    } catch (const std::invalid_argument &wrong) {
        say(wrong.what());
        return wrong_usage;
    } catch (const MountRefused &refused) {
        say(refused.what());
        return not_mounted;
    } catch (const std::bad_alloc &) {
        say("out of memory");
        return system_failed;
    } catch (const std::exception &failure) {
        say(failure.what());
        return system_failed;
    }
}

} // namespace daxfs
