// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

/// Writes fs/daxfs and its documentation below `out`. Throws std::runtime_error where kmod/ or the parts are
/// not as this program knows them.
void generate(const std::filesystem::path &kmod, const std::filesystem::path &parts,
              const std::filesystem::path &out);
