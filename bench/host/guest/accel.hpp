// SPDX-License-Identifier: Apache-2.0
// Which accelerator really runs a guest here.
#pragma once

#include <string>

#include "guest.hpp"

namespace daxbench {

struct Accel {
    std::string name;    // "tcg" | "kvm"
    std::string reason;  // why this one, one line; e.g. "no guest came up under KVM within 8 s: …"
    bool cached = false; // the answer of an earlier probe since this boot
    double seconds_to_hello = 0;
};

// `want`: "auto" | "kvm" | "tcg". Decides by booting a guest to the agent's hello: /dev/kvm can
// exist, open, and still not run one. "auto" falls back to TCG within 15 s; "kvm" throws the
// reason when it does not work. Cached for this boot, QEMU and kernel unless `fresh` (doctor).
Accel probe_accel(const std::string &want, const Kernel &kernel, const std::filesystem::path &initramfs,
                  bool fresh, const Progress &progress);

} // namespace daxbench
