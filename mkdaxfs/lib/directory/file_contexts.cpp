// SPDX-License-Identifier: Apache-2.0
#include "file_contexts.hpp"

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <sys/stat.h>

#include "error.hpp"

#if DAXFS_HAVE_SELINUX
#include <selinux/label.h>
#include <selinux/selinux.h>
#endif

namespace daxfs {

#if DAXFS_HAVE_SELINUX
namespace {

std::string first_complaint;

// libselinux would print it, once for each line of the file and time it looks.
int keep_first(int, const char *format, ...)
{
    if (!first_complaint.empty())
        return 0;
    std::array<char, 1000> text;
    va_list values;
    va_start(values, format);
    std::vsnprintf(text.data(), text.size(), format, values);
    va_end(values);
    first_complaint = text.data();
    while (first_complaint.ends_with('\n'))
        first_complaint.pop_back();
    return 0;
}

} // namespace

std::function<std::string(const std::string &, std::uint32_t)> read_file_contexts(const std::string &file)
{
    // libselinux takes a directory for an empty file.
    struct stat st = {};
    if (stat(file.c_str(), &st) == 0 && !S_ISREG(st.st_mode))
        throw std::runtime_error("expected a regular file with file contexts, got " + printable(file));
    selinux_set_callback(SELINUX_CB_LOG, {.func_log = keep_first});
    first_complaint.clear();
    const selinux_opt option = {SELABEL_OPT_PATH, file.c_str()};
    const std::shared_ptr<selabel_handle> handle(selabel_open(SELABEL_CTX_FILE, &option, 1),
                                                 [](selabel_handle *h) {
                                                     if (h)
                                                         selabel_close(h);
                                                 });
    if (!handle)
        throw first_complaint.empty()
            ? system_failure(errno, "cannot read the file contexts " + printable(file))
            : std::runtime_error("cannot read the file contexts " +
                                 printable(first_complaint)); // which names it
    return [handle](const std::string &path, std::uint32_t mode) -> std::string {
        char *context = nullptr;
        if (selabel_lookup_raw(handle.get(), &context, path.c_str(), static_cast<int>(mode)) != 0) {
            if (errno == ENOENT)
                return "";
            throw system_failure(errno, "cannot look up the SELinux label of " + printable(path));
        }
        const std::string label = context;
        freecon(context);
        return label;
    };
}
#else
std::function<std::string(const std::string &, std::uint32_t)> read_file_contexts(const std::string &)
{
    throw std::runtime_error("--file-contexts: this mkdaxfs was built without libselinux; build it "
                             "with the package libselinux1-dev installed");
}
#endif

} // namespace daxfs
