// SPDX-License-Identifier: Apache-2.0
#include "path_filter.hpp"

#include <algorithm>
#include <stdexcept>

#include <fnmatch.h>
#include <regex.h>

#include "error.hpp"
#include "path_component.hpp"
#include "thread_locale.hpp"

namespace daxfs {

struct PathFilter::Regex {
    explicit Regex(const std::string &expression)
    {
        const int result = regcomp(&compiled, expression.c_str(), REG_EXTENDED | REG_NOSUB);
        if (result == 0)
            return;
        char why[200];
        regerror(result, &compiled, why, sizeof(why));
        throw std::runtime_error("expected a regular expression, got " + printable(expression) + ": " + why);
    }
    Regex(const Regex &) = delete;
    Regex &operator=(const Regex &) = delete;
    ~Regex() { regfree(&compiled); }

    regex_t compiled;
};

void PathFilter::add_glob(const std::string &glob)
{
    // As find(1) prints paths, shells complete and scripts join them.
    const bool from_root = glob.starts_with('/') || glob.starts_with("./");
    std::string_view rest = glob;
    std::string pattern;
    for (std::string_view part = next_component(rest); !part.empty(); part = next_component(rest)) {
        if (part == "..")
            throw std::runtime_error("expected a glob without \"..\", got " + printable(glob));
        pattern += (from_root || !pattern.empty() ? "/" : "") + std::string(part);
    }
    if (pattern.empty())
        throw std::runtime_error("expected a glob for what is below the root, got " + printable(glob));
    globs_.push_back(pattern);
}

void PathFilter::add_regex(const std::string &expression)
{
    regexes_.push_back(std::make_shared<Regex>(expression));
}

bool PathFilter::excludes(const std::string &path) const
{
    // A tree from a directory and one from an archive lose the same.
    const ThreadLocale bytes("C");
    const std::size_t slash = path.rfind('/');
    const char *last = path.c_str() + (slash == path.npos ? 0 : slash + 1);
    for (const std::string &glob : globs_) {
        const bool whole = glob.find('/') != std::string::npos;
        const char *pattern = glob.c_str() + (glob.starts_with('/') ? 1 : 0);
        if (fnmatch(pattern, whole ? path.c_str() : last, whole ? FNM_PATHNAME : 0) == 0)
            return true;
    }
    for (const auto &regex : regexes_) {
        if (regexec(&regex->compiled, path.c_str(), 0, nullptr, 0) == 0)
            return true;
    }
    return false;
}

bool PathFilter::excludes_or_above(std::string_view path) const
{
    if (empty())
        return false;
    std::string front;
    while (!path.empty()) {
        const std::string_view part = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(part.size() + 1, path.size()));
        if (part.empty() || part == ".")
            continue;
        if (!front.empty())
            front += '/';
        front += part;
        if (excludes(front))
            return true;
    }
    return false;
}

} // namespace daxfs
