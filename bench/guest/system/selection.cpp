// SPDX-License-Identifier: Apache-2.0
#include "selection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <stdexcept>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "io.hpp"

namespace daxbench {

namespace {

void list_into(const std::string &directory, dev_t device, std::vector<SelectedFile> &files)
{
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(::opendir(directory.c_str()), ::closedir);
    if (!dir)
        throw_errno("cannot list " + directory);
    while (const dirent *entry = ::readdir(dir.get())) {
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0)
            continue;
        const std::string path = directory + "/" + entry->d_name;
        struct stat st {};
        if (::lstat(path.c_str(), &st) < 0)
            throw_errno("cannot stat " + path);
        files.push_back({path, static_cast<std::uint64_t>(st.st_size), S_ISREG(st.st_mode)});
        if (S_ISDIR(st.st_mode) && st.st_dev == device)
            list_into(path, device, files);
    }
}

std::vector<SelectedFile> spread(const std::vector<SelectedFile> &files, std::size_t limit)
{
    if (limit == 0 || files.size() <= limit)
        return files;
    std::vector<SelectedFile> kept;
    for (std::size_t i = 0; i < limit; ++i)
        kept.push_back(files[i * files.size() / limit]);
    return kept;
}

SelectedFile largest(const std::vector<SelectedFile> &files)
{
    SelectedFile best;
    for (const SelectedFile &file : files)
        if (file.regular && (best.path.empty() || file.size > best.size))
            best = file;
    return best;
}

SelectedFile named_file(const std::string &root, const std::string &name)
{
    const std::string path = root + "/" + name;
    struct stat st {};
    if (::lstat(path.c_str(), &st) < 0)
        throw_errno("cannot stat " + path + " (does the dataset fit the workload?)");
    return {path, static_cast<std::uint64_t>(st.st_size), S_ISREG(st.st_mode)};
}

} // namespace

std::vector<SelectedFile> list_tree(const std::string &root)
{
    struct stat st {};
    if (::lstat(root.c_str(), &st) < 0)
        throw_errno("cannot stat " + root);
    std::vector<SelectedFile> files;
    list_into(root, st.st_dev, files);
    std::sort(files.begin(), files.end(),
              [](const SelectedFile &a, const SelectedFile &b) { return a.path < b.path; });
    return files;
}

std::vector<SelectedFile> distinct_files(const std::vector<SelectedFile> &tree)
{
    std::set<ino_t> seen;
    std::vector<SelectedFile> files;
    for (const SelectedFile &entry : tree) {
        struct stat st {};
        if (::lstat(entry.path.c_str(), &st) < 0)
            throw_errno("cannot stat " + entry.path);
        if (entry.regular && seen.insert(st.st_ino).second)
            files.push_back(entry);
    }
    return files;
}

std::vector<SelectedFile> select_files(const std::string &root, const json &workload)
{
    const std::string selector = workload.value("file", "large");
    const std::size_t limit = workload.value("limit", std::size_t{0});
    // A named file needs no walk, which would fill the caches of a file system with a million others.
    if (selector != "large" && selector != "small" && selector != "all")
        return {named_file(root, selector)};
    std::vector<SelectedFile> files = list_tree(root);
    if (selector == "large") {
        const SelectedFile best = largest(files);
        files.clear();
        if (best.size > 0)
            files.push_back(best);
    } else if (selector == "small") {
        std::erase_if(files, [](const SelectedFile &file) {
            return !file.regular || file.size < 1 || file.size > 65536;
        });
    }
    if (files.empty())
        throw std::runtime_error("expected files for the selector '" + selector + "' below " + root +
                                 ", found none: does the dataset fit the workload?");
    return spread(files, limit);
}

} // namespace daxbench
