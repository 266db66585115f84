// SPDX-License-Identifier: Apache-2.0
// A tar's own headers, next to libarchive, which drops what it does not understand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pax_records.hpp"

namespace daxfs {

struct TarEntry {
    PaxFields pax;
    std::uint16_t permissions = 0;
    bool has_unknown_type = false;
    bool is_sparse = false;
};

class TarHeaders {
public:
    // One entry: all that libarchive read for it in front of its data. Throws std::runtime_error, which names
    // the entry, for what is not as the formats say.
    TarEntry read(std::string_view headers);
    // Of headers that libarchive did not like: throws the same where they say why, too.
    static void check_records(std::string_view headers);
    // What follows the last entry: headers of one more that is not there are refused.
    void read_end(std::string_view headers);

private:
    std::vector<PaxRecord> global_;
};

} // namespace daxfs
