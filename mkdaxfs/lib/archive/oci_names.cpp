// SPDX-License-Identifier: Apache-2.0
#include "oci_names.hpp"

#include <algorithm>

#include <sys/utsname.h>

#include <fmt/core.h>

#include "error.hpp"

namespace daxfs {

namespace {

std::string this_architecture()
{
    utsname system = {};
    uname(&system);
    const std::string_view machine = system.machine;
    if (machine == "x86_64")
        return "amd64";
    if (machine == "aarch64")
        return "arm64";
    if (machine.starts_with("arm"))
        return "arm";
    if (machine.size() == 4 && machine.front() == 'i' && machine.ends_with("86"))
        return "386";
    return std::string(machine);
}

// docker leaves out its own registry.
std::string_view without_registry(std::string_view name)
{
    for (const std::string_view part : {"docker.io/", "library/"}) {
        if (name.starts_with(part))
            name.remove_prefix(part.size());
    }
    return name;
}

} // namespace

std::runtime_error no_image(const std::string &name, const std::string &why)
{
    return std::runtime_error(printable(name) + ": " + why);
}

Json parse_json(const std::string &text, const std::string &name)
{
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded())
        throw std::runtime_error(printable(name) + ": expected JSON, got something else");
    return json;
}

const Json &member(const Json &json, const char *key)
{
    static const Json none;
    const auto at = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && at != json.end() ? *at : none;
}

std::string text_at(const Json &json, const char *key)
{
    const Json &at = member(json, key);
    return at.is_string() ? at.get<std::string>() : "";
}

std::optional<std::uint64_t> size_at(const std::string &name, const Json &json, const char *key)
{
    const Json &at = member(json, key);
    if (at.is_null())
        return std::nullopt;
    if (!at.is_number_unsigned())
        throw no_image(name,
                       fmt::format("expected a number of bytes as {}, got {}", key, printable(at.dump())));
    return at.get<std::uint64_t>();
}

const Json &list_at(const std::string &name, const Json &json, const char *key)
{
    static const Json none = Json::array();
    const Json &at = member(json, key);
    if (at.is_null())
        return none;
    if (!at.is_array())
        throw no_image(name, fmt::format("expected a list as {}, got something else", key));
    return at;
}

std::string platform_in(const Json &json)
{
    std::string text;
    for (const char *part : {"os", "architecture", "variant"}) {
        const std::string value = text_at(json, part);
        if (!value.empty())
            text += (text.empty() ? "" : "/") + value;
    }
    return text;
}

std::string wanted_platform(const std::string &platform)
{
    return platform.empty() ? "linux/" + this_architecture() : platform;
}

std::string with_variant(std::string platform)
{
    if (platform.ends_with("arm64"))
        platform += "/v8";
    else if (platform.ends_with("arm"))
        platform += "/v7";
    return platform;
}

bool is_platform(const std::string &platform, const std::string &wanted)
{
    return ("/" + with_variant(platform) + "/").find("/" + wanted + "/") != std::string::npos;
}

bool is_platform_of_index(const std::string &one, const std::string &platform)
{
    return is_platform(one, wanted_platform(platform)) || (platform.empty() && one == this_architecture());
}

bool is_whole_name(const std::string &name, const std::string &wanted)
{
    return without_registry(name) == without_registry(wanted);
}

bool is_name(const std::string &name, const std::string &wanted)
{
    return is_whole_name(name, wanted) || name.ends_with(":" + wanted) || name.ends_with("/" + wanted);
}

std::vector<std::size_t> named(const std::vector<std::vector<std::string>> &names, const std::string &tag)
{
    const auto those = [&](bool (*is)(const std::string &, const std::string &)) {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (tag.empty() || std::any_of(names[i].begin(), names[i].end(),
                                           [&](const std::string &name) { return is(name, tag); }))
                found.push_back(i);
        }
        return found;
    };
    const std::vector<std::size_t> whole = those(is_whole_name);
    return whole.empty() ? those(is_name) : whole;
}

std::string tags_in(const std::vector<std::vector<std::string>> &names)
{
    std::string all;
    for (const auto &of_one : names) {
        for (const std::string &name : of_one) {
            if (!name.empty())
                all += (all.empty() ? "" : ", ") + printable(name);
        }
    }
    return all.empty() ? "it has no tags" : "it has the tags " + all;
}

} // namespace daxfs
