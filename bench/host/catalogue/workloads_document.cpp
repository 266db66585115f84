// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "declared_keys.hpp"
#include "workload.hpp"

namespace daxbench {
namespace {

using std::string;

// "SPDX-License-Identifier" in two, or REUSE would read it as this file's.
constexpr const char *start = "<!-- SPDX-License-"
                              R"(Identifier: Apache-2.0 -->
<!-- Made by `daxbench reference`; a test compares the two. -->
# Declarations of the bench

What the bench measures is declared in TOML files below `workloads/`. A key that is not listed here is an error with
file and line, and so is an id that nothing has. `*` stands for any name; keys in **bold** are required in their table.

A file outside `workloads/` joins with `--with FILE`, without an edit of a suite or an experiment: a filesystem joins the
experiments in guests (its image takes a `--with` of its own), an image those on the host, a dataset the workloads that
take any tree, a workload the experiments of its engine. Examples:

* a filesystem: two files in `docs/examples/ext4-dax/`;
* a dataset: `id = "blob"`, `kind = "random-file"`, `bytes = 1048576`, `seed = 1`, `path = "blob"`;
* a workload: `[[workload]]`, `id = "stat-all"`, `engine = "benchmark"`, `op = "stat"`, `file = "all"`.

`--only 'latency/rootfs/*' --filesystems daxfs,ID` runs these cells alone, with a verdict as daxfs is among them;
`--dry-run` prints them; `./run-bench show results/latest --filesystem ID` shows the rows. With `--kernel-series 7.3` a
guest kernel has the modules of `setup/kernels/base.config` alone.

A tree of your own needs no file: `--dataset-from DIR|TAR|OCI` measures it in place of the suite's datasets, wherever the
workloads take any tree.
)";

void table_of_keys(string &text)
{
    text += "\n| key | value | meaning |\n|---|---|---|\n";
}

const char *type_of(const WorkloadKey &key)
{
    switch (key.kind) {
    case KeyKind::text: return "text";
    case KeyKind::texts: return "list of texts";
    case KeyKind::number: return "number, 1 or more";
    case KeyKind::flag: return "flag";
    case KeyKind::table: return "table of texts";
    case KeyKind::choice: return "";
    case KeyKind::choices: return "list of ";
    }
    return "";
}

string value_of(const WorkloadKey &key)
{
    if (key.allowed.empty())
        return type_of(key);
    return fmt::format("{}`{}`", type_of(key), fmt::join(key.allowed, "`, `"));
}

string named(const string &name, bool required)
{
    return required ? fmt::format("**`{}`**", name) : fmt::format("`{}`", name);
}

} // namespace

string workloads_document()
{
    string text = start;
    const auto out = std::back_inserter(text);
    for (const auto &file : declared_files()) {
        const bool folder = !file.folder.ends_with(".toml");
        fmt::format_to(out, "\n## {}: `workloads/{}{}`\n\n{}\n", file.title, file.folder,
                       folder ? "/*.toml" : "", file.meaning);
        table_of_keys(text);
        for (const auto &key : file.keys)
            fmt::format_to(out, "| {} | {} | {} |\n", named(key.name, key.required), key.type, key.meaning);
    }
    text +=
        "\n## Workloads: `workloads/workloads/*.toml`\n\n"
        "Nothing but `[[workload]]` tables, each with an **`id`** and an **`engine`**, whose keys follow. "
        "`workload.schema.json` says the same to editors (`daxbench schema`).\n";
    for (const auto &engine : declared_engines()) {
        fmt::format_to(out, "\n### Engine `{}`\n\n{}.\n", engine.name, engine.meaning);
        if (!engine.keys.empty())
            table_of_keys(text);
        for (const auto &key : engine.keys)
            fmt::format_to(out, "| {} | {} | {} |\n", named(key.name, key.required), value_of(key),
                           key.meaning);
    }
    text += "\n### Operations of the engine `benchmark`\n\n| `op` | one operation is |\n|---|---|\n";
    for (const auto &operation : declared_operations())
        fmt::format_to(out, "| `{}` | {} |\n", operation.name, operation.meaning);
    return text;
}

} // namespace daxbench
