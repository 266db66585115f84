// SPDX-License-Identifier: Apache-2.0
// From a TOML table to the struct it declares. Each throws as TomlReader does.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "spec.hpp"
#include "toml_reader.hpp"

namespace daxbench {

FilesystemSpec read_filesystem(TomlReader &reader);
ImageSpec read_image(TomlReader &reader);
/// `root`: what the paths of job files are relative to.
DatasetSpec read_dataset(TomlReader &reader, const std::filesystem::path &root);
WorkloadSpec read_workload(TomlReader &reader);
ExperimentSpec read_experiment(TomlReader &reader);
/// Limits are checked against what `catalogue` has by then.
SuiteSpec read_suite(TomlReader &reader, const Catalogue &catalogue);
std::map<std::string, MetricSpec> read_metrics(const std::filesystem::path &file);

} // namespace daxbench
