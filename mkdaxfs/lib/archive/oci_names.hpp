// SPDX-License-Identifier: Apache-2.0
// What the JSON of container images says: names, platforms, lists.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "blob_store.hpp"

namespace daxfs {

using Json = nlohmann::json;

// One line about the image `name`.
std::runtime_error no_image(const std::string &name, const std::string &why);

// `name` is for messages.
Json parse_json(const std::string &text, const std::string &name);
// "" where there is none.
std::string text_at(const Json &json, const char *key);
std::optional<std::uint64_t> size_at(const std::string &name, const Json &json, const char *key);
// Null where there is none.
const Json &member(const Json &json, const char *key);
// Empty where there is none; Go writes null for that.
const Json &list_at(const std::string &name, const Json &json, const char *key);

// Platforms as docker writes them: "linux/arm64/v8"; "" for none.
std::string platform_in(const Json &json);
// "linux/" and this machine's, unless another one is asked for.
std::string wanted_platform(const std::string &platform);
// Is "linux/arm64/v8" meant by "arm64", "linux/arm64" or itself?
bool is_platform(const std::string &platform, const std::string &wanted);
// Of indexes, `one` may name no system where nobody asked for one.
bool is_platform_of_index(const std::string &one, const std::string &platform);
// As containerd has it, arm64 is v8 and arm v7 where nothing else is said.
std::string with_variant(std::string platform);

// Is "docker.io/library/debian:12" meant by "12", "debian:12" or itself? A name without a tag is not that
// with "latest".
bool is_name(const std::string &name, const std::string &wanted);
// Nothing but docker's own registry may be left out.
bool is_whole_name(const std::string &name, const std::string &wanted);

// Those that the tag names, the whole name before what others end with; all without one.
std::vector<std::size_t> named(const std::vector<std::vector<std::string>> &names, const std::string &tag);
// "it has the tags a, b".
std::string tags_in(const std::vector<std::vector<std::string>> &names);

} // namespace daxfs
