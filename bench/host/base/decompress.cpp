// SPDX-License-Identifier: Apache-2.0
#include "decompress.hpp"

#include <memory>
#include <stdexcept>
#include <vector>

#include <archive.h>
#include <fmt/format.h>

#include "cache.hpp"

namespace daxbench {

std::string decompressed(std::string_view data, const std::string &name)
{
    const std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(),
                                                                        archive_read_free);
    const auto fail = [&]() -> std::runtime_error {
        const char *why = archive_error_string(reader.get());
        return std::runtime_error(
            fmt::format("expected to decompress {}, got: {}", name, why ? why : "unknown error"));
    };
    archive_read_support_filter_all(reader.get());
    archive_read_support_format_raw(reader.get());
    archive_read_support_format_empty(reader.get());
    archive_entry *entry = nullptr;
    if (archive_read_open_memory(reader.get(), data.data(), data.size()) != ARCHIVE_OK ||
        archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK)
        throw fail();
    std::string out;
    std::vector<char> buffer(1 << 20);
    for (;;) {
        const auto n = archive_read_data(reader.get(), buffer.data(), buffer.size());
        if (n < 0)
            throw fail();
        if (n == 0)
            return out;
        out.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

std::string read_decompressed(const std::filesystem::path &path)
{
    return decompressed(read_file(path), path.string());
}

} // namespace daxbench
