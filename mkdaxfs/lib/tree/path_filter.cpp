// SPDX-License-Identifier: Apache-2.0
#include "path_filter.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <variant>

#include <regex.h>

#include <fmt/core.h>

#include "error.hpp"
#include "glob.hpp"
#include "thread_locale.hpp"

namespace daxfs {

namespace {

class Regex {
public:
    explicit Regex(const std::string &expression) : compiled_(new regex_t, free)
    {
        const int result = regcomp(compiled_.get(), expression.c_str(), REG_EXTENDED | REG_NOSUB);
        if (result == 0)
            return;
        char why[200];
        regerror(result, compiled_.get(), why, sizeof(why));
        compiled_.get_deleter() = [](regex_t *failed) { delete failed; };
        throw std::invalid_argument("expected a regular expression, got " + printable(expression) + ": " +
                                    why);
    }

    bool matches(const std::string &path) const
    {
        return regexec(compiled_.get(), path.c_str(), 0, nullptr, 0) == 0;
    }

private:
    static void free(regex_t *compiled)
    {
        regfree(compiled);
        delete compiled;
    }

    std::unique_ptr<regex_t, void (*)(regex_t *)> compiled_;
};

} // namespace

struct PathFilter::Pattern {
    std::variant<Glob, Regex> what;
    bool keeps;
    std::string shown;
    mutable std::atomic<bool> has_matched = false;

    Pattern(std::variant<Glob, Regex> pattern, bool keeps_it, std::string text)
        : what(std::move(pattern)), keeps(keeps_it), shown(std::move(text))
    {
    }

    bool matches(const std::string &path) const
    {
        return std::visit([&](const auto &pattern) { return pattern.matches(path); }, what);
    }
};

void PathFilter::add(const std::string &glob, std::string shown)
{
    const bool keeps = glob.starts_with('!');
    patterns_.push_back(
        std::make_shared<const Pattern>(Glob(std::string_view(glob).substr(keeps)), keeps, std::move(shown)));
}

void PathFilter::add_glob(const std::string &glob)
{
    add(glob, printable(glob));
}

void PathFilter::add_globs(std::istream &lines, const std::string &name)
{
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        const auto is_blank = [&](std::size_t at) { return line[at] == ' ' || line[at] == '\t'; };
        while (!line.empty() && is_blank(line.size() - 1) &&
               !(line.size() > 1 && line[line.size() - 2] == '\\'))
            line.pop_back();
        if (line.empty() || line.starts_with('#'))
            continue;
        const auto wrong = [&](const std::string &why) {
            return std::runtime_error(fmt::format("{} line {}: {}", printable(name), number, why));
        };
        if (line.find('\0') != line.npos)
            throw wrong("expected a glob a line, got a NUL");
        try {
            add(line, fmt::format("{} ({} line {})", printable(line), printable(name), number));
        } catch (const std::invalid_argument &failure) {
            throw wrong(failure.what());
        }
    }
    if (lines.bad())
        throw std::runtime_error("cannot read " + printable(name));
}

void PathFilter::add_regex(const std::string &expression)
{
    patterns_.push_back(std::make_shared<const Pattern>(Regex(expression), false, printable(expression)));
}

bool PathFilter::excludes(const std::string &path) const
{
    // A tree from a directory and one from an archive lose the same.
    const ThreadLocale bytes("C");
    const Pattern *last = nullptr;
    for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
        const bool is_known = (*pattern)->has_matched.load(std::memory_order_relaxed);
        if ((last && is_known) || !(*pattern)->matches(path))
            continue;
        if (!is_known)
            (*pattern)->has_matched.store(true, std::memory_order_relaxed);
        last = last ? last : pattern->get();
    }
    return last && !last->keeps;
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

std::vector<std::string> PathFilter::unmatched() const
{
    std::vector<std::string> patterns;
    for (const auto &pattern : patterns_)
        if (!pattern->has_matched)
            patterns.push_back(pattern->shown);
    return patterns;
}

} // namespace daxfs
