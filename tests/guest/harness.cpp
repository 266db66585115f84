// SPDX-License-Identifier: Apache-2.0
#include "harness.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "driver.hpp"
#include "percent.hpp"
#include "source_kernel.hpp"
#include "world.hpp"

namespace daxtest {

namespace fs = std::filesystem;
using daxbench::Seconds;

namespace {

Bench make_bench()
{
    Bench bench;
    const auto paths = daxbench::own_paths();
    bench.source = paths.source;
    bench.build = paths.build;
    const char *version = std::getenv("DAXFS_TEST_KERNEL");
    bench.kernel = version ? daxbench::named_kernel(version, daxbench::kernel_configs(paths), progress)
                           : daxbench::choose_kernel({}, progress);
    if (version && daxbench::source_kernel_name(version).debug)
        bench.patience = 20;
    bench.module = daxbench::module_path(paths, bench.kernel, "daxfs");
    daxbench::InitramfsSpec spec;
    spec.kernel = bench.kernel;
    spec.agent = bench.build / "bench/guest/agent";
    spec.modules = {{"erofs", {"erofs"}},
                    {"overlay", {"overlay"}},
                    {"loop", {"loop"}},
                    {"vgem", {"vgem"}},
                    {"device_dax", {"dax_hmem", "device_dax"}},
                    {"nd_e820", {"nd_e820"}},
                    {"hwpoison_inject", {"hwpoison_inject"}},
                    {"nfs", {"nfsd", "nfsv4"}}};
    // Of 7.3: a device-dax that filesystems share.
    if (daxbench::read_file(bench.kernel.modules_dir / "modules.dep").find("/fsdev_dax.ko") !=
        std::string::npos)
        spec.modules["fsdev_dax"] = {"dax_hmem", "device_dax", "fsdev_dax"};
    spec.programs = {{"bin/probe", bench.build / "tests/guest/probe/guest-probe"},
                     {"bin/region-probe", bench.build / "tests/guest/probe/region-probe"},
                     {"sbin/mount.daxfs", bench.build / "mount/mount.daxfs"},
                     {"usr/bin/mount", "/usr/bin/mount"}};
    spec.external_modules = {{"daxfs", bench.module}};
    bench.initramfs = daxbench::ensure_initramfs(spec);
    return bench;
}

} // namespace

const Bench &bench()
{
    static const Bench made = make_bench();
    return made;
}

void make_image(const fs::path &tree, const fs::path &image)
{
    daxbench::run_checked(
        {(bench().build / "mkdaxfs/mkdaxfs").string(), "--quiet", image.string(), tree.string()});
    pad_image(image);
}

daxbench::Guest boot(const fs::path &image, const fs::path &dir, const BootOptions &options)
{
    daxbench::GuestConfig config;
    config.name = "test";
    config.kernel = bench().kernel;
    config.initramfs = bench().initramfs;
    config.icount = options.icount;
    config.memory_mib = options.memory_mib;
    if (bench().patience > 1)
        config.memory_mib += 512; // KASAN's shadow, and what is freed is kept for a while
    config.patience = bench().patience;
    config.cpus = options.cpus;
    config.medium = options.medium;
    config.image = image;
    config.image_writable = true;
    config.log_dir = dir;
    config.extra_cmdline = options.cmdline;
    config.tools = options.tools;
    daxbench::Guest guest(std::move(config));
    guest.start();
    guest.wait_hello(Seconds(60));
    if (!options.modules.empty())
        guest.call("load", {{"modules", options.modules}}, Seconds(30));
    return guest;
}

json mount(daxbench::Guest &guest, const std::string &options)
{
    return guest.call("mount",
                      {{"type", "daxfs"}, {"source", "pmem"}, {"options", options}, {"target", target}},
                      Seconds(30));
}

json run(daxbench::Guest &guest, const std::vector<std::string> &argv, const std::string &root)
{
    json args = {{"argv", argv}, {"timeout_s", 60 * bench().patience}};
    if (!root.empty())
        args["chroot"] = root;
    return guest.call("exec", args, Seconds(90));
}

Ran run_plain(daxbench::Guest &guest, const std::vector<std::string> &argv)
{
    std::vector<std::string> coded;
    for (const auto &word : argv)
        coded.push_back(daxfs::percent_encode(word));
    const auto out = run(guest, coded);
    return {out.at("status"), decoded(out.at("stdout")), decoded(out.at("stderr"))};
}

std::string decoded(const json &text)
{
    return daxfs::percent_decode(text.get<std::string>()).value();
}

std::uint64_t shared_memory_start(daxbench::Guest &guest)
{
    // Line 3 of the resource file of the ivshmem device (1af4:1110) is BAR 2: start end flags.
    const auto out = run(guest, {"/bin/busybox", "sh", "-c",
                                 "for d in /sys/bus/pci/devices/*; do [ \"$(cat $d/device)\" = "
                                 "0x1110 ] && sed -n 3p $d/resource | cut -d' ' -f1; done"});
    return std::stoull(out.at("stdout").get<std::string>(), nullptr, 16);
}

void expect_clean_log(daxbench::Guest &guest)
{
    const auto lines = guest.call("dmesg", json::object(), Seconds(30)).at("lines");
    const auto complaint = daxbench::kernel_complaint(lines);
    if (complaint.empty())
        return;
    // With what follows it: a lock checker's report is of a hundred lines.
    std::string report;
    for (const auto &line : lines) {
        const auto text = line.at("text").get<std::string>();
        if (!report.empty() || text.find(complaint) != std::string::npos)
            report += text + "\n";
        if (std::ranges::count(report, '\n') > 120)
            break;
    }
    ADD_FAILURE() << complaint << "\n" << report;
}

void progress(const std::string &line)
{
    std::cerr << line << '\n';
}

void GuestTest::boot(const std::string &medium, std::vector<std::string> modules, const std::string &cmdline)
{
    BootOptions options;
    options.medium = medium;
    options.modules = std::move(modules);
    options.cmdline = cmdline;
    options.tools = tools_;
    options.icount = icount_;
    guest_.emplace(daxtest::boot(image_, dir_.path() / "logs", options));
}

Ran GuestTest::mount(const std::string &options, const std::string &source, const std::string &where)
{
    sh("mkdir -p " + where);
    return run({"/usr/bin/mount", "-t", "daxfs", "-o", options, source, where});
}

void GuestTest::unmount(const std::string &where)
{
    guest_->call("umount", {{"target", where}}, Seconds(30));
}

json GuestTest::manifest(const std::string &mode, const std::string &where)
{
    return guest_->call("manifest", {{"target", where}, {"mode", mode}}, Seconds(120)).at("lines");
}

void GuestTest::expect_refusal(const Ran &ran, const std::string &what, const std::string &why, int status)
{
    EXPECT_EQ(ran.status, status) << what << ": " << ran.err;
    EXPECT_TRUE(contains(ran.err, why)) << what << ": " << ran.err;
    EXPECT_EQ(std::ranges::count(ran.err, '\n'), 1) << ran.err;
}

void GuestTest::TearDown()
{
    if (!HasFailure())
        return;
    guest_.reset();
    const auto kept = dir_.release();
    fs::remove(image_);
    progress("logs of the guest: " + (kept / "logs").string());
}

void GuestTest::finish()
{
    expect_clean_log(*guest_);
    guest_->shutdown();
}

} // namespace daxtest
