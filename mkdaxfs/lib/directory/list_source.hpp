// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <vector>

#include "directory_scanner.hpp"
#include "path_filter.hpp"
#include "source.hpp"
#include "unique_fd.hpp"

namespace daxfs {

// Files of this machine that a list names, each for itself: what is in a directory has to be named, too.
class ListSource : public TreeSource {
public:
    enum class Form {
        lines, // "PATH FILE [KEY=VALUE ...]": where it goes in the image, where it is, an AttributeChange
        names, // where it is, which is where it goes; a NUL behind each where there is any, else a newline
    };

    // `name` is for messages; the stream is read once. Relative names are those of the working directory.
    ListSource(std::istream &in, std::string name, Form form, PathFilter filter, DirectoryOptions options);

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    void add_to(TreeBuilder &builder, const Workers &workers) override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    friend class ListReader;
    struct HostFile {
        std::string path;
        std::uint64_t stamp = 0;
    };

    std::istream &in_;
    std::string name_;
    Form form_;
    PathFilter filter_;
    DirectoryOptions options_;
    std::vector<HostFile> files_; // by Node::content
};

} // namespace daxfs
