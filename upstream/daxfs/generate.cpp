// SPDX-License-Identifier: Apache-2.0
// fs/daxfs as it would be submitted, made of kmod/: the same files without what other kernels need.
// Conditionals are decided by unifdef(1), names that kmod/compat.h gives things of the kernel are replaced by
// these things, and what then reads oddly is edited. Whatever is not found as expected is an error, so that
// kmod/ and this file cannot drift apart unseen.
#include "generate.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "files.hpp"
#include "process.hpp"
#include "temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Argv;
using std::string;
using std::vector;

constexpr const char *release = "7.3.0";

struct File {
    const char *from; ///< below kmod/
    const char *to;   ///< below fs/daxfs/
};

// entries_devmap.c is of kernels before 6.15.
constexpr File files[] = {{"super.c", "super.c"},
                          {"options.c", "options.c"},
                          {"failure.c", "failure.c"},
                          {"inode.c", "inode.c"},
                          {"dir.c", "dir.c"},
                          {"file.c", "file.c"},
                          {"xattr.c", "xattr.c"},
                          {"export.c", "export.c"},
                          {"validate.c", "validate.c"},
                          {"trace.c", "trace.c"},
                          {"fault.c", "fault.c"},
                          {"entries_special.c", "entries_special.c"},
                          {"entries_folio.c", "entries_folio.c"},
                          {"iomap.c", "iomap.c"},
                          {"memory/region.c", "region.c"},
                          {"memory/dax.c", "dax.c"},
                          {"memory/phys.c", "phys.c"},
                          {"memory/dmabuf.c", "dmabuf.c"},
                          {"reader/image.c", "image.c"},
                          {"reader/image.h", "image.h"},
                          {"reader/daxfs_format.h", "daxfs_format.h"},
                          {"daxfs.h", "daxfs.h"},
                          {"entries.h", "entries.h"},
                          {"arch.h", "arch.h"},
                          {"trace.h", "trace.h"}};

// Not compiled for user space nor as C++, and of the kernel's mechanisms those of `release`.
const Argv decided = {"-D__KERNEL__",
                      "-U__cplusplus",
                      "-UDAXFS_DEVMAP_ENTRIES",
                      "-DDAXFS_CLAIMS_DEVICE_DAX",
                      "-UDAXFS_HAVE_FAULT_AROUND",
                      "-DPFN_PTE_SHIFT"};

struct Edit {
    const char *file;
    const char *from;
    const char *to;
};

// What reads oddly once one kernel is left.
constexpr Edit edits[] = {
    {"fault.c", R"(/*
 * A debugger's write to a private page that is mapped already copies it by its
 * struct page. Kernels look for none behind a device-map entry and copy from the
 * debugger's own memory: who may be debugged gets page by page there.
 */
static bool daxfs_fault_needs_page(const struct daxfs_fault *fault)
{
	const struct vm_fault *vmf = fault->vmf;

	return 0 && fault->sbi->region.has_pages &&
	       (vmf->vma->vm_flags & VM_MAYWRITE) &&
	       (unlikely(current->ptrace) || unlikely(vmf->flags & FAULT_FLAG_REMOTE));
}

)",
     ""},
    {"fault.c", "\tif (!daxfs_fault_needs_page(&fault))\n\t\tret = daxfs_map_ahead(&fault);\n",
     "\tret = daxfs_map_ahead(&fault);\n"},
    {"fault.c", "if (vmf->cow_page || daxfs_fault_needs_page(&fault))", "if (vmf->cow_page)"},
    {"iomap.c", "\tvm_fault_t ret = 0;\n", "\tvm_fault_t ret;\n"},
    {"iomap.c", "\tif (!ret)\n\t\tret = dax_iomap_fault(", "\tret = dax_iomap_fault("},
    {"super.c", ".shutdown = (daxfs_shutdown),", ".shutdown\t\t= daxfs_shutdown,"},
    {"dax.c", "region->pfn = (pfn);", "region->pfn = pfn;"},
    {"daxfs_format.h", " * docs/format.md is the contract; this header is its only spelling in code.\n",
     " * The tools of user space are made of this same header.\n"},
    {"dmabuf.c", "mappings that follow are not bracketed: docs/mount-options.md.",
     "mappings that follow are not bracketed."},
};

// What a name says better than its value.
const std::set<string> kept = {"DAXFS_ENTIRELY_MAPPED"};

struct Macro {
    vector<string> parameters;
    bool takes_arguments = false;
    string body;
};

/// What is left of kmod/compat.h for one kernel.
struct Compat {
    std::map<string, Macro> macros;
    vector<string> includes;
    string functions; ///< helpers that have a body, with their comments
};

vector<string> lines_of(const string &text)
{
    vector<string> lines;
    std::istringstream stream(text);
    for (string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

/// unifdef knows numbers, not KERNEL_VERSION().
string with_numbers(const string &text)
{
    static const std::regex version(R"(KERNEL_VERSION\((\d+), (\d+), (\d+)\))");
    string result;
    auto rest = text.cbegin();
    for (std::sregex_iterator at(text.begin(), text.end(), version), end; at != end; ++at) {
        result.append(rest, (*at)[0].first);
        result += std::to_string(std::stoi((*at)[1]) << 16 | std::stoi((*at)[2]) << 8 | std::stoi((*at)[3]));
        rest = (*at)[0].second;
    }
    return result.append(rest, text.cend());
}

string decide(const string &text)
{
    const daxbench::TempDir scratch;
    const auto file = scratch.path() / "source";
    daxbench::write_file(file, with_numbers(text));
    const int version = [] {
        int major = 0;
        int minor = 0;
        std::sscanf(release, "%d.%d", &major, &minor);
        return major << 16 | minor << 8;
    }();
    Argv argv{"unifdef", "-x", "2", "-k", fmt::format("-DLINUX_VERSION_CODE={}", version)};
    argv.insert(argv.end(), decided.begin(), decided.end());
    argv.push_back(file.string());
    return daxbench::run_checked(argv).out;
}

string trimmed(const string &text)
{
    const auto begin = text.find_first_not_of(" \t");
    return begin == string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// A `#define` of one logical line.
void add_macro(Compat &compat, const string &line)
{
    static const std::regex shape(R"(#define\s+(\w+)(\(([^)]*)\))?\s*(.*))");
    std::smatch match;
    if (!std::regex_match(line, match, shape))
        throw std::runtime_error("expected a macro in kmod/compat.h, got " + line);
    Macro macro;
    macro.takes_arguments = match[2].matched;
    std::istringstream names(match[3]);
    for (string name; std::getline(names, name, ',');)
        macro.parameters.push_back(trimmed(name));
    macro.body = trimmed(match[4]);
    if (const auto comment = macro.body.find("/*"); comment != string::npos)
        macro.body = trimmed(macro.body.substr(0, comment));
    compat.macros[match[1]] = macro;
}

bool is_kept(const string &line)
{
    std::istringstream words(line);
    string define;
    string name;
    words >> define >> name;
    return kept.contains(name);
}

Compat read_compat(const fs::path &kmod)
{
    Compat compat;
    string pending; // a comment that may belong to a function
    bool in_function = false;
    string logical;
    for (const auto &line : lines_of(decide(daxbench::read_file(kmod / "compat.h")))) {
        if (in_function) {
            compat.functions += line + "\n";
            in_function = line != "}";
            if (!in_function)
                compat.functions += "\n";
        } else if (!logical.empty() || line.starts_with("#define ")) {
            const bool goes_on = line.ends_with('\\');
            logical += logical.empty() ? line : " " + trimmed(line);
            if (goes_on)
                logical = trimmed(logical.substr(0, logical.size() - 1));
            else if (const auto whole = std::exchange(logical, ""); is_kept(whole))
                compat.functions += pending + whole + "\n\n";
            else
                add_macro(compat, whole);
            pending.clear();
        } else if (line.starts_with("#include ")) {
            compat.includes.push_back(line);
        } else if (line.starts_with("static inline ")) {
            compat.functions += pending + line + "\n";
            in_function = true;
            pending.clear();
        } else if (line.starts_with("/*") || line.starts_with(" *")) {
            pending += line + "\n";
        } else {
            pending.clear();
        }
    }
    compat.macros.erase("DAXFS_COMPAT_H");
    return compat;
}

bool is_word(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// The arguments behind an opening parenthesis at `at`, which ends up behind the closing one.
vector<string> arguments_at(const string &text, std::size_t &at)
{
    vector<string> arguments{""};
    int depth = 0;
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '(' && depth++ == 0)
            continue;
        if (c == ')' && --depth == 0)
            break;
        if (c == ',' && depth == 1)
            arguments.emplace_back();
        else
            arguments.back() += c;
    }
    ++at;
    for (auto &argument : arguments)
        argument = trimmed(argument);
    return arguments;
}

/// The text with every word that `by` knows replaced.
string replaced(const string &text, const std::function<bool(const string &, std::size_t &, string &)> &by)
{
    string result;
    for (std::size_t at = 0; at < text.size();) {
        if (!is_word(text[at])) {
            result += text[at++];
            continue;
        }
        const auto begin = at;
        while (at < text.size() && is_word(text[at]))
            ++at;
        const auto word = text.substr(begin, at - begin);
        if (!by(word, at, result))
            result += word;
    }
    return result;
}

string filled(const Macro &macro, const vector<string> &arguments)
{
    return replaced(macro.body, [&](const string &word, std::size_t &, string &to) {
        const auto found = std::ranges::find(macro.parameters, word);
        if (found == macro.parameters.end())
            return false;
        to += arguments.at(static_cast<std::size_t>(found - macro.parameters.begin()));
        return true;
    });
}

string expand(const string &text, const Compat &compat)
{
    return replaced(text, [&](const string &word, std::size_t &at, string &to) {
        const auto found = compat.macros.find(word);
        if (found == compat.macros.end())
            return false;
        const auto &macro = found->second;
        if (macro.takes_arguments && (at >= text.size() || text[at] != '('))
            return false;
        to += filled(macro, macro.takes_arguments ? arguments_at(text, at) : vector<string>{});
        return true;
    });
}

/// Lines that are empty now where something was, and two empty ones in a row, go.
string tidied(const string &text)
{
    string result;
    bool was_empty = true;
    for (const auto &line : lines_of(text)) {
        const bool is_empty = trimmed(line).empty();
        if (is_empty && (was_empty || !line.empty()))
            continue;
        result += line + "\n";
        was_empty = is_empty;
    }
    return result;
}

string edited(string text, const string &file)
{
    for (const auto &edit : edits) {
        if (edit.file != file)
            continue;
        const auto at = text.find(edit.from);
        if (at == string::npos || text.find(edit.from, at + 1) != string::npos)
            throw std::runtime_error(
                fmt::format("expected once in {}: {}\nkmod/ has changed: change upstream/daxfs/generate.cpp",
                            file, edit.from));
        text.replace(at, std::string_view(edit.from).size(), edit.to);
    }
    return text;
}

/// daxfs.h has what is left of compat.h: includes and helpers.
string with_compat(const string &text, const Compat &compat)
{
    string result;
    std::set<string> includes(compat.includes.begin(), compat.includes.end());
    vector<string> lines = lines_of(text);
    for (const auto &line : lines)
        if (line.starts_with("#include <"))
            includes.insert(line);
    includes.erase("#include <linux/version.h>");
    bool put = false;
    for (const auto &line : lines) {
        if (line.starts_with("#include <")) {
            if (!put)
                for (const auto &include : includes)
                    result += include + "\n";
            put = true;
        } else if (line == "#endif /* DAXFS_H */") {
            result += compat.functions + line + "\n";
        } else {
            result += line + "\n";
        }
    }
    return result;
}

string without_compat(const string &text)
{
    string result;
    for (const auto &line : lines_of(text))
        if (line != "#include \"compat.h\"")
            result += line + "\n";
    return result;
}

} // namespace

void generate(const fs::path &kmod, const fs::path &parts, const fs::path &out)
{
    const auto compat = read_compat(kmod);
    const auto folder = out / "fs/daxfs";
    fs::create_directories(folder);
    for (const auto &file : files) {
        auto text = tidied(expand(without_compat(decide(daxbench::read_file(kmod / file.from))), compat));
        text = edited(std::move(text), file.to);
        if (string(file.to) == "daxfs.h")
            text = with_compat(text, compat);
        daxbench::write_file(folder / file.to, text);
    }
    for (const char *part : {"Kconfig", "Makefile"})
        fs::copy_file(parts / part, folder / part, fs::copy_options::overwrite_existing);
    fs::create_directories(out / "Documentation/filesystems");
    fs::copy_file(parts / "daxfs.rst", out / "Documentation/filesystems/daxfs.rst",
                  fs::copy_options::overwrite_existing);
}
