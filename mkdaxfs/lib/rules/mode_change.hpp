// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace daxfs {

// A mode in octal digits, or a change as chmod(1) has it, such as "u+x,go-w". No umask counts: a change that
// says for whom of nobody is for all. Octal digits and "=" set what they say, of directories, too.
class ModeChange {
public:
    // Throws std::invalid_argument when it is neither.
    explicit ModeChange(std::string_view text);

    // The mode with its type, changed.
    std::uint16_t applied(std::uint16_t mode) const;

private:
    struct Step {
        unsigned who = 0; // the bits it is for
        char action = 0;  // + - =
        unsigned bits = 0;
        bool search = false; // X
        char from = 0;       // u, g or o: whose bits they are
    };

    void parse_clause(std::string_view clause);

    std::optional<unsigned> bits_;
    std::vector<Step> steps_;
};

} // namespace daxfs
