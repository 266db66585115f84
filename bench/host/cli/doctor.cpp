// SPDX-License-Identifier: Apache-2.0
#include "doctor.hpp"

#include <algorithm>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include "cache.hpp"
#include "environment.hpp"
#include "source_kernel.hpp"

namespace daxbench {
namespace {

using std::string;
using Verdict = Finding::Verdict;

constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr const char *python = "/usr/bin/python3";

Finding good(const string &detail)
{
    return {"", Verdict::good, detail, ""};
}

Finding check_program(const Argv &version, const string &package)
{
    if (!find_program(version.front()))
        return {"", Verdict::bad, "not found", "install the package " + package};
    return good(tool_version(version));
}

Finding check_qemu()
{
    return check_program({"qemu-system-x86_64", "--version"}, "qemu-system-x86");
}

/// Debian's python, for which the analysis' modules are packaged; another in PATH may lack them.
Finding check_python()
{
    const auto result = run_command({python, "-c",
                                     "import jsonschema, markdown, matplotlib, numpy, scipy; "
                                     "print('matplotlib', matplotlib.__version__)"});
    if (result.ok())
        return good(fmt::format("{} with {}", python, result.out.substr(0, result.out.find('\n'))));
    return {"", Verdict::bad, "the analysis' modules are not there",
            "install python3-jsonschema python3-markdown python3-matplotlib python3-numpy python3-scipy"};
}

Finding check_memory(const Catalogue &catalogue)
{
    std::uint64_t largest = 0;
    for (const auto &[id, experiment] : catalogue.experiments) {
        const int most = *std::max_element(experiment.instances.begin(), experiment.instances.end());
        largest = std::max(largest, std::uint64_t(experiment.memory_mib) * std::uint64_t(most) << 20);
    }
    const auto free = host_environment().memory_available_bytes;
    auto finding = good(fmt::format("{:.1f} GiB free, the largest cell needs {:.1f} GiB",
                                    double(free) / double(gib), double(largest) / double(gib)));
    if (free < largest) {
        finding.verdict = Verdict::poor;
        finding.advice = "the largest cells will be skipped; free some memory";
    }
    return finding;
}

Finding check_disk(const std::filesystem::path &path, const char *what, std::uint64_t wanted)
{
    const auto free = free_disk_bytes(path);
    auto finding =
        good(fmt::format("{:.1f} GiB free for {} in {}", double(free) / double(gib), what, path.string()));
    if (free < wanted) {
        finding.verdict = Verdict::poor;
        finding.advice = fmt::format("{:.0f} GiB are needed at first", double(wanted) / double(gib));
    }
    return finding;
}

} // namespace

Finding check(const string &what, const std::function<Finding()> &probe)
{
    Finding finding;
    try {
        finding = probe();
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception &error) {
        finding = {"", Verdict::bad, error.what(), ""};
    }
    finding.what = what;
    return finding;
}

int print_findings(std::ostream &out, const std::vector<Finding> &findings)
{
    std::size_t width = 0;
    for (const auto &finding : findings)
        width = std::max(width, finding.what.size());
    bool bad = false;
    for (const auto &finding : findings) {
        const char *word = finding.verdict == Verdict::good   ? "ok"
                           : finding.verdict == Verdict::poor ? "less"
                                                              : "NO";
        fmt::print(out, "{:<4}  {:<{}}  {}{}{}\n", word, finding.what, width, finding.detail,
                   finding.advice.empty() ? "" : "; ", finding.advice);
        bad = bad || finding.verdict == Verdict::bad;
    }
    return bad ? 1 : 0;
}

std::vector<Finding> examine(const Catalogue &catalogue, const KernelChoice &kernel, const string &accel,
                             const Progress &progress)
{
    const auto paths = own_paths();
    std::vector<Finding> findings;
    const auto look = [&](const string &what, const std::function<Finding()> &probe) {
        progress("checking: " + what);
        findings.push_back(check(what, probe));
    };
    look("QEMU", check_qemu);
    for (const auto &[id, image] : catalogue.images)
        look("image tool of " + id, [&, &image = image] {
            const auto tool = image_tool(image, {{"build", paths.build.string()}}, progress);
            return good(tool.version.empty() ? tool.program.string() : tool.version);
        });
    look("fio", [] { return check_program({"fio", "--version"}, "fio"); });
    look("python", check_python);
    look("memory", [&] { return check_memory(catalogue); });
    look("disk", [] { return check_disk(Cache::root(), "the cache", 4 * gib); });
    look("results", [&] { return check_disk(paths.source / "results", "results", gib / 8); });

    World world;
    look("kernel", [&] { return good(choose_kernel(kernel, progress).release); });
    for (const auto &name : source_kernel_names(kernel_configs(paths)))
        look("kernel " + name, [&] {
            const bool built = has_source_kernel(source_kernel_name(name), kernel_configs(paths));
            return good(built ? "built from source, in the cache"
                              : "not built yet: --kernel-series " + name + " does it");
        });
    look("accelerator", [&] {
        world = make_base(paths, kernel, accel, catalogue, {}, true, progress);
        return good(fmt::format("{}: {} (hello after {:.1f} s)", world.accel.name, world.accel.reason,
                                world.accel.seconds_to_hello));
    });
    for (const auto &[kernel_name, guest] : world.kernels)
        for (const auto &[name, why] : guest.missing)
            look("module " + name, [&, &why = why]() -> Finding { return {"", Verdict::bad, why, ""}; });
    return findings;
}

} // namespace daxbench
