// SPDX-License-Identifier: Apache-2.0
// Changes of attributes by path and type, for a tree that is whole: the file of --rules.
#pragma once

#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tree.hpp"

namespace daxfs {

// A line is "GLOB [type=TYPE,...] KEY=VALUE ...": a Glob with its bytes as %XX where they are blanks or "%",
// "/" for the root, and the words of an AttributeChange. All that match apply, in their order. Copies know
// together which rules have matched.
class Rules {
public:
    // Throws with the line that is wrong; the name is for messages.
    void add(std::istream &lines, const std::string &name);

    bool empty() const { return rules_.empty(); }
    // The tree has been finished. A file with several names is changed where one of them matches. A mode
    // changes no symlink but where the rule's types name them.
    // With `keep_opaque`, what marks a directory of a layer as opaque stays.
    void apply(Tree &tree, bool keep_opaque) const;
    // As they were given, with their places: those that have matched nothing so far.
    std::vector<std::string> unmatched() const;

private:
    struct Rule;
    static std::shared_ptr<Rule> parse(std::string_view line);

    std::vector<std::shared_ptr<const Rule>> rules_;
};

} // namespace daxfs
