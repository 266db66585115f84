// SPDX-License-Identifier: Apache-2.0
#include "accel.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cache.hpp"
#include "environment.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr Seconds kvm_deadline{8};
constexpr Seconds tcg_deadline{60};

// The reason why KVM cannot even be tried, or "".
std::string why_no_kvm_device()
{
    const Fd device(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (device)
        return {};
    if (errno == ENOENT)
        return "there is no /dev/kvm here";
    if (errno == EACCES || errno == EPERM)
        return "/dev/kvm may not be opened: add the user to its group (kvm)";
    return fmt::format("/dev/kvm cannot be opened: {}", std::strerror(errno));
}

double boot_to_hello(const std::string &accel, const Kernel &kernel, const fs::path &initramfs,
                     Seconds deadline)
{
    GuestConfig config;
    config.kernel = kernel;
    config.initramfs = initramfs;
    config.accel = accel;
    config.icount = accel == "tcg";
    config.memory_mib = 256;
    Guest guest(std::move(config));
    guest.start();
    const double seconds = guest.wait_hello(deadline).at("seconds_to_hello");
    guest.shutdown(Seconds(2));
    return seconds;
}

// The log of a failed probe is gone with its guest: leave the reason, not the path.
std::string without_log(std::string line)
{
    line.erase(std::min(line.find("; see /"), line.size()));
    return line;
}

struct KvmAnswer {
    bool works = false;
    std::string why; // when it does not
    double seconds = 0;
};

KvmAnswer try_kvm(const Kernel &kernel, const fs::path &initramfs, const Progress &progress)
{
    KvmAnswer answer;
    answer.why = why_no_kvm_device();
    if (!answer.why.empty())
        return answer;
    progress(fmt::format("trying KVM (for at most {:.0f} s)", kvm_deadline.count()));
    try {
        answer.seconds = boot_to_hello("kvm", kernel, initramfs, kvm_deadline);
        answer.works = true;
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception &error) {
        answer.why = "/dev/kvm is there but runs no guest: " + without_log(error.what());
    }
    return answer;
}

// Whether KVM works does not change while the machine runs, unless QEMU or the kernel do.
fs::path answer_file(const Kernel &kernel)
{
    const auto host = host_environment();
    const auto key = xxh3_text(fmt::format("{}\n{}\n{}\n{}", host.boot_id, host.qemu_version, kernel.release,
                                           kernel.vmlinuz.string()));
    return Cache::root() / "accel" / (key + ".json");
}

KvmAnswer kvm_answer(const Kernel &kernel, const fs::path &initramfs, bool fresh, bool &cached,
                     const Progress &progress)
{
    const auto file = answer_file(kernel);
    // Whether the device can be opened is cheap to see and can change (groups).
    if (!fresh && fs::exists(file) && why_no_kvm_device().empty()) {
        const auto text = json::parse(read_file(file), nullptr, false);
        if (text.is_object()) {
            cached = true;
            return {text.value("works", false), text.value("why", ""), text.value("seconds", 0.0)};
        }
    }
    const auto answer = try_kvm(kernel, initramfs, progress);
    write_file(file, json{{"works", answer.works}, {"why", answer.why}, {"seconds", answer.seconds}}.dump());
    return answer;
}

} // namespace

Accel probe_accel(const std::string &want, const Kernel &kernel, const fs::path &initramfs, bool fresh,
                  const Progress &progress)
{
    if (want != "auto" && want != "kvm" && want != "tcg")
        throw std::runtime_error(fmt::format("expected auto, kvm or tcg, got `{}`", want));
    Accel accel{"tcg", "asked for", false, 0};
    if (want != "tcg") {
        const auto kvm = kvm_answer(kernel, initramfs, fresh, accel.cached, progress);
        if (kvm.works)
            return {"kvm", "a guest came up under KVM", accel.cached, kvm.seconds};
        if (want == "kvm")
            throw std::runtime_error(
                fmt::format("expected KVM, but {}: use --accel tcg, or a machine with KVM", kvm.why));
        accel.reason = kvm.why;
    }
    if (fresh) {
        progress("booting a guest under TCG");
        accel.seconds_to_hello = boot_to_hello("tcg", kernel, initramfs, tcg_deadline);
    }
    return accel;
}

} // namespace daxbench
