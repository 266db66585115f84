// SPDX-License-Identifier: Apache-2.0
#include "toml_reader.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace daxbench {
namespace {

std::string shown(const toml::node &node)
{
    std::ostringstream out;
    node.visit([&](const auto &value) { out << toml::toml_formatter{value}; });
    auto text = out.str();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

nlohmann::json to_json(const toml::node &node)
{
    if (const auto *table = node.as_table()) {
        auto object = nlohmann::json::object();
        for (const auto &[key, value] : *table)
            object[std::string(key.str())] = to_json(value);
        return object;
    }
    if (const auto *array = node.as_array()) {
        auto list = nlohmann::json::array();
        for (const auto &value : *array)
            list.push_back(to_json(value));
        return list;
    }
    if (const auto *value = node.as_string())
        return value->get();
    if (const auto *value = node.as_integer())
        return value->get();
    if (const auto *value = node.as_floating_point())
        return value->get();
    if (const auto *value = node.as_boolean())
        return value->get();
    return shown(node);
}

std::optional<std::vector<std::string>> strings_of(const toml::node &node)
{
    const auto *array = node.as_array();
    if (array == nullptr)
        return std::nullopt;
    std::vector<std::string> texts;
    for (const auto &element : *array) {
        const auto *value = element.as_string();
        if (value == nullptr)
            return std::nullopt;
        texts.push_back(value->get());
    }
    return texts;
}

bool within(std::int64_t value, std::int64_t low, std::int64_t high)
{
    return value >= low && value <= high;
}

} // namespace

TomlReader::TomlReader(std::filesystem::path file, const toml::table &table, std::string prefix,
                       const DeclaredFile *declared)
    : file_(std::move(file)), table_(table), prefix_(std::move(prefix)), declared_(declared)
{
}

void TomlReader::fail(const std::string &key, const std::string &expected) const
{
    const auto *node = table_.get(key);
    const auto line = (node != nullptr ? node->source() : table_.source()).begin.line;
    throw std::runtime_error(fmt::format("{}:{}: {}{}: expected {}, got {}", file_.string(), line, prefix_,
                                         key, expected, node != nullptr ? shown(*node) : "nothing"));
}

const toml::node *TomlReader::find(const std::string &key)
{
    if (declared_ != nullptr && !declared_->declares(prefix_ + key))
        throw std::logic_error(fmt::format("the key {}{} is read and not declared", prefix_, key));
    read_.insert(key);
    return table_.get(key);
}

const toml::node &TomlReader::need(const std::string &key, const char *expected)
{
    const auto *node = find(key);
    if (node == nullptr)
        fail(key, expected);
    return *node;
}

std::string TomlReader::text(const std::string &key)
{
    const auto *value = need(key, "a string").as_string();
    if (value == nullptr)
        fail(key, "a string");
    return value->get();
}

std::string TomlReader::text_or(const std::string &key, const std::string &fallback)
{
    return find(key) != nullptr ? text(key) : fallback;
}

bool TomlReader::flag(const std::string &key)
{
    const auto *value = need(key, "true or false").as_boolean();
    if (value == nullptr)
        fail(key, "true or false");
    return value->get();
}

std::int64_t TomlReader::number(const std::string &key, std::int64_t low, std::int64_t high)
{
    const auto expected = fmt::format("a whole number from {} to {}", low, high);
    const auto *value = need(key, expected.c_str()).as_integer();
    if (value == nullptr || !within(value->get(), low, high))
        fail(key, expected);
    return value->get();
}

std::optional<std::int64_t> TomlReader::number_if(const std::string &key, std::int64_t low, std::int64_t high)
{
    if (find(key) == nullptr)
        return std::nullopt;
    return number(key, low, high);
}

double TomlReader::real(const std::string &key)
{
    const auto value = need(key, "a number").value<double>();
    if (!value || *value < 0)
        fail(key, "a number that is not negative");
    return *value;
}

std::vector<std::string> TomlReader::texts(const std::string &key)
{
    auto list = strings_of(need(key, "a list of strings"));
    if (!list)
        fail(key, "a list of strings");
    return *std::move(list);
}

std::vector<std::string> TomlReader::texts_or_none(const std::string &key)
{
    return texts_if(key).value_or(std::vector<std::string>{});
}

std::optional<std::vector<std::string>> TomlReader::texts_if(const std::string &key)
{
    if (find(key) == nullptr)
        return std::nullopt;
    return texts(key);
}

std::optional<std::vector<int>> TomlReader::numbers_if(const std::string &key, std::int64_t low,
                                                       std::int64_t high)
{
    const auto *node = find(key);
    if (node == nullptr)
        return std::nullopt;
    const auto expected = fmt::format("a list of whole numbers from {} to {}", low, high);
    const auto *array = node->as_array();
    if (array == nullptr)
        fail(key, expected);
    std::vector<int> numbers;
    for (const auto &element : *array) {
        const auto *value = element.as_integer();
        if (value == nullptr || !within(value->get(), low, high))
            fail(key, expected);
        numbers.push_back(static_cast<int>(value->get()));
    }
    return numbers;
}

std::string TomlReader::choice(const std::string &key, const std::vector<std::string> &allowed)
{
    const auto expected = fmt::format("one of \"{}\"", fmt::join(allowed, "\", \""));
    const auto *value = need(key, expected.c_str()).as_string();
    if (value == nullptr || std::find(allowed.begin(), allowed.end(), value->get()) == allowed.end())
        fail(key, expected);
    return value->get();
}

TomlReader TomlReader::table(const std::string &key)
{
    const auto *value = need(key, "a table").as_table();
    if (value == nullptr)
        fail(key, "a table");
    return {file_, *value, prefix_ + key + ".", declared_};
}

std::vector<std::string> TomlReader::keys() const
{
    std::vector<std::string> keys;
    for (const auto &[key, value] : table_)
        keys.emplace_back(key.str());
    return keys;
}

nlohmann::json TomlReader::json()
{
    for (const auto &key : keys())
        read_.insert(key);
    return to_json(table_);
}

void TomlReader::finish() const
{
    for (const auto &key : keys())
        if (!read_.contains(key))
            fail(key, fmt::format("only the keys {}", fmt::join(read_, ", ")));
}

toml::table parse_toml(const std::filesystem::path &file)
{
    try {
        return toml::parse_file(file.string());
    } catch (const toml::parse_error &error) {
        throw std::runtime_error(
            fmt::format("{}:{}: {}", file.string(), error.source().begin.line, error.description()));
    }
}

} // namespace daxbench
