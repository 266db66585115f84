// SPDX-License-Identifier: Apache-2.0
#include "list_source.hpp"

#include <cerrno>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

#include "attribute_change.hpp"
#include "daxfs_format.h"
#include "disk_file.hpp"
#include "disk_xattrs.hpp"
#include "error.hpp"
#include "tree_paths.hpp"

namespace daxfs {

namespace {

UniqueFd open_file(const std::string &path)
{
    return UniqueFd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

std::string target_of(const std::string &path)
{
    char target[DAXFS_SYMLINK_MAX + 1];
    const ssize_t len = readlink(path.c_str(), target, sizeof(target));
    if (len < 0)
        throw system_failure(errno, "cannot read the link " + printable(path));
    return {target, static_cast<std::size_t>(len)}; // one that is too long is refused with its path
}

} // namespace

class ListReader {
public:
    ListReader(ListSource &source, TreeBuilder &builder, const Workers &workers)
        : source_(source), builder_(builder), workers_(workers), xattrs_(builder.xattrs())
    {
    }

    void lines()
    {
        for (std::string line; std::getline(source_.in_, line);) {
            count();
            std::string_view rest = line;
            const std::string_view first = next_word(rest);
            if (first.empty() || first.starts_with('#'))
                continue;
            located("line", [&] {
                const std::string path = decoded_word(first);
                const std::string file = decoded_word(next_word(rest));
                if (file.empty())
                    throw std::runtime_error("expected a file of this machine behind " + printable(path));
                AttributeChange change;
                for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
                    const auto [key, value] = split_word(word);
                    if (!change.take(key, value))
                        throw std::runtime_error("unknown here: " + printable(key));
                }
                add(path, file, change);
            });
        }
        check_read();
    }

    // What is up to the first NUL shows which form it is.
    void names()
    {
        std::string first;
        if (std::getline(source_.in_, first, '\0') && !source_.in_.eof()) {
            for (bool have = true; have; have = static_cast<bool>(std::getline(source_.in_, first, '\0')))
                add_name(first);
        } else {
            std::istringstream lines(first);
            for (std::string name; std::getline(lines, name);)
                add_name(name);
        }
        check_read();
    }

private:
    struct Known {
        NodeId node = 0;
        std::string path; // in the image
    };

    void add_name(const std::string &name)
    {
        count();
        if (!name.empty())
            located("name", [&] { add(name, name, {}); });
    }

    void count()
    {
        if (++number_ % 1024 == 0)
            workers_.check_stop();
        workers_.add_entries(1);
    }

    void check_read()
    {
        workers_.check_stop(); // a signal ends a read, too
        if (source_.in_.bad())
            throw std::runtime_error("cannot read " + printable(source_.name_));
    }

    template <typename Step> void located(const char *what, const Step &step) const
    {
        const auto wrong = [&](const std::exception &why) {
            return std::runtime_error(
                fmt::format("{}, {} {}: {}", printable(source_.name_), what, number_, why.what()));
        };
        try {
            step();
        } catch (const Interrupted &) {
            throw;
        } catch (const std::runtime_error &why) {
            throw wrong(why);
        } catch (const std::invalid_argument &why) {
            throw wrong(why);
        }
    }

    void add(const std::string &path, const std::string &file, const AttributeChange &change)
    {
        if (source_.filter_.excludes_or_above(path))
            return;
        if (is_own_image(file))
            return source_.options_.own_image_left(plain_path(path));
        Node node;
        std::string target;
        struct stat st = {};
        try {
            look(file, st, node, target);
        } catch (const std::runtime_error &why) {
            if (!source_.options_.unreadable)
                throw;
            return source_.options_.unreadable(why.what());
        }
        const bool may_be_known =
            st.st_nlink > 1 && !S_ISDIR(st.st_mode) && change.empty() && !source_.options_.hard_dereference;
        const std::pair inode(st.st_dev, st.st_ino);
        if (may_be_known && link(path, inode))
            return;
        if (S_ISREG(node.mode)) {
            source_.files_.push_back({file, change_stamp(st)});
            node.content = source_.files_.size() - 1;
        }
        change.apply(node, builder_.xattrs());
        builder_.put(path, node, target);
        if (may_be_known)
            known_[inode] = {builder_.find(path).value(), path};
    }

    bool is_own_image(const std::string &file) const
    {
        const auto &own = source_.options_.own_image;
        if (!own)
            return false;
        const std::size_t slash = file.rfind('/');
        const std::string name = slash == file.npos ? file : file.substr(slash + 1);
        const std::string directory = slash == file.npos ? "." : file.substr(0, slash + 1);
        struct stat st = {};
        if (!own->name.empty() && own->name != name)
            return false;
        return stat((own->name.empty() ? file : directory).c_str(), &st) == 0 && st.st_dev == own->dev &&
               st.st_ino == own->ino;
    }

    void look(const std::string &file, struct stat &st, Node &node, std::string &target)
    {
        if (lstat(file.c_str(), &st) != 0)
            throw system_failure(errno, "cannot stat " + printable(file));
        if (source_.options_.unreadable && S_ISREG(st.st_mode) && !open_file(file))
            throw system_failure(errno, "cannot open " + printable(file));
        node = to_node(st);
        if (S_ISLNK(st.st_mode))
            target = target_of(file);
        node.xattrs = xattrs_.read(file);
    }

    // Another name of a file that is still where its first name put it.
    bool link(const std::string &path, const std::pair<dev_t, ino_t> &inode)
    {
        const auto known = known_.find(inode);
        if (known == known_.end() || builder_.find(known->second.path) != known->second.node)
            return false;
        builder_.link(path, known->second.path);
        return true;
    }

    ListSource &source_;
    TreeBuilder &builder_;
    const Workers &workers_;
    DiskXattrs xattrs_;
    std::map<std::pair<dev_t, ino_t>, Known> known_;
    std::uint64_t number_ = 0;
};

ListSource::ListSource(std::istream &in, std::string name, Form form, PathFilter filter,
                       DirectoryOptions options)
    : in_(in), name_(std::move(name)), form_(form), filter_(std::move(filter)), options_(std::move(options))
{
}

std::unique_ptr<Tree> ListSource::scan(const Workers &workers)
{
    TreeBuilder builder;
    add_to(builder, workers);
    return builder.finish();
}

void ListSource::add_to(TreeBuilder &builder, const Workers &workers)
{
    ListReader reader(*this, builder, workers);
    form_ == Form::lines ? reader.lines() : reader.names();
}

std::unique_ptr<FileContent> ListSource::open(const Tree &tree, NodeId node) const
{
    const HostFile &file = files_[tree.nodes[node].content];
    UniqueFd fd = open_file(file.path);
    if (!fd)
        throw system_failure(errno, "cannot open " + printable(file.path));
    return open_disk_file(std::move(fd), tree.nodes[node].size, file.stamp,
                          [&file] { return printable(file.path); });
}

} // namespace daxfs
