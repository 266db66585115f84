// SPDX-License-Identifier: Apache-2.0
// Whether ids that a declaration names are declared.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "toml_reader.hpp"

namespace daxbench {

/// How many letters must change, be added or go to make `to` of `from`.
std::size_t distance(const std::string &from, const std::string &to);

template <typename Spec> std::set<std::string> ids_of(const std::map<std::string, Spec> &specs)
{
    std::set<std::string> ids;
    for (const auto &[id, spec] : specs)
        ids.insert(id);
    return ids;
}

inline const std::string &id_of(const std::string &id)
{
    return id;
}

template <typename Spec> const std::string &id_of(const std::pair<const std::string, Spec> &entry)
{
    return entry.first;
}

/// Checks that every id of a list is declared; an error names the nearest one that is.
template <typename Map>
void check_known(const TomlReader &reader, const char *key, const std::vector<std::string> &ids,
                 const Map &known, const char *where)
{
    for (const auto &id : ids) {
        if (known.contains(id))
            continue;
        const std::string *nearest = nullptr;
        for (const auto &other : known)
            if (nearest == nullptr || distance(id, id_of(other)) < distance(id, *nearest))
                nearest = &id_of(other);
        reader.fail(key,
                    fmt::format("ids declared in workloads/{}, where there is no {}{}", where, id,
                                nearest == nullptr ? "" : fmt::format(" (the nearest is {})", *nearest)));
    }
}

} // namespace daxbench
