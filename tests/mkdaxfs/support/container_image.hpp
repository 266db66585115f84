// SPDX-License-Identifier: Apache-2.0
// A container image that umoci made, as tools of other people make them: three layers, with whiteouts and an
// opaque directory.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "shell.hpp"

namespace daxfs::test {

struct ContainerImage {
    std::string layout;   // OCI layout; the image's tag is "v3"
    std::string unpacked; // what umoci makes of it
    // mkdaxfs' options for the same owners: without root, umoci unpacks everything as the user's own.
    std::vector<std::string> owners;
};

inline void shell_checked(const std::string &command)
{
    if (const std::string said = shell(command); !said.empty())
        throw std::runtime_error(said);
}

inline ContainerImage make_container_image(const std::filesystem::path &dir)
{
    const bool root = geteuid() == 0;
    const std::string in = "cd " + dir.string() + " && ";
    const auto umoci = [&](const std::string &args) { shell_checked(in + "umoci --log=error " + args); };
    const std::string unpack = root ? "unpack --image oci:" : "unpack --rootless --image oci:";
    umoci("init --layout oci");
    umoci("new --image oci:v1");
    umoci(unpack + "v1 b0");
    shell_checked(in + "cd b0/rootfs && mkdir -p etc opq/sub keep whole/sub && echo one >etc/one && "
                       "echo two >etc/two && ln etc/one etc/hard && echo l >opq/sub/x && ln -s etc lnk && "
                       "echo k >keep/k && echo w >whole/sub/w && head -c 3000000 /dev/urandom >large && "
                       "chmod 4755 etc/two");
    if (root)
        shell_checked(in + "cd b0/rootfs && mknod null c 1 3 && chown 70000:8 large");
    umoci("repack --image oci:v1 b0");

    umoci(unpack + "v1 b1");
    shell_checked(in + "cd b1/rootfs && rm etc/two && rm -r opq keep && mkdir opq && echo u >opq/upper && "
                       "echo changed >etc/one && rm lnk && echo file >lnk && echo now >keep");
    umoci("repack --image oci:v2 b1");

    // umoci itself writes a whiteout for each name, never an opaque directory.
    shell_checked(in + "mkdir -p l/whole && touch l/whole/.wh..wh..opq && echo new >l/whole/new && "
                       "tar --owner=0 --group=0 --numeric-owner -C l -cf layer.tar whole");
    umoci("raw add-layer --image oci:v2 --tag v3 layer.tar");
    umoci(unpack + "v3 b3");

    ContainerImage made{dir / "oci", dir / "b3/rootfs", {}};
    if (!root)
        made.owners = {"--force-uid", std::to_string(geteuid()), "--force-gid", std::to_string(getegid())};
    return made;
}

// The same image as one file, in a form of skopeo's: "docker-archive" or "oci-archive".
inline std::string container_archive(const ContainerImage &image, const std::string &form)
{
    const std::string file = image.layout + "." + form;
    const std::string reference = form == "docker-archive" ? ":daxfs/test:v3" : ":v3";
    shell_checked("skopeo --insecure-policy copy --quiet oci:" + image.layout + ":v3 " + form + ":" + file +
                  reference);
    return file;
}

} // namespace daxfs::test
