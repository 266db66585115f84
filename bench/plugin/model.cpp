// SPDX-License-Identifier: Apache-2.0
#include "model.hpp"

#include <algorithm>

namespace daxbench {

namespace {

constexpr std::size_t line_bytes = ModelParameters::line;
constexpr std::uint64_t code_bit = std::uint64_t{1} << 62; // keys of code are no keys of data

} // namespace

SetAssociative::SetAssociative(std::size_t entries, std::size_t ways)
    : ways_(ways), sets_(entries / ways), keys_(entries)
{
}

bool SetAssociative::touch(std::uint64_t key)
{
    const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(key % sets_ * ways_);
    const auto last = first + static_cast<std::ptrdiff_t>(ways_);
    const std::uint64_t stored = key + 1;
    const auto found = std::find(first, last, stored);
    const bool hit = found != last;
    std::rotate(first, hit ? found : last - 1, hit ? found + 1 : last);
    *first = stored;
    return hit;
}

void SetAssociative::clear()
{
    std::ranges::fill(keys_, 0);
}

void TlbModel::touch(std::uint64_t address, bool code)
{
    const std::uint64_t page = address >> page_shift_;
    seen_.insert(page);
    if ((code ? code_ : data_).touch(page))
        return;
    ++first_misses;
    if (!second_.touch(page))
        ++second_misses;
}

void TlbModel::clear()
{
    *this = TlbModel(page_shift_);
}

void Model::line(std::uint64_t key, SetAssociative &first, std::uint64_t &misses)
{
    if (first.touch(key))
        return;
    ++misses;
    if (!l2_.touch(key))
        ++l2_misses_;
}

void Model::data(std::uint64_t virtual_address, std::uint64_t physical, std::size_t bytes)
{
    small_.touch(virtual_address, false);
    large_.touch(virtual_address, false);
    for (std::uint64_t key = physical / line_bytes; key <= (physical + bytes - 1) / line_bytes; ++key) {
        data_lines_.insert(key);
        line(key, l1_data_, data_misses_);
    }
}

void Model::code(std::uint64_t address, std::size_t bytes)
{
    small_.touch(address, true);
    large_.touch(address, true);
    for (std::uint64_t key = address / line_bytes; key <= (address + bytes - 1) / line_bytes; ++key) {
        code_lines_.insert(key);
        line(key | code_bit, l1_code_, code_misses_);
    }
}

void Model::clear()
{
    *this = Model();
}

void Model::write(std::ostream &out) const
{
    const auto put = [&out](const char *name, std::uint64_t value) {
        out << "m " << name << ' ' << value << '\n';
    };
    put("data_lines", data_lines_.size());
    put("code_lines", code_lines_.size());
    put("l1_data_misses", data_misses_);
    put("l1_code_misses", code_misses_);
    put("l2_misses", l2_misses_);
    put("pages_4k", small_.pages());
    put("tlb_misses_4k", small_.first_misses);
    put("stlb_misses_4k", small_.second_misses);
    put("pages_2m", large_.pages());
    put("tlb_misses_2m", large_.first_misses);
    put("stlb_misses_2m", large_.second_misses);
}

} // namespace daxbench
