// SPDX-License-Identifier: Apache-2.0
#include "kernel_symbols.hpp"

#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "io.hpp"
#include "mark.hpp"

namespace daxbench {

namespace {

void for_each_routine(const std::function<void(const std::string &address, const std::string &name,
                                               const std::string &module)> &use)
{
    std::istringstream lines(read_file("/proc/kallsyms"));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string address;
        char type = 0;
        std::string name;
        std::string module;
        words >> address >> type >> name >> module;
        if (type == 't' || type == 'T' || type == 'w' || type == 'W')
            use(address, name, module);
    }
}

bool matches(const std::string &name, const std::string &pattern)
{
    if (pattern.ends_with('*'))
        return name.starts_with(pattern.substr(0, pattern.size() - 1));
    return name == pattern;
}

} // namespace

json kernel_symbols()
{
    std::string symbols;
    for_each_routine([&](const std::string &address, const std::string &name, const std::string &module) {
        symbols += address + ' ' + name + (module.empty() ? "" : ' ' + module) + '\n';
    });
    return {{"symbols", symbols}};
}

json announce_routines(const json &args)
{
    std::map<std::string, int> found;
    int announced = 0;
    const json &routines = args.at("routines");
    for_each_routine([&](const std::string &address, const std::string &name, const std::string &) {
        for (const auto &[pattern, meaning] : routines.items())
            if (matches(name, pattern)) {
                announce_routine(std::stoull(address, nullptr, 16), meaning.get<std::uint8_t>());
                ++found[pattern];
                ++announced;
            }
    });
    for (const auto &[pattern, meaning] : routines.items())
        if (!found.contains(pattern))
            throw std::runtime_error(fmt::format(
                "expected a routine {} in the guest's kernel, it has none of that name", pattern));
    return {{"announced", announced}};
}

} // namespace daxbench
