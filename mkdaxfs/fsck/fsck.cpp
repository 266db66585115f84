// SPDX-License-Identifier: Apache-2.0
#include "fsck.hpp"

#include <algorithm>
#include <ostream>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "check_image.hpp"
#include "error.hpp"
#include "options.hpp"

namespace daxfs {

namespace {

// As in fsck(8).
constexpr int clean = 0;
constexpr int errors_left = 4;
constexpr int could_not_check = 8;
constexpr int wrong_usage = 16;

struct Options {
    std::string image;
    bool json = false;
    bool ignored = false;
    unsigned threads = std::max(1u, std::thread::hardware_concurrency());
};

// Reports one problem a line, or collects them for one JSON object.
class Report {
public:
    Report(const Options &options, std::ostream &out) : options_(options), out_(out) {}

    void add(const Problem &problem)
    {
        if (options_.json)
            problems_.push_back(as_json(problem));
        else
            out_ << printable(options_.image) << ": " << problem.path << (problem.path.empty() ? "" : ": ")
                 << problem.text << std::endl; // while we are alive
    }

    void end(std::uint64_t problems, std::uint64_t inodes)
    {
        const nlohmann::ordered_json summary = {{"image", printable(options_.image)},
                                                {"inodes", inodes},
                                                {"clean", problems == 0},
                                                {"problems", problems_}};
        if (options_.json)
            out_ << summary.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
        else
            out_ << fmt::format("{}: {} inodes, {}\n", printable(options_.image), inodes,
                                problems == 0
                                    ? std::string("clean")
                                    : fmt::format("{} problem{}", problems, problems == 1 ? "" : "s"));
    }

private:
    static nlohmann::ordered_json as_json(const Problem &problem)
    {
        nlohmann::ordered_json json = {{"inode", problem.ino}, {"problem", problem.text}};
        if (!problem.path.empty())
            json["path"] = problem.path;
        return json;
    }

    const Options &options_;
    std::ostream &out_;
    nlohmann::ordered_json problems_ = nlohmann::ordered_json::array();
};

int check(const Options &options, std::ostream &out)
{
    Report report(options, out);
    try {
        const ImageReader reader(options.image);
        const auto problems =
            check_image(reader, [&](const Problem &p) { report.add(p); }, {options.threads, nullptr});
        report.end(problems, reader.image().inode_count);
        return problems == 0 ? clean : errors_left;
    } catch (const ImageTooNew &error) {
        throw std::runtime_error(error.image + ": " + error.what());
    } catch (const ImageError &error) {
        report.add({0, "", error.what()});
        report.end(1, 0);
        return errors_left;
    }
}

} // namespace

int fsck_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err)
{
    Options options;
    CLI::App app("Check a DAXFS image. It is only read: an image is made anew, never repaired.",
                 "fsck.daxfs");
    app.add_option("IMAGE", options.image, "image file or device")->required();
    app.add_flag("--json", options.json, "print one JSON object");
    app.add_flag("-n,-a,-p,-f,-y", options.ignored, "accepted as fsck(8) gives them; change nothing");
    app.add_option("-j,--threads", options.threads,
                   "threads that read file data (default: one for each core)")
        ->check(CLI::Range(1u, 1024u));
    app.set_version_flag("-V,--version", fmt::format("fsck.daxfs {}", DAXFS_TOOLS_VERSION));
    try {
        parse_arguments(app, args);
        const EndOnUnreadableImage end("fsck.daxfs", could_not_check);
        const int status = check(options, out);
        if (!out.flush())
            throw std::runtime_error("cannot write the output");
        return status;
    } catch (const CLI::Success &asked) {
        return end_as_asked(app, asked, out, err, could_not_check);
    } catch (const CLI::ParseError &wrong) {
        err << "fsck.daxfs: " << wrong.what() << " (fsck.daxfs --help tells more)\n";
        return wrong_usage;
    } catch (const std::bad_alloc &) {
        err << "fsck.daxfs: out of memory\n";
        return could_not_check;
    } catch (const std::exception &failure) {
        err << "fsck.daxfs: " << failure.what() << '\n';
        return could_not_check;
    }
}

} // namespace daxfs
