// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace daxfs {

// What an extraction had to leave out. Of each kind the first few are told at once, the rest in one line: a
// tree in which every file has what the filesystem has not would drown all else.
class Losses {
public:
    explicit Losses(std::function<void(const std::string &)> tell) : tell_(std::move(tell)) {}

    // "/PATH: WHAT: WHY"
    void add(const std::string &path, const std::string &what, const std::string &why);
    // Tells the rest.
    void end();
    std::uint64_t count() const { return count_; }

private:
    std::function<void(const std::string &)> tell_;
    std::map<std::string, std::uint64_t> kinds_; // "WHAT: WHY"
    std::uint64_t count_ = 0;
};

} // namespace daxfs
