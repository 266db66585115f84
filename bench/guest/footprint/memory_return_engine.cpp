// SPDX-License-Identifier: Apache-2.0
// What a mount takes and gives back: memory before it, mounted, after everything was read and mapped, after
// drop_caches, and after umount.
#include "engines.hpp"
#include "mounts.hpp"
#include "operation_parts.hpp"
#include "selection.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

void use_all(const std::string &target)
{
    for (const SelectedFile &file : distinct_files(list_tree(target))) {
        read_whole_file(file.path);
        touch_whole_file(file);
    }
}

double grown(const json &before, const json &now, const char *kind)
{
    return now.at(kind).get<double>() - before.at(kind).get<double>();
}

json row(const char *stage, const json &before)
{
    settle();
    const json now = memory_by_kind();
    const auto metric = [&](double bytes) { return json{{"unit", "bytes"}, {"samples", {bytes}}}; };
    return {{"variant", stage},
            {"metric", "held_bytes"},
            {"unit", "bytes"},
            {"samples", {-grown(before, now, "mem_free")}},
            {"extra",
             {{"page_cache_bytes", metric(grown(before, now, "page_cache") + grown(before, now, "buffers"))},
              {"slab_bytes", metric(grown(before, now, "slab"))},
              {"meminfo_page_table_bytes", metric(grown(before, now, "page_tables"))}}}};
}

} // namespace

json run_memory_return_engine(const RunRequest &request)
{
    // Mounted once before: what a first mount leaves for good (caches of inodes, a module's own) is none of
    // it.
    use_all(request.target);
    unmount(request.target);
    drop_caches();
    settle();
    const json before = memory_by_kind();
    json results = json::array();
    request.mount_anew();
    results.push_back(row("mounted", before));
    use_all(request.target);
    results.push_back(row("used", before));
    drop_caches();
    results.push_back(row("dropped", before));
    unmount(request.target);
    results.push_back(row("unmounted", before));
    request.mount_anew();
    return {{"results", results}, {"raw", {{"before", before}}}};
}

} // namespace daxbench
