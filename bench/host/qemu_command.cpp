// SPDX-License-Identifier: Apache-2.0
// The QEMU command line. Each choice that decides what is measured says why.
#include <algorithm>

#include <fmt/format.h>

#include "guest.hpp"
#include "protocol.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr std::uint64_t image_unit = 2 * mib;  // virtio-pmem wants its size in these

// In QEMU's option strings a comma is written twice.
std::string escaped(const fs::path &path)
{
    std::string out;
    for (const char c : path.string())
        out += c == ',' ? std::string(",,") : std::string(1, c);
    return out;
}

void append(Argv &argv, std::initializer_list<std::string> words)
{
    argv.insert(argv.end(), words);
}

bool has_memory_device(const GuestConfig &config)
{
    return config.medium == "pmem" || config.medium == "nvdimm-nodax";
}

std::uint64_t image_bytes(const GuestConfig &config)
{
    std::error_code error;
    const auto size = fs::file_size(config.image, error);
    return error ? 0 : size;  // 0 only when a dry run prints a command for an image to come
}

void add_accelerator(Argv &argv, const GuestConfig &config)
{
    if (config.accel == "kvm") {
        append(argv, {"-accel", "kvm", "-cpu", "host"});
    } else if (config.icount) {
        // One nanosecond of guest time per instruction; idle time is skipped. Without ERMS and
        // FSRM the guest copies by unrolled loops: each byte of `rep movsb` would count as an
        // instruction. No RDRAND, a fixed seed and a clock of the guest's own: equal runs are equal.
        append(argv, {"-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu",
                      "max,-erms,-fsrm,-rdrand,-rdseed", "-rtc", "base=2026-01-01,clock=vm",
                      "-seed", "1"});
    } else {
        append(argv, {"-accel", "tcg,thread=multi", "-cpu", "max"});
    }
    append(argv, {"-smp", config.icount ? "1" : std::to_string(config.cpus)});
}

void add_memory(Argv &argv, const GuestConfig &config)
{
    auto size = fmt::format("{}M", config.memory_mib);
    if (has_memory_device(config)) {
        // A gibibyte more than the image, since each slot may be aligned to one.
        const auto image = (image_bytes(config) + gib - 1) / gib * gib;
        size += fmt::format(",slots=1,maxmem={}M", config.memory_mib + (image + gib) / mib);
    }
    // Shared, so that the host's smaps tell guest RAM from the rest by its memfd.
    append(argv, {"-m", size, "-object",
                  fmt::format("memory-backend-memfd,id=ram,size={}M,share=on",
                              config.memory_mib)});
}

void add_medium(Argv &argv, const GuestConfig &config)
{
    if (!has_memory_device(config) && config.medium != "ivshmem")
        return;
    const auto size = image_bytes(config);
    if (size % image_unit != 0)
        throw std::runtime_error(fmt::format(
            "wanted an image of whole 2 MiB for virtio-pmem, {} has {} bytes: give its image "
            "`align = 2097152`",
            config.image.string(), size));
    auto backend = fmt::format("memory-backend-file,id=image,mem-path={},size={},share=on",
                               escaped(config.image), size);
    if (config.medium == "pmem") {
        append(argv, {"-object", backend, "-device", "virtio-pmem-pci,memdev=image"});
        return;
    }
    if (config.medium == "ivshmem") {
        // A PCI device whose BAR 2 is the file: memory at a physical address, without a driver.
        append(argv, {"-object", backend, "-device", "ivshmem-plain,memdev=image"});
        return;
    }
    // Read-only without a label area: the guest gets a pmem device whose DAX is off.
    append(argv, {"-object", backend + ",readonly=on", "-device",
                  "nvdimm,memdev=image,unarmed=on"});
}

void add_disk(Argv &argv, const std::string &name, const fs::path &file)
{
    if (file.empty())
        return;
    append(argv, {"-blockdev",
                  fmt::format("driver=raw,node-name={},read-only=on,file.driver=file,"
                              "file.filename={},file.read-only=on",
                              name, escaped(file)),
                  "-device", fmt::format("virtio-blk-pci,drive={0},serial={0}", name)});
}

void add_channels(Argv &argv, const GuestConfig &config, const fs::path &run_dir)
{
    append(argv,
           {"-chardev", fmt::format("file,id=console,path={}", escaped(config.log_dir / "console.log")),
            "-serial", "chardev:console", "-chardev",
            fmt::format("socket,id=agent,path={},server=on,wait=off",
                        escaped(run_dir / "agent.sock")),
            "-device", "virtio-serial-pci", "-device",
            fmt::format("virtserialport,chardev=agent,name={}", agent_port_name), "-qmp",
            fmt::format("unix:{},server=on,wait=off", escaped(run_dir / "qmp.sock"))});
}

}  // namespace

std::string kernel_cmdline(const GuestConfig &config)
{
    // A panic ends QEMU at once (-no-reboot). Layout randomness would vary the figures.
    std::string line = "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic nokaslr norandmaps";
    // The crypto self-tests run beside the first measurements for half a second.
    line += " cryptomgr.notests nowatchdog";
    if (config.accel == "tcg")
        line += " no_timer_check tsc=reliable rcupdate.rcu_cpu_stall_suppress=1";
    if (config.icount) {
        // The frequency is known exactly. Calibrating it and the local APIC's timer reads the TSC
        // in a loop, the slowest thing there is under icount (two seconds of a boot).
        line += " tsc_early_khz=1000000 nolapic_timer";
    }
    if (!config.extra_cmdline.empty())
        line += " " + config.extra_cmdline;
    return line;
}

Argv qemu_command(const GuestConfig &config, const fs::path &run_dir)
{
    Argv argv{"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
              "-no-reboot"};
    append(argv, {"-machine", fmt::format("q35,memory-backend=ram,usb=off,vmport=off{}",
                                          config.medium == "nvdimm-nodax" ? ",nvdimm=on" : "")});
    add_accelerator(argv, config);
    add_memory(argv, config);
    // The bare ELF kernel spares TCG the decompression; under KVM the usual way is as fast.
    const bool direct = config.accel == "tcg" && !config.kernel.vmlinux.empty();
    append(argv, {"-kernel", (direct ? config.kernel.vmlinux : config.kernel.vmlinuz).string(),
                  "-initrd", config.initramfs.string(), "-append", kernel_cmdline(config)});
    add_channels(argv, config, run_dir);
    add_medium(argv, config);
    add_disk(argv, "seed", config.seed);
    add_disk(argv, "tools", config.tools);
    return argv;
}

}  // namespace daxbench
