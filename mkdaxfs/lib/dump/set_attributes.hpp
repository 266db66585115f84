// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <sys/stat.h>

#include "image_reader.hpp"
#include "losses.hpp"

namespace daxfs {

// Removes an attribute; also true where there was none.
bool drop_xattr(int fd, const char *name);

// Gives what was extracted the image's owners, rights, times and extended attributes; what cannot be set is a
// loss.
class SetAttributes {
public:
    // Without keeps_owners files are the caller's, and a program of other owners is not to run as whoever
    // extracts it: set-user-ID and set-group-ID go, without a word. With drops_acls what a directory around
    // made inherit goes first.
    SetAttributes(const ImageReader &reader, Losses &losses, bool keeps_owners, bool drops_acls)
        : reader_(reader), losses_(losses), keeps_owners_(keeps_owners), drops_acls_(drops_acls)
    {
    }

    void of_fd(int fd, const daxfs_attr &attr, const std::string &path);
    // Of what cannot be opened: a symlink, a device, a pipe, a socket.
    void of_name(int dir, const std::string &name, const daxfs_attr &attr, const std::string &path);

private:
    void lost(const std::string &path, const std::string &what, const char *why);
    void lost(const std::string &path, const std::string &what);
    bool is_valid_owner(const daxfs_attr &attr, const std::string &path);
    mode_t mode_of(const daxfs_attr &attr, bool is_owned, const std::string &path);
    void compare_time(const struct stat &now, const daxfs_attr &attr, const std::string &path);

    const ImageReader &reader_;
    Losses &losses_;
    const bool keeps_owners_;
    const bool drops_acls_;
};

} // namespace daxfs
