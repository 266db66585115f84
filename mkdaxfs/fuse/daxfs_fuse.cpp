// SPDX-License-Identifier: Apache-2.0
#include "daxfs_fuse.hpp"

#include <algorithm>
#include <cstdarg>
#include <filesystem>
#include <memory>
#include <ostream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "error.hpp"
#include "operations.hpp"
#include "options.hpp"

namespace daxfs {

namespace {

namespace fs = std::filesystem;

struct Options {
    std::string image;
    std::string mount_point;
    std::vector<std::string> mount_options;
    bool foreground = false;
    bool debug = false;
};

std::string said; // by libfuse, since it was cleared

void hear(fuse_log_level level, const char *format, va_list args)
{
    char text[1024];
    std::vsnprintf(text, sizeof(text), format, args);
    if (level == FUSE_LOG_DEBUG)
        std::fputs(text, stderr);
    else
        said += text;
}

// What libfuse said, as the end of one line.
std::string reason()
{
    std::string text = said;
    if (text.starts_with("fuse: "))
        text.erase(0, 6);
    text.erase(text.find_last_not_of('\n') + 1);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text.empty() ? "see the line above" : text;
}

// Does one of these decide that users other than the one who mounts are to be kept out of files?
bool checks_access(const std::vector<std::string> &options)
{
    for (const std::string &list : options) {
        std::istringstream names(list);
        for (std::string name; std::getline(names, name, ',');) {
            if (name == "allow_other" || name == "allow_root" || name == "default_permissions")
                return true;
        }
    }
    return false;
}

// Arguments as libfuse takes and frees them.
class Arguments {
public:
    Arguments() { add("daxfs-fuse"); }
    Arguments(const Arguments &) = delete;
    Arguments &operator=(const Arguments &) = delete;
    ~Arguments() { fuse_opt_free_args(&args_); }

    void add(const std::string &arg)
    {
        if (fuse_opt_add_arg(&args_, arg.c_str()) != 0)
            throw std::bad_alloc();
    }
    void add_option(const std::string &option)
    {
        add("-o");
        add(option);
    }
    fuse_args *get() { return &args_; }

private:
    fuse_args args_ = FUSE_ARGS_INIT(0, nullptr);
};

// A comma ends an option.
std::string escaped(const std::string &value)
{
    std::string text;
    for (const char c : value) {
        if (c == ',' || c == '\\')
            text += '\\';
        text += c;
    }
    return text;
}

void add_options(const Options &options, bool checks_access, Arguments &args)
{
    args.add_option("fsname=" + escaped(fs::absolute(options.image).string()) + ",subtype=daxfs");
    for (const std::string &list : options.mount_options)
        args.add_option(list);
    if (options.debug)
        args.add_option("debug");
    // Last: mount(8) says rw unless it is told.
    args.add_option(checks_access ? "default_permissions,ro" : "ro");
}

// The kernel, and unmounting at the end, need a path that is right in any working directory.
std::string mount_point(const std::string &path)
{
    std::error_code error;
    const fs::path full = fs::canonical(path, error);
    if (error)
        throw system_failure(error.value(), "cannot mount on " + printable(path));
    if (!fs::is_directory(full))
        throw std::runtime_error("expected a directory to mount on, got " + printable(path));
    return full.string();
}

using SessionPointer = std::unique_ptr<fuse_session, void (*)(fuse_session *)>;

struct Unmount {
    fuse_session *session;
    ~Unmount()
    {
        fuse_remove_signal_handlers(session);
        fuse_session_unmount(session);
    }
};

void serve(const Options &options, std::ostream &err)
{
    const std::string where = mount_point(options.mount_point);
    const ImageReader reader(options.image);
    const std::string name = printable(options.image);
    if (const auto mode = reader.inode(DAXFS_ROOT_INO).mode; !S_ISDIR(mode))
        throw ImageError(fmt::format("inode 1: bad mode: {:#x}: the root is no directory", mode), name);
    Session data = {ImageFiles(reader,
                               [&](const std::string &line) {
                                   err << "daxfs-fuse: " << name << ": " << line << std::endl;
                               }),
                    checks_access(options.mount_options)};
    Arguments args;
    add_options(options, data.checks_access, args);
    fuse_set_log_func(hear);
    said.clear();
    const SessionPointer session(fuse_session_new(args.get(), &operations, sizeof(operations), &data),
                                 fuse_session_destroy);
    if (!session)
        throw std::runtime_error("cannot mount: " + reason());
    if (fuse_set_signal_handlers(session.get()) != 0)
        throw std::runtime_error("cannot mount: no handlers for signals");
    const Unmount at_end{session.get()};
    if (fuse_session_mount(session.get(), where.c_str()) != 0)
        throw std::runtime_error(fmt::format("cannot mount on {}: {}", printable(where), reason()));
    if (fuse_daemonize(options.foreground) != 0)
        throw std::runtime_error("cannot go into the background");
    // A signal, which it gives as a positive number, and an unmount end it well.
    if (const int result = fuse_session_loop(session.get()); result < 0)
        throw system_failure(-result, "cannot go on serving " + name);
}

} // namespace

int daxfs_fuse_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err)
{
    Options options;
    CLI::App app("Mount a DAXFS image through FUSE: to look into it without the module and without root.",
                 "daxfs-fuse");
    app.add_option("IMAGE", options.image, "image file or device")->required();
    app.add_option("DIR", options.mount_point, "directory to mount on")->required();
    app.add_option("-o", options.mount_options, "mount options, separated by commas; see mount.fuse3(8)")
        ->type_name("OPTIONS")
        ->allow_extra_args(false);
    app.add_flag("-f,--foreground", options.foreground, "stay, and print what is wrong with the image");
    app.add_flag("-d,--debug", options.debug, "stay, and print each request");
    app.set_version_flag("-V,--version", fmt::format("daxfs-fuse {}", DAXFS_TOOLS_VERSION));
    try {
        parse_arguments(app, args);
        options.foreground = options.foreground || options.debug;
        const EndOnUnreadableImage end("daxfs-fuse", 1);
        serve(options, err);
        return 0;
    } catch (const CLI::Success &asked) {
        return end_as_asked(app, asked, out, err, 1);
    } catch (const CLI::ParseError &wrong) {
        err << "daxfs-fuse: " << wrong.what() << " (daxfs-fuse --help tells more)\n";
        return 2;
    } catch (const ImageError &error) {
        err << "daxfs-fuse: " << (error.image.empty() ? printable(options.image) : error.image) << ": "
            << error.what() << '\n';
        return 1;
    } catch (const std::bad_alloc &) {
        err << "daxfs-fuse: out of memory\n";
        return 1;
    } catch (const std::exception &failure) {
        err << "daxfs-fuse: " << failure.what() << '\n';
        return 1;
    }
}

} // namespace daxfs
