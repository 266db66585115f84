// SPDX-License-Identifier: Apache-2.0
#include "glob.hpp"

#include <algorithm>
#include <stdexcept>

#include <fnmatch.h>

#include "error.hpp"
#include "path_component.hpp"

namespace daxfs {

namespace {

constexpr std::string_view any_depth = "**";

bool ends_in_a_backslash(std::string_view part)
{
    std::size_t count = 0;
    while (count < part.size() && part[part.size() - 1 - count] == '\\')
        ++count;
    return count % 2 != 0; // two of them are one that is meant
}

std::vector<std::string> names_of(std::string_view path)
{
    std::vector<std::string> names;
    for (std::string_view name = next_component(path); !name.empty(); name = next_component(path))
        names.emplace_back(name);
    return names;
}

// A "**" takes as few names as it can; where the rest does not match, the last one takes one more.
bool match(const std::vector<std::string> &parts, const std::vector<std::string> &names)
{
    std::size_t part = 0;
    std::size_t name = 0;
    std::size_t behind_last = 0; // of the parts, behind a "**"; 0 before there was one
    std::size_t taken = 0;       // names up to its end
    while (name < names.size()) {
        if (part < parts.size() && parts[part] == any_depth) {
            behind_last = ++part;
            taken = name;
        } else if (part < parts.size() && fnmatch(parts[part].c_str(), names[name].c_str(), 0) == 0) {
            ++part;
            ++name;
        } else if (behind_last != 0) {
            part = behind_last;
            name = ++taken;
        } else {
            return false;
        }
    }
    return std::all_of(parts.begin() + static_cast<std::ptrdiff_t>(part), parts.end(),
                       [](const std::string &left) { return left == any_depth; });
}

} // namespace

Glob::Glob(std::string_view text)
{
    // As find(1) prints paths, shells complete and scripts join them.
    is_path_ = text.starts_with('/') || text.starts_with("./");
    std::vector<std::string> parts = names_of(text);
    if (parts.empty())
        throw std::invalid_argument("expected a glob for what is below the root, got " + printable(text));
    if (std::find(parts.begin(), parts.end(), "..") != parts.end())
        throw std::invalid_argument("expected a glob without \"..\", got " + printable(text));
    if (ends_in_a_backslash(parts.back()))
        throw std::invalid_argument("expected a character behind the last backslash, got " + printable(text));
    is_path_ = is_path_ || parts.size() > 1;
    for (const std::string &part : parts)
        pattern_ += (pattern_.empty() ? "" : "/") + part;
    if (!is_path_ || std::find(parts.begin(), parts.end(), any_depth) == parts.end())
        return;
    if (parts.back() == any_depth) // what is below, not the directory itself
        parts.emplace_back("*");
    for (std::string &part : parts)
        if (ends_in_a_backslash(part))
            part.pop_back(); // it stood before a slash
    parts_ = std::move(parts);
}

bool Glob::matches(const std::string &path) const
{
    if (!parts_.empty())
        return match(parts_, names_of(path));
    const std::size_t slash = is_path_ ? path.npos : path.rfind('/');
    const char *matched = path.c_str() + (slash == path.npos ? 0 : slash + 1);
    return fnmatch(pattern_.c_str(), matched, is_path_ ? FNM_PATHNAME : 0) == 0;
}

} // namespace daxfs
