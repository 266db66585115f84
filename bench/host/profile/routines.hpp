// SPDX-License-Identifier: Apache-2.0
// Which function of the kernel an address belongs to.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace daxbench {

struct Routine {
    std::string name;   ///< without what the compiler adds to parts and clones (.cold, .isra.0, .constprop.0)
    std::string module; ///< "" for the kernel itself
    auto operator<=>(const Routine &) const = default;
};

class Routines {
public:
    /// TEXT: the agent's "symbols", lines "ADDRESS NAME [MODULE]" in any order; throws naming a line of
    /// another form.
    explicit Routines(std::string_view text);

    /// Of the last symbol at or below ADDRESS: symbols have no sizes. {"?", ""} below the first.
    const Routine &at(std::uint64_t address) const;

    /// Names of those that BELONGS accepts, each once, in the alphabet's order.
    std::vector<std::string> names(const std::function<bool(const Routine &)> &belongs) const;

private:
    struct Symbol {
        std::uint64_t address;
        Routine routine;
    };
    std::vector<Symbol> symbols_;
    Routine unknown_{"?", ""};
};

} // namespace daxbench
