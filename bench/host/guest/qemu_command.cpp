// SPDX-License-Identifier: Apache-2.0
// The QEMU command line. Each choice that decides what is measured says why.
#include <algorithm>

#include <fmt/format.h>

#include "guest.hpp"
#include "media.hpp"
#include "protocol.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr std::uint64_t image_unit = 2 * mib; // virtio-pmem wants its size in these

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

Backing backing_of(const GuestConfig &config)
{
    return config.image.empty() ? Backing::none : medium_named(config.medium).backing;
}

bool has_memory_device(const GuestConfig &config)
{
    const auto backing = backing_of(config);
    return backing == Backing::pmem || backing == Backing::nvdimm || !config.tools.empty();
}

std::uint64_t file_bytes(const fs::path &file)
{
    std::error_code error;
    const auto size = fs::file_size(file, error);
    return error ? 0 : size; // 0 only when a dry run prints a command for an image to come
}

// Size of a file that becomes memory of the guest.
std::uint64_t memory_bytes(const fs::path &file)
{
    const auto size = file_bytes(file);
    if (size % image_unit != 0)
        throw std::runtime_error(
            fmt::format("expected an image of whole 2 MiB for virtio-pmem, {} has {} bytes: give its image "
                        "`align = 2097152`",
                        file.string(), size));
    return size;
}

// Without ERMS and FSRM the guest copies and clears eight bytes at a time: emulated, `rep movsb` and `rep
// stosb` execute, and count, an instruction for each byte.
constexpr const char *emulated_cpu = "max,-erms,-fsrm";

// A kernel in a virtual machine makes no CXL region, since it cannot write back the hosts' caches; here there
// are none.
const char *without_hypervisor(const GuestConfig &config)
{
    return backing_of(config) == Backing::cxl ? ",-hypervisor" : "";
}

void add_accelerator(Argv &argv, const GuestConfig &config)
{
    if (config.accel == "kvm") {
        append(argv, {"-accel", "kvm", "-cpu", fmt::format("host{}", without_hypervisor(config))});
    } else if (config.icount) {
        // One nanosecond of guest time per instruction; idle time is skipped. No RDRAND, a fixed seed and a
        // clock of the guest's own: equal runs are equal.
        append(argv, {"-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu",
                      fmt::format("{},-rdrand,-rdseed", emulated_cpu), "-rtc", "base=2026-01-01,clock=vm",
                      "-seed", "1"});
    } else {
        // Several vCPUs take turns: side by side, QEMU 7.2 now and then runs the breakpoint of a
        // kernel that is patching its own code after the patch is done, and the guest dies at boot.
        append(argv, {"-accel", config.cpus > 1 ? "tcg,thread=single" : "tcg,thread=multi", "-cpu",
                      fmt::format("{}{}", emulated_cpu, without_hypervisor(config))});
    }
    append(argv, {"-smp", std::to_string(config.cpus)});
}

void add_memory(Argv &argv, const GuestConfig &config)
{
    const bool range = backing_of(config) == Backing::range;
    const auto image_mib = range ? memory_bytes(config.image) / mib : 0;
    auto size = fmt::format("{}M", config.memory_mib + image_mib);
    if (has_memory_device(config)) {
        // A gibibyte more than each image, since each slot may be aligned to one.
        std::uint64_t room = 0;
        for (const auto &file : {range ? fs::path() : config.image, config.tools})
            room += file.empty() ? 0 : (file_bytes(file) + gib - 1) / gib * gib + gib;
        size += fmt::format(",slots=2,maxmem={}M", config.memory_mib + image_mib + room / mib);
    }
    // Shared, so that the host's smaps tell guest RAM from the rest by its memfd.
    append(argv, {"-m", size, "-object",
                  fmt::format("memory-backend-memfd,id=ram,size={}M,share=on", config.memory_mib)});
}

// Two root ports, though one is used: with one the kernel leaves the host bridge's decoder alone, and
// QEMU 7.2 then drops writes and reads zeros.
void add_cxl(Argv &argv, const GuestConfig &config)
{
    append(argv, {"-device", "pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1", "-device",
                  "cxl-rp,port=0,bus=cxl.1,id=rp0,chassis=0,slot=2", "-device",
                  "cxl-rp,port=1,bus=cxl.1,id=rp1,chassis=0,slot=3"});
    const bool behind_switch = medium_named(config.medium).behind_switch;
    if (behind_switch)
        append(argv, {"-device", "cxl-upstream,bus=rp0,id=us0", "-device",
                      "cxl-downstream,port=0,bus=us0,id=ds0,chassis=0,slot=4", "-device",
                      "cxl-downstream,port=1,bus=us0,id=ds1,chassis=0,slot=5"});
    const std::string bus = behind_switch ? "ds0" : "rp0";
    append(argv, {"-device", fmt::format("cxl-type3,bus={},volatile-memdev=image,sn=1", bus)});
}

void add_medium(Argv &argv, const GuestConfig &config)
{
    const auto kind = backing_of(config);
    if (kind == Backing::none)
        return;
    if (kind == Backing::disk) {
        // With O_DIRECT what guests have read lies in their page caches and not once more in the host's.
        const char *direct = config.direct ? "on" : "off";
        append(argv, {"-blockdev",
                      fmt::format("driver=raw,node-name=image,read-only=on,cache.direct={},file.driver=file,"
                                  "file.filename={},file.read-only=on,file.cache.direct={}",
                                  direct, escaped(config.image), direct),
                      "-device", fmt::format("virtio-blk-pci,drive=image,serial={}", disk_serial)});
        return;
    }
    const auto size = memory_bytes(config.image);
    const bool writable = config.image_writable && kind != Backing::nvdimm;
    const auto backend = fmt::format("memory-backend-file,id=image,mem-path={},size={},share=on{}",
                                     escaped(config.image), size, writable ? "" : ",readonly=on");
    if (kind == Backing::range) {
        // The second node's memory begins at 4 GiB: what the machine has below is the first node's, all of
        // it.
        append(argv, {"-object", backend, "-numa", "node,nodeid=0,memdev=ram", "-numa",
                      "node,nodeid=1,memdev=image"});
        return;
    }
    if (kind == Backing::cxl) {
        append(argv, {"-object", backend});
        add_cxl(argv, config);
        return;
    }
    if (kind == Backing::pmem) {
        append(argv, {"-object", backend, "-device",
                      fmt::format("virtio-pmem-pci,memdev=image,addr={}", pmem_address("image"))});
        return;
    }
    if (kind == Backing::ivshmem) {
        // A PCI device whose BAR 2 is the file: memory at a physical address, without a driver.
        append(argv, {"-object", backend, "-device", "ivshmem-plain,memdev=image"});
        return;
    }
    // Read-only without a label area: the guest gets a pmem device whose DAX is off.
    append(argv, {"-object", backend, "-device", "nvdimm,memdev=image,unarmed=on"});
}

// What memory is filled from: a disk, since mapped memory would count as the guest's in the host.
void add_seed(Argv &argv, const GuestConfig &config)
{
    if (config.seed.empty())
        return;
    append(argv, {"-blockdev",
                  fmt::format("driver=raw,node-name=seed,read-only=on,file.driver=file,"
                              "file.filename={},file.read-only=on",
                              escaped(config.seed)),
                  "-device", "virtio-blk-pci,drive=seed,serial=seed"});
}

// Memory, too, and not a disk, whose interrupts come when the host pleases.
void add_tools(Argv &argv, const GuestConfig &config)
{
    if (config.tools.empty())
        return;
    append(argv, {"-object",
                  fmt::format("memory-backend-file,id=tools,mem-path={},size={},share=on,readonly=on",
                              escaped(config.tools), memory_bytes(config.tools)),
                  "-device",
                  fmt::format("virtio-pmem-pci,memdev=tools,bus=pcie.0,addr={}", pmem_address("tools"))});
}

void add_channels(Argv &argv, const GuestConfig &config, const fs::path &run_dir)
{
    append(argv, {"-chardev", fmt::format("file,id=console,path={}", escaped(config.log_dir / "console.log")),
                  "-serial", "chardev:console", "-chardev",
                  fmt::format("socket,id=agent,path={},server=on,wait=off", escaped(run_dir / "agent.sock")),
                  // Without an I/O event QEMU handles what the guest sends at the instruction that sends it,
                  // and not some time later in another thread while the guest waits.
                  "-device", "virtio-serial-pci,ioeventfd=off", "-device",
                  fmt::format("virtserialport,chardev=agent,name={}", agent_port_name), "-qmp",
                  fmt::format("unix:{},server=on,wait=off", escaped(run_dir / "qmp.sock"))});
    if (!config.script.empty())
        append(argv,
               {"-fw_cfg", fmt::format("name={},file={}", script_name, escaped(run_dir / script_file))});
    // Stopped until the host has connected.
    append(argv, {"-S"});
}

} // namespace

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
        line += " tsc_early_khz=1000000";
        if (config.cpus == 1) // others have no timer but their own
            line += " nolapic_timer";
    }
    if (backing_of(config) == Backing::range) {
        const auto &medium = medium_named(config.medium);
        line += fmt::format(" memmap={}M{}{:#x}{}", memory_bytes(config.image) / mib, medium.memmap_sign,
                            range_start, medium.memmap_rest);
    }
    if (!config.extra_cmdline.empty())
        line += " " + config.extra_cmdline;
    return line;
}

namespace {

std::string machine_of(const GuestConfig &config)
{
    const std::string machine = "q35,usb=off,vmport=off";
    switch (backing_of(config)) {
    case Backing::range: return fmt::format("{},max-ram-below-4g={}M", machine, config.memory_mib);
    case Backing::cxl:
        return machine + ",memory-backend=ram,cxl=on,cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=4G";
    case Backing::nvdimm: return machine + ",memory-backend=ram,nvdimm=on";
    default: return machine + ",memory-backend=ram";
    }
}

} // namespace

Argv qemu_command(const GuestConfig &config, const fs::path &run_dir)
{
    Argv argv{config.qemu.string()};
    // One that was unpacked somewhere does not find its firmware.
    for (const char *folder : {"qemu", "seabios"})
        if (const auto firmware = config.qemu.parent_path() / "root/usr/share" / folder;
            config.qemu.is_absolute() && fs::exists(firmware))
            append(argv, {"-L", firmware.string()});
    append(argv, {"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"});
    append(argv, {"-machine", machine_of(config)});
    add_accelerator(argv, config);
    add_memory(argv, config);
    // The bare ELF kernel spares TCG the decompression; under KVM the usual way is as fast.
    const bool direct = config.accel == "tcg" && !config.kernel.vmlinux.empty();
    append(argv, {"-kernel", (direct ? config.kernel.vmlinux : config.kernel.vmlinuz).string(), "-initrd",
                  config.initramfs.string(), "-append", kernel_cmdline(config)});
    add_channels(argv, config, run_dir);
    add_medium(argv, config);
    add_seed(argv, config);
    add_tools(argv, config);
    if (!config.plugin.empty())
        append(argv, {"-plugin", fmt::format("file={},out={}{}", escaped(config.plugin),
                                             escaped(config.log_dir / profile_file),
                                             config.plugin_model ? ",model=on" : "")});
    return argv;
}

} // namespace daxbench
