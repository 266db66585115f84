// SPDX-License-Identifier: Apache-2.0
#include "summary.hpp"

#include <ostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "error.hpp"
#include "uuid.hpp"

namespace daxfs {

namespace {

std::string to_json(const std::string &image, const BuildSummary &s, double seconds)
{
    return nlohmann::ordered_json{
        {"image", printable(image)},
        {"uuid", show_uuid(s.uuid)},
        {"label", printable(s.label)},
        {"inodes", s.inodes},
        {"files", s.files},
        {"directories", s.directories},
        {"symlinks", s.symlinks},
        {"image_bytes", s.image_bytes},
        {"metadata_bytes", s.metadata_bytes},
        {"file_bytes", s.file_bytes},
        {"data_bytes", s.data_bytes},
        {"shared_bytes", s.shared_bytes},
        {"hole_bytes", s.hole_bytes},
        {"padding_bytes", s.padding_bytes},
        {"ordered_files", s.ordered_files},
        {"unknown_files", s.unknown_files},
        {"left_out", s.left_out},
        {"digest", digest_name(s.digest)},
        {"root_digest", to_hex(s.root_digest)},
        {"seconds", seconds},
    }
        .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string to_text(const std::string &image, const MkfsOptions &o, const BuildSummary &s, double seconds)
{
    constexpr double mb = 1e6;
    return fmt::format(
        "{}: {:.1f} MB, {} inodes, {:.1f} MB of data, {:.1f} MB shared, UUID {}{}{}{}, {:.2f} s",
        printable(image), static_cast<double>(s.image_bytes) / mb, s.inodes,
        static_cast<double>(s.data_bytes) / mb, static_cast<double>(s.shared_bytes) / mb, show_uuid(s.uuid),
        s.root_digest.empty() ? "" : fmt::format(", {} {}", digest_name(s.digest), to_hex(s.root_digest)),
        o.order.empty() ? ""
                        : fmt::format(", {} files ordered, {} unknown", s.ordered_files, s.unknown_files),
        s.left_out == 0 ? "" : fmt::format(", {} left out", s.left_out), seconds);
}

} // namespace

void report(const MkfsOptions &o, const std::string &image, const BuildSummary &summary, double seconds,
            std::ostream &out)
{
    if (o.json)
        out << to_json(image, summary, seconds) << '\n';
    else if (!o.quiet)
        out << to_text(image, o, summary, seconds) << '\n';
}

} // namespace daxfs
