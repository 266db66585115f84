// SPDX-License-Identifier: Apache-2.0
// Every key that a file below workloads/ may have, with what it means: what the reader lets itself read, and
// what docs/workloads.md says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace daxbench {

struct DeclaredKey {
    std::string name; ///< with dots for tables in tables; "*" stands for any one name
    std::string type; ///< in words, for the document
    bool required = false;
    std::string meaning;
};

/// The files of one folder.
struct DeclaredFile {
    std::string folder; ///< below workloads/, or a file there
    std::string title;
    std::string meaning;
    std::vector<DeclaredKey> keys;

    bool declares(std::string_view key) const;
};

/// Without the folder workloads/, whose keys the engines declare (workload.hpp).
const std::vector<DeclaredFile> &declared_files();
const DeclaredFile &declared_file(std::string_view folder);

/// docs/workloads.md: all files, engines and operations.
std::string workloads_document();

} // namespace daxbench
