// SPDX-License-Identifier: Apache-2.0
#include "image.hpp"

#include <algorithm>
#include <sstream>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cache.hpp"
#include "environment.hpp"
#include "program.hpp"
#include "shared_libraries.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string substituted(std::string word, const Substitutions &substitutions)
{
    for (const auto &[name, value] : substitutions) {
        const auto mark = "{" + name + "}";
        for (auto at = word.find(mark); at != std::string::npos; at = word.find(mark, at + value.size()))
            word.replace(at, mark.size(), value);
    }
    return word;
}

Argv substituted(const Argv &argv, const Substitutions &substitutions)
{
    Argv result;
    for (const auto &word : argv)
        result.push_back(substituted(word, substitutions));
    return result;
}

fs::path require_program(const std::string &name, const std::string &image)
{
    const auto program = find_program(name);
    if (!program)
        throw std::runtime_error(fmt::format(
            "expected {} to make the image {}, there is no such program here: install the package "
            "that has it; ./run-bench installs what the suites of the tree need",
            name, image));
    return *program;
}

void pad(const fs::path &file, std::uint64_t align)
{
    const auto size = fs::file_size(file);
    if (align > 1 && size % align != 0)
        fs::resize_file(file, (size + align - 1) / align * align);
}

Image read_image(const fs::path &dir)
{
    const auto info = json::parse(read_file(dir / "image.json"));
    Image image;
    image.id = info.at("id");
    image.dataset = info.at("dataset");
    image.path = dir / "image";
    image.bytes = info.at("bytes");
    image.build_seconds = info.at("build_seconds");
    image.xxh3 = info.at("xxh3");
    image.tool_version = info.at("tool_version");
    image.command = info.at("command").get<Argv>();
    return image;
}

void build_image(const ImageSpec &spec, const Dataset &dataset, const ImageTool &tool, const fs::path &dir,
                 const fs::path &final_dir)
{
    const auto file = dir / "image";
    const auto source = dataset.dir.string();
    const auto run = run_checked(dataset_command(dataset, image_command(tool, source, file.string())));
    if (!fs::is_regular_file(file))
        throw std::runtime_error(fmt::format(
            "expected `{}` to write the image {}, it ended well and wrote none: is {{out}} in its "
            "command?",
            spec.command[0], spec.id));
    const json info = {{"id", spec.id},
                       {"dataset", dataset.id},
                       {"bytes", fs::file_size(file)},
                       {"build_seconds", run.seconds},
                       {"xxh3", xxh3_file(file)},
                       {"tool_version", tool.version},
                       {"command", image_command(tool, source, (final_dir / "image").string())}};
    pad(file, spec.align);
    write_file(dir / "image.json", info.dump(2) + "\n");
}

std::string declaration_of(const ImageTool &tool, const ImageSpec &spec, const Dataset &dataset)
{
    auto command = image_command(tool, dataset.id, spec.id + ".img");
    command[0] = fs::path(command[0]).filename().string();
    return quoted(command);
}

} // namespace

ImageTool image_tool(const ImageSpec &spec, Substitutions substitutions, const Progress &progress)
{
    if (spec.program) {
        const auto program = ensure_program(*spec.program, progress);
        substitutions["program"] = program.string();
        substitutions["programs"] = program.parent_path().string();
    }
    if (spec.command.empty())
        throw std::runtime_error(fmt::format("expected a command for the image {}, it is empty", spec.id));
    ImageTool tool;
    tool.command = substituted(spec.command, substitutions);
    tool.program = require_program(tool.command[0], spec.id);
    tool.version = tool_version(substituted(spec.version, substitutions));
    tool.check = substituted(spec.check, substitutions);
    return tool;
}

Argv image_command(const ImageTool &tool, const std::string &source, const std::string &out)
{
    return substituted(tool.command, {{"source", source}, {"out", out}});
}

Argv check_command(const ImageTool &tool, const std::string &image)
{
    return substituted(tool.check, {{"out", image}});
}

Image ensure_image(const ImageSpec &spec, const Dataset &dataset, Substitutions substitutions,
                   const Progress &progress)
{
    const auto tool = image_tool(spec, std::move(substitutions), progress);
    const auto key = xxh3_text(fmt::format("{}\n{}\n{}\n{}\n{}", dataset.hash, quoted(tool.command),
                                           spec.align, tool.version, xxh3_file(tool.program)));
    const auto name = fmt::format("{}-{}-{}", dataset.id, spec.id, key.substr(0, 16));
    bool built = false;
    const auto dir = Cache::entry("images", name, [&](const fs::path &aside) {
        progress(fmt::format("making the image {} of {}", spec.id, dataset.id));
        build_image(spec, dataset, tool, aside, Cache::path("images", name));
        built = true;
    });
    auto image = read_image(dir);
    image.built = built;
    image.declaration = declaration_of(tool, spec, dataset);
    return image;
}

ToolsImage ensure_tools_image(const Progress &progress)
{
    const auto fio = require_program("fio", "tools");
    const auto mkfs = require_program("mkfs.erofs", "tools");
    const auto version = tool_version({fio.string(), "--version"});
    const auto libraries = library_closure(fio);
    std::string inputs = "tools 2\n" + version + "\n" + xxh3_file(fio) + "\n";
    for (const auto &library : libraries)
        inputs += fmt::format("{} {}\n", library.string(), xxh3_file(library));
    const auto dir = Cache::entry("tools", xxh3_text(inputs), [&](const fs::path &aside) {
        progress("making the tools disk");
        const auto tree = aside / "tree";
        fs::create_directories(tree / "bin");
        fs::create_directories(tree / "lib");
        fs::copy_file(fio, tree / "bin/fio");
        for (const auto &library : libraries)
            fs::copy_file(library, tree / "lib" / library.filename());
        run_checked(
            {mkfs.string(), "-T0", "--all-root", "--quiet", (aside / "tools.erofs").string(), tree.string()});
        remove_tree(tree);
        pad(aside / "tools.erofs", 2 << 20); // as virtio-pmem wants it
    });
    return {dir / "tools.erofs", {{"fio", version}}};
}

} // namespace daxbench
