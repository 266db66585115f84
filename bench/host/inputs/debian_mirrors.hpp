// SPDX-License-Identifier: Apache-2.0
// The machine's own Debian mirrors, for packages and for whole releases.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace daxbench {

// VERSION_CODENAME of /etc/os-release; throws when the machine is no Debian.
std::string debian_codename();

// sources.list lines of a release (this machine's or another) at the machine's own mirrors.
std::vector<std::string> mirrors_of_release(const std::string &release);

// --aptopt=… for mmdebstrap: how this machine reaches its mirrors.
std::vector<std::string> own_apt_options();

// Lines of `apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(SIGNED_BY)'`
// → sources.list lines for the origin Debian and the suites of `codename` (CODENAME itself,
// -updates, -security), each once, in order.
std::vector<std::string> debian_sources(std::string_view index_targets, std::string_view codename);

} // namespace daxbench
