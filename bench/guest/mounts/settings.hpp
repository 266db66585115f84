// SPDX-License-Identifier: Apache-2.0
// What a guest's kernel is told by its files before anything is mounted.
#pragma once

#include <string>

namespace daxbench {

/// "FILE=TEXT": writes it, with debugfs mounted where the file is there. Throws when it does not read back.
void apply_setting(const std::string &setting);

/// Throws when the file does not read as the setting says.
void check_setting(const std::string &setting);

} // namespace daxbench
