// SPDX-License-Identifier: Apache-2.0
// Reading a TOML table so that whatever is wrong in it is named with file, line and key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <toml++/toml.h>

#include "declared_keys.hpp"

namespace daxbench {

/// One table of one file. Every key that is read is remembered; `finish` refuses the others.
/// All functions throw std::runtime_error `FILE:LINE: KEY: expected ..., got ...`.
class TomlReader {
public:
    /// `prefix` is put before keys in messages, e.g. "prove.". Reading a key that `declared` does not know is
    /// a std::logic_error: docs/workloads.md would not have it.
    TomlReader(std::filesystem::path file, const toml::table &table, std::string prefix = "",
               const DeclaredFile *declared = nullptr);

    std::string text(const std::string &key);
    std::string text_or(const std::string &key, const std::string &fallback);
    bool flag(const std::string &key);
    /// A whole number within [low, high].
    std::int64_t number(const std::string &key, std::int64_t low, std::int64_t high);
    std::optional<std::int64_t> number_if(const std::string &key, std::int64_t low, std::int64_t high);
    double real(const std::string &key);
    std::vector<std::string> texts(const std::string &key);
    std::vector<std::string> texts_or_none(const std::string &key);
    std::optional<std::vector<std::string>> texts_if(const std::string &key);
    std::optional<std::vector<int>> numbers_if(const std::string &key, std::int64_t low, std::int64_t high);
    /// One of `allowed`.
    std::string choice(const std::string &key, const std::vector<std::string> &allowed);
    bool has(const std::string &key) const { return table_.contains(key); }
    TomlReader table(const std::string &key);
    std::vector<std::string> keys() const;
    /// The whole table as JSON; marks every key as read.
    nlohmann::json json();
    /// Refuses keys that nothing has read.
    void finish() const;

    /// The line for an error about `key` (or about the table where it is absent).
    [[noreturn]] void fail(const std::string &key, const std::string &expected) const;

private:
    const toml::node *find(const std::string &key);
    const toml::node &need(const std::string &key, const char *expected);

    std::filesystem::path file_;
    const toml::table &table_;
    std::string prefix_;
    const DeclaredFile *declared_;
    std::set<std::string> read_;
};

/// Parses a file; a syntax error throws `FILE:LINE: ...`.
toml::table parse_toml(const std::filesystem::path &file);

} // namespace daxbench
