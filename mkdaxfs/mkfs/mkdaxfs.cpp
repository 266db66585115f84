// SPDX-License-Identifier: Apache-2.0
#include "mkdaxfs.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "build_image.hpp"
#include "directory_source.hpp"
#include "error.hpp"
#include "inputs.hpp"
#include "list_source.hpp"
#include "mkfs_options.hpp"
#include "oci_source.hpp"
#include "options.hpp"
#include "output_file.hpp"
#include "progress.hpp"
#include "source_list.hpp"
#include "summary.hpp"
#include "tar_source.hpp"
#include "target.hpp"
#include "text_source.hpp"

namespace daxfs {

namespace {

struct Streams {
    std::ostream &out;
    std::ostream &err;
    bool err_is_terminal;
};

// What is told while the image is made, by any thread, and what was left out.
class Notes {
public:
    Notes(const MkfsOptions &o, std::ostream &err) : options_(o), err_(err) {}

    void left_out(const std::string &failure)
    {
        const std::lock_guard lock(mutex_);
        ++count_;
        err_ << "mkdaxfs: left out: " << failure << '\n';
    }

    void own_image(const std::string &path)
    {
        const std::lock_guard lock(mutex_);
        if (!options_.quiet)
            err_ << "mkdaxfs: left out: /" << printable(path) << ", which is the image itself\n";
    }

    // A pattern that is misspelt matches nothing.
    void unmatched()
    {
        unmatched("--exclude", options_.filter.unmatched());
        unmatched("--rules", options_.build.rules.unmatched());
    }

    std::uint64_t count() const { return count_; }

private:
    void unmatched(const std::string &option, const std::vector<std::string> &patterns)
    {
        constexpr std::size_t most = 5;
        if (patterns.empty() || options_.quiet)
            return;
        err_ << "mkdaxfs: nothing matches what " << option << " says: ";
        for (std::size_t i = 0; i < std::min(most, patterns.size()); ++i)
            err_ << (i == 0 ? "" : ", ") << patterns[i];
        if (patterns.size() > most)
            err_ << " and " << patterns.size() - most << " more";
        err_ << '\n';
    }

    const MkfsOptions &options_;
    std::ostream &err_;
    std::mutex mutex_;
    std::uint64_t count_ = 0;
};

DirectoryOptions directory_options(const MkfsOptions &o, Notes &notes)
{
    DirectoryOptions options;
    if (o.keep_going)
        options.unreadable = [&notes](const std::string &failure) { notes.left_out(failure); };
    options.own_image = own_image(o);
    options.own_image_left = [&notes](const std::string &path) { notes.own_image(path); };
    options.one_file_system = o.one_file_system;
    options.hard_dereference = o.hard_dereference;
    return options;
}

OnWarning warn_on(Streams &streams)
{
    return [&](const std::string &line) { streams.err << "mkdaxfs: warning: " << line << '\n'; };
}

// In the order of the command line.
void add_sources(SourceList &list, const CLI::App &app, const MkfsOptions &o, Inputs &inputs, Notes &notes,
                 const OnWarning &warn)
{
    const PathFilter &filter = o.filter;
    const DirectoryOptions of_directories = directory_options(o, notes);
    std::map<std::string, std::size_t> used;
    for (const CLI::Option *option : app.parse_order()) {
        const std::string name = option->get_name();
        const std::size_t i = used[name]++;
        if (name == "SOURCE" || (name == "IMAGE" && o.has_target())) {
            const std::string &directory = name == "SOURCE" ? o.sources[i] : o.image;
            list.add(std::make_unique<DirectorySource>(directory, filter, of_directories));
        } else if (name == "--tar") {
            list.add(std::make_unique<TarSource>(inputs.archive(o.tar[i]), o.tar[i], filter, warn));
        } else if (name == "--layer") {
            list.add(std::make_unique<LayerSource>(inputs.archive(o.layer), o.layer, filter, warn));
        } else if (name == "--oci") {
            list.add(std::make_unique<OciSource>(o.oci[i], o.platform, filter, warn));
        } else if (name == "--list") {
            list.add(std::make_unique<ListSource>(inputs.text(o.list[i]), o.list[i], ListSource::Form::lines,
                                                  filter, of_directories));
        } else if (name == "--files-from") {
            list.add(std::make_unique<ListSource>(inputs.text(o.files_from[i]), o.files_from[i],
                                                  ListSource::Form::names, filter, of_directories));
        } else if (name == "--text") {
            list.add(std::make_unique<TextSource>(inputs.text(o.text[i]), o.text[i], filter));
        }
    }
}

double seconds_since(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// None where nobody wants to see it.
std::unique_ptr<ProgressPrinter> print_progress(const MkfsOptions &o, Streams &streams,
                                                const Progress &progress, const std::string &prefix = "")
{
    if (o.quiet || o.json)
        return nullptr;
    return std::make_unique<ProgressPrinter>(progress, streams.err, streams.err_is_terminal, prefix);
}

void make_layers(const MkfsOptions &o, Streams &streams, const std::atomic<bool> *stop)
{
    const Workers workers = {o.threads, stop, nullptr};
    const OciImage image(o.oci.front(), o.platform, workers);
    const std::size_t count = image.layers().size();
    if (count == 0)
        throw std::runtime_error(printable(o.oci.front()) + ": expected an image with layers, it has none");
    TreeBuilder below;
    struct Layer {
        std::string name;
        std::shared_ptr<OutputFile> file;
        BuildSummary summary;
        double seconds;
    };
    std::vector<Layer> layers;
    for (std::size_t i = 0; i < count; ++i) {
        Progress progress;
        const auto printer =
            print_progress(o, streams, progress, fmt::format("layer {} of {}: ", i + 1, count));
        const auto start = std::chrono::steady_clock::now();
        OciLayerSource source(image, i, o.filter, below,
                              named_warning(warn_on(streams), fmt::format("layer {}", i + 1)));
        const std::string name = fmt::format("{}.{}", o.image, i + 1);
        refuse_image_instead_of_source(o, name);
        const auto file = std::make_shared<OutputFile>(name, OutputFile::Publish::later, !o.no_sync);
        try {
            const BuildSummary summary =
                build_image(source, [&] { return file; }, o.build, {o.threads, stop, &progress});
            layers.push_back({name, file, summary, seconds_since(start)});
        } catch (const Interrupted &) {
            throw;
        } catch (const std::runtime_error &failure) {
            throw std::runtime_error(fmt::format("layer {}: {}", i + 1, failure.what()));
        }
    }
    // All or none.
    for (const Layer &layer : layers)
        layer.file->publish();
    for (const Layer &layer : layers)
        report(o, layer.name, layer.summary, layer.seconds, streams.out);
    Notes(o, streams.err).unmatched();
}

// Was all of it packed?
bool make_image(const CLI::App &app, const MkfsOptions &o, Inputs &inputs, Streams &streams,
                const std::atomic<bool> *stop)
{
    const auto start = std::chrono::steady_clock::now();
    if (o.phys.empty() && o.heap.empty())
        refuse_image_instead_of_source(o, target_name(o));
    SourceList sources;
    Notes notes(o, streams.err);
    add_sources(sources, app, o, inputs, notes, warn_on(streams));
    Progress progress;
    auto printer = print_progress(o, streams, progress);
    BuildSummary summary = build_image(sources, [&] { return open_target(o, streams.out); }, o.build,
                                       {o.threads, stop, &progress});
    summary.left_out = notes.count();
    printer.reset();
    notes.unmatched();
    report(o, target_name(o), summary, seconds_since(start),
           o.to_standard_output() ? streams.err : streams.out);
    return summary.left_out == 0;
}

} // namespace

int mkdaxfs_main(const std::vector<std::string> &args, std::istream &in, std::ostream &out, std::ostream &err,
                 const std::atomic<bool> *stop, bool err_is_terminal, bool out_is_terminal)
{
    Streams streams = {out, err, err_is_terminal};
    bool is_whole = true;
    MkfsOptions options;
    CLI::App app("Make a DAXFS image of directories, archives, container images or text.", "mkdaxfs");
    declare(app, options);
    try {
        parse_arguments(app, args, "--label");
        Inputs inputs(in, stop);
        complete(app, options, inputs);
        if (options.to_standard_output() && out_is_terminal)
            throw CLI::ValidationError("IMAGE",
                                       "expected a pipe or a file as standard output, got a terminal");
        if (app.count("--label") != 0) // an empty one, too
            options.build.label = options.label;
        if (options.layers)
            make_layers(options, streams, stop);
        else
            is_whole = make_image(app, options, inputs, streams, stop);
        if (!out.flush())
            throw std::runtime_error("the image is made, but its summary cannot be written");
        return is_whole ? 0 : 3;
    } catch (const CLI::Success &asked) {
        return end_as_asked(app, asked, out, err, 1);
    } catch (const CLI::ParseError &wrong) {
        err << "mkdaxfs: " << wrong.what() << " (mkdaxfs --help tells more)\n";
        return 2;
    } catch (const Interrupted &stopped) {
        err << "mkdaxfs: " << stopped.what() << '\n';
        return 130;
    } catch (const std::bad_alloc &) {
        err << "mkdaxfs: out of memory\n";
        return 1;
    } catch (const std::exception &failure) {
        err << "mkdaxfs: " << failure.what() << '\n';
        return 1;
    }
}

} // namespace daxfs
