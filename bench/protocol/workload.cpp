// SPDX-License-Identifier: Apache-2.0
#include "workload.hpp"

#include <algorithm>

namespace daxbench {

namespace {

using nlohmann::json;

template <typename Declaration> std::vector<std::string> names_of(const std::vector<Declaration> &all)
{
    std::vector<std::string> names;
    for (const auto &one : all)
        names.push_back(one.name);
    return names;
}

WorkloadKey required(WorkloadKey key)
{
    key.required = true;
    return key;
}

const WorkloadKey cache = {
    "cache", KeyKind::choices, "measured warm, cold or both (default: warm)", {"warm", "cold"}};
const WorkloadKey variants = {
    "variants", KeyKind::choices, "kinds of mapping (default: shared)", {"shared", "private"}};
const WorkloadKey file = {
    "file", KeyKind::text,
    "which files: large (the largest; default), small (of 1 to 65536 bytes), all, or a path"};
const WorkloadKey limit = {"limit", KeyKind::number, "files at most"};
const WorkloadKey per = {
    "per", KeyKind::choice, "what the cost is divided by (default: op)", {"op", "page", "MiB"}};
const WorkloadKey repetitions = {"repetitions", KeyKind::number, "samples; a profile may change it"};
const WorkloadKey pattern = {"pattern",
                             KeyKind::choice,
                             "order of blocks or pages (default: sequential)",
                             {"random", "sequential", "sparse"}};
const WorkloadKey block = {"block", KeyKind::number, "bytes of a read (default: 4096)"};
const WorkloadKey iterations = {"iterations", KeyKind::number, "operations of a pass at most"};
const WorkloadKey argv = {"argv", KeyKind::texts, "the program's path and its arguments"};
const WorkloadKey env = {"env", KeyKind::table, "its environment"};
const WorkloadKey passes = {"passes", KeyKind::number, "runs through all operations in one sample"};

std::vector<EngineDeclaration> make_engines()
{
    return {
        {"benchmark",
         "one operation, timed in the agent's process",
         {required({"op", KeyKind::choice, "what is timed", operation_names()}),
          pattern,
          block,
          iterations,
          {"each", KeyKind::flag, "take the time of each operation, too, of those on files (default: false)"},
          {"count_events", KeyKind::flag, "count the events of the CPU's counters in a pass (default: true)"},
          file,
          limit,
          per,
          cache,
          variants,
          passes,
          repetitions}},
        {"fio",
         "a job of fio",
         {required({"job", KeyKind::text, "the job file, below the folder of declarations"}), file, limit,
          per, cache, repetitions}},
        {"program",
         "a program of the filesystem, started with the filesystem as its root",
         {required(argv),
          env,
          {"expect", KeyKind::text, "what it must print (default: the same every time)"},
          per,
          cache,
          passes,
          repetitions}},
        {"compute",
         "data computed with where it is mapped: the cost to a first result, and to another on the same "
         "mapping",
         {required({"task",
                    KeyKind::choice,
                    "a program of the tools that prints ready, then a line for each line it reads; or what "
                    "the agent does itself: a word of each page of a model's tensors, look-ups in a table",
                    {"program", "load-tensors", "probe-table"}}),
          required({"file", KeyKind::text, "the file that it maps, whose frames are counted"}),
          {"argv", KeyKind::texts, "program: its path and arguments; the data is at /mnt"},
          {"env", KeyKind::table, "program: its environment"},
          {"operations", KeyKind::number, "probe-table: look-ups (default: 100000)"},
          {"processes", KeyKind::number, "how many at once (default: 1); the cost is that of each"},
          {"expect", KeyKind::text, "what it must print (default: the same every time)"},
          cache,
          repetitions}},
        {"pressure",
         "the whole tree used again, in a guest whose memory is taken away but for a room for the data",
         {required({"room_percent", KeyKind::number, "that room, of the data's size in whole pages"}),
          {"access", KeyKind::choices, "how it is used (default: both)", {"read", "mapped"}}}},
        {"memory-return", "memory before a mount, while it is used, after drop_caches, and after umount", {}},
        {"concurrent",
         "an operation by several processes at once, each on a CPU of its own; contended locks are counted",
         {required({"op",
                    KeyKind::choice,
                    "4 KiB read at random, the file opened and closed, or a random page mapped, touched and "
                    "unmapped",
                    {"read", "open", "fault"}}),
          required({"processes", KeyKind::number, "how many, at most one for each CPU"}),
          {"operations", KeyKind::number, "of each process (default: 2000)"},
          {"files",
           KeyKind::choices,
           "one for all, or one for each (default: both)",
           {"one-file", "many-files"}}}},
        {"read-all",
         "every file read once: what the page cache holds then",
         {{"percent", KeyKind::number,
           "only files that add up to this part of the data, in one fixed random order (default: 100)"}}},
        {"rest", "nothing: what a guest holds that has only mounted", {}},
        {"map-rss",
         "a process that maps a file and touches every page: its RSS, and what its frames are",
         {file, limit, variants, repetitions}},
        {"inode-slab", "every name looked at: what the inodes take", {}},
        {"page-tables",
         "many processes that map a file and touch a few pages: what their page tables take",
         {required({"processes", KeyKind::number, "how many, alive at the same time"}),
          required({"touches", KeyKind::number, "pages that each touches"}), file, limit, variants}},
        {"abilities",
         "what a mapping of a file can be used for, each tried once: pages given to the kernel "
         "(get_user_pages), 2 MiB "
         "pages, execution, madvise, mremap, a futex",
         {file, limit, required({"argv", KeyKind::texts, "a program of the filesystem that ends with 0"})}},
        {"frames",
         "all data read or mapped: what every page frame of the guest is then, and of the host",
         {{"after",
           KeyKind::choice,
           "read: each file once; map: a process maps and touches all, and lives on (default: read)",
           {"read", "map"}}}},
        {"survive",
         "walks, reads, mappings and programs of an image that is overwritten meanwhile",
         {required({"mutation",
                    KeyKind::choice,
                    "what is written: bytes anywhere, pages of metadata, or a whole other image",
                    {"bytes", "metadata-pages", "other-image"}}),
          required({"seconds", KeyKind::number, "how long, by the guest's clock"}),
          {"argv", KeyKind::texts, "a program of the image that is started again and again"},
          {"seed", KeyKind::number, "of what is written, and of the order of accesses (default: 1)"}}},
        {"calibration",
         "what a guest itself costs, without any filesystem",
         {required({"what",
                    KeyKind::choice,
                    "a loop, getppid(2), a copy of 4 KiB, or the first touch of anonymous memory",
                    {"loop", "null-call", "copy", "fault"}}),
          repetitions}},
        {"allocations",
         "what the kernel allocates in a pass of one operation, by its own tracepoints",
         {required({"op", KeyKind::choice, "what is looked at", operation_names()}), pattern, block,
          iterations, file, limit, per, cache, variants}},
        {"container",
         "a program started in a new container: namespaces, an OverlayFS with its own layer, pivot_root(2)",
         {required(argv),
          env,
          {"expect", KeyKind::text, "what it must print (default: anything)"},
          {"prepare", KeyKind::text,
           "a shell's commands, run once in a container whose layer lies below every other's then"},
          cache,
          repetitions}},
        {"containers",
         "many containers on one mount, alive at the same time: the guest's memory",
         {required({"containers", KeyKind::number, "how many"}),
          required({"argv", KeyKind::texts,
                    "what each runs, and then waits for the end of its input, as a service would"}),
          required({"ready", KeyKind::text, "the line that it prints before it waits"}), env}},
        {"layers",
         "an image of many layers under OverlayFS, of a dataset of the kind layers",
         {required({"op",
                    KeyKind::choice,
                    "mount; lookup and open of a file of each layer, in a folder that all have; share: the "
                    "memory of an overlay of each layer over the first, everything mapped",
                    {"mount", "lookup", "open", "share"}}),
          required({"layers", KeyKind::number, "how many of the dataset's"}), cache, repetitions}},
        {"build", "a tool makes an image of the dataset, on the host", {cache, repetitions}},
    };
}

json schema_of(const WorkloadKey &key)
{
    const json text = {{"type", "string"}};
    json schema = text;
    switch (key.kind) {
    case KeyKind::text: break;
    case KeyKind::texts: schema = {{"type", "array"}, {"items", text}, {"minItems", 1}}; break;
    case KeyKind::number: schema = {{"type", "integer"}, {"minimum", 1}}; break;
    case KeyKind::flag: schema = {{"type", "boolean"}}; break;
    case KeyKind::table: schema = {{"type", "object"}, {"additionalProperties", text}}; break;
    case KeyKind::choice: schema = {{"enum", key.allowed}}; break;
    case KeyKind::choices: schema = {{"type", "array"}, {"items", {{"enum", key.allowed}}}}; break;
    }
    schema["description"] = key.meaning;
    return schema;
}

json schema_of(const EngineDeclaration &engine)
{
    json properties = {{"id", {{"type", "string"}, {"pattern", "^[a-z0-9-]+$"}}},
                       {"engine", {{"const", engine.name}}}};
    json wanted = {"id", "engine"};
    for (const auto &key : engine.keys) {
        properties[key.name] = schema_of(key);
        if (key.required)
            wanted.push_back(key.name);
    }
    return {{"description", engine.meaning},
            {"type", "object"},
            {"properties", properties},
            {"required", wanted},
            {"additionalProperties", false}};
}

} // namespace

const std::vector<OperationDeclaration> &declared_operations()
{
    static const std::vector<OperationDeclaration> operations = {
        {"read", "pread of `block` bytes at multiples of it in random order, or read of the whole file"},
        {"mmap-touch",
         "one byte of each page of a mapping of the whole file; sparse: of one page in each 2 MiB"},
        {"touch-apart", "64 pages (or `iterations`) of the file `file`, as far from each other as its size "
                        "allows, each mapped "
                        "alone, touched and unmapped"},
        {"munmap", "the same mapping, all of it touched, taken away"},
        {"fork",
         "a child, which ends at once, of a process with the same mapping touched; private: written to"},
        {"open-mmap-touch-close",
         "open, fstat, mmap (private), touch of every page, munmap, close; of each file"},
        {"open-close", "open and close, of each file"},
        {"stat", "lstat of each name"},
        {"lookup", "lstat of the names in the directory `file`, in random order"},
        {"walk", "getdents and lstat of the whole tree"},
        {"mount", "mount of what was unmounted before"},
    };
    return operations;
}

const std::vector<EngineDeclaration> &declared_engines()
{
    static const std::vector<EngineDeclaration> engines = make_engines();
    return engines;
}

const EngineDeclaration *find_engine(std::string_view name)
{
    const auto &all = declared_engines();
    const auto found = std::ranges::find(all, name, &EngineDeclaration::name);
    return found == all.end() ? nullptr : &*found;
}

std::vector<std::string> engine_names()
{
    return names_of(declared_engines());
}

std::vector<std::string> operation_names()
{
    return names_of(declared_operations());
}

json workload_schema()
{
    json kinds = json::array();
    for (const auto &engine : declared_engines())
        kinds.push_back(schema_of(engine));
    return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
            {"title", "Workloads of the bench"},
            {"type", "object"},
            {"properties", {{"workload", {{"type", "array"}, {"items", {{"oneOf", kinds}}}}}}},
            {"required", {"workload"}},
            {"additionalProperties", false}};
}

} // namespace daxbench
