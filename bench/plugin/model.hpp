// SPDX-License-Identifier: Apache-2.0
// A model, not a measurement: which cache lines and TLB entries the same instructions would have missed in
// caches of these sizes. They start empty with each section, evict what was used longest ago, and fetch
// nothing ahead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <unordered_set>
#include <vector>

namespace daxbench {

/// A cache of keys: sets of `ways`, the least recently used one leaves.
class SetAssociative {
public:
    SetAssociative(std::size_t entries, std::size_t ways);
    /// True where it was there.
    bool touch(std::uint64_t key);
    void clear();

private:
    std::size_t ways_;
    std::size_t sets_;
    std::vector<std::uint64_t> keys_; // of a set, the most recently used first; 0: none
};

struct ModelParameters {
    static constexpr std::size_t line = 64;
    static constexpr std::size_t l1_bytes = 32 << 10, l1_ways = 8; // one for code, one for data
    static constexpr std::size_t l2_bytes = 1 << 20, l2_ways = 16;
    static constexpr std::size_t tlb_entries = 64, tlb_ways = 4; // one for code, one for data
    static constexpr std::size_t stlb_entries = 1536, stlb_ways = 12;
};

/// Two levels of TLB, with pages of one size.
class TlbModel {
public:
    explicit TlbModel(unsigned page_shift) : page_shift_(page_shift) {}
    void touch(std::uint64_t address, bool code);
    void clear();

    std::uint64_t first_misses = 0;
    std::uint64_t second_misses = 0;
    std::size_t pages() const { return seen_.size(); }

private:
    unsigned page_shift_;
    SetAssociative code_{ModelParameters::tlb_entries, ModelParameters::tlb_ways};
    SetAssociative data_{ModelParameters::tlb_entries, ModelParameters::tlb_ways};
    SetAssociative second_{ModelParameters::stlb_entries, ModelParameters::stlb_ways};
    std::unordered_set<std::uint64_t> seen_;
};

class Model {
public:
    /// VIRTUAL for the TLB, PHYSICAL for the caches: what two processes share is one line.
    void data(std::uint64_t virtual_address, std::uint64_t physical, std::size_t bytes);
    /// Code by its virtual address.
    void code(std::uint64_t address, std::size_t bytes);
    void clear();
    /// Lines "m NAME VALUE".
    void write(std::ostream &out) const;

private:
    void line(std::uint64_t key, SetAssociative &first, std::uint64_t &misses);

    SetAssociative l1_data_{ModelParameters::l1_bytes / ModelParameters::line, ModelParameters::l1_ways};
    SetAssociative l1_code_{ModelParameters::l1_bytes / ModelParameters::line, ModelParameters::l1_ways};
    SetAssociative l2_{ModelParameters::l2_bytes / ModelParameters::line, ModelParameters::l2_ways};
    std::unordered_set<std::uint64_t> data_lines_;
    std::unordered_set<std::uint64_t> code_lines_;
    std::uint64_t data_misses_ = 0;
    std::uint64_t code_misses_ = 0;
    std::uint64_t l2_misses_ = 0;
    TlbModel small_{12};
    TlbModel large_{21};
};

} // namespace daxbench
