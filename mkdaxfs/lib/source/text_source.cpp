// SPDX-License-Identifier: Apache-2.0
#include "text_source.hpp"

#include <istream>
#include <span>
#include <stdexcept>
#include <utility>

#include <sys/stat.h>

#include <fmt/core.h>

#include "attribute_change.hpp"
#include "daxfs_format.h"
#include "error.hpp"
#include "text_form.hpp"

namespace daxfs {

namespace {

struct Type {
    std::string_view name;
    std::uint16_t mode;
};

constexpr Type types[] = {{"reg", S_IFREG}, {"dir", S_IFDIR},  {"lnk", S_IFLNK},  {"chr", S_IFCHR},
                          {"blk", S_IFBLK}, {"fifo", S_IFIFO}, {"sock", S_IFSOCK}};

class TextReader {
public:
    TextReader(std::istream &in, const std::string &name, const PathFilter &filter, TreeBuilder &builder,
               Spool &spool, ImageIdentity &identity, const Workers &workers)
        : in_(in), name_(name), filter_(filter), builder_(builder), spool_(spool), identity_(identity),
          workers_(workers)
    {
    }

    void run()
    {
        if (!next_line() || (line_ != text_without_end && line_ != text_with_end))
            throw wrong(
                fmt::format("expected \"{}\" or \"{}\" as its first line", text_without_end, text_with_end));
        const bool has_end = line_ == text_with_end;
        bool have = next_line();
        while (have && !(has_end && line_ == text_last_line)) {
            if (number_ % 1024 == 0)
                workers_.check_stop();
            workers_.add_entries(1);
            have = statement();
        }
        if (has_end && !have)
            throw wrong(fmt::format("expected \"{}\" as the last line, got the end of a text that was cut",
                                    text_last_line));
        if (has_end && next_line())
            throw wrong(fmt::format("expected nothing after \"{}\", got more", text_last_line));
    }

private:
    std::runtime_error wrong(std::string_view why) const
    {
        return std::runtime_error(fmt::format("{}, line {}: {}", printable(name_), number_, why));
    }

    bool next_line()
    {
        ++number_;
        const bool have = static_cast<bool>(std::getline(in_, line_));
        if (!have)
            workers_.check_stop(); // a signal ends a read, too
        if (in_.bad())
            throw wrong("cannot be read");
        return have;
    }

    std::string_view word() { return next_word(rest_); }

    std::string decoded(std::string_view text)
    {
        std::string bytes;
        located([&] { bytes = decoded_word(text); });
        return bytes;
    }

    // One line and what belongs to it; false at the end of the text.
    bool statement()
    {
        rest_ = line_;
        const std::string what(word());
        if (what.empty() || what.starts_with('#'))
            return next_line();
        if (what == "label" || what == "uuid" || what == "build-time" || what == "digest") {
            header(what);
            return next_line();
        }
        if (what == "remove") {
            const std::string path = decoded(word());
            end_of_line();
            if (!filter_.excludes_or_above(path))
                located([&] { remove(path); });
            return next_line();
        }
        if (what == "link") {
            const std::string path = decoded(word());
            const std::string to = decoded(word());
            end_of_line();
            if (filter_.excludes_or_above(path))
                builder_.link_excluded(path, to);
            else
                located([&] { builder_.link(path, to); });
            return next_line();
        }
        if (what == "set") {
            set();
            return next_line();
        }
        for (const Type &type : types) {
            if (what == type.name)
                return inode(type);
        }
        throw wrong("expected reg, dir, lnk, chr, blk, fifo, sock, set, link, remove, label, "
                    "uuid, build-time or digest, got " +
                    printable(what));
    }

    void remove(const std::string &path)
    {
        if (!builder_.remove(path))
            throw std::runtime_error("expected a path that an earlier source put there, got " +
                                     (path.empty() ? "none" : printable(path)));
    }

    // Attributes of what is there, and nothing else of it.
    void set()
    {
        const std::string path = decoded(word());
        if (path.empty())
            throw wrong("expected a path after set");
        AttributeChange change;
        for (std::string_view next = word(); !next.empty(); next = word())
            located([&] {
                const auto [key, value] = split_word(next);
                if (!change.take(key, value))
                    throw std::runtime_error("unknown here: " + printable(key));
            });
        if (change.empty())
            throw wrong("expected something to change of " + printable(path) + ", got nothing");
        if (filter_.excludes_or_above(path))
            return;
        located([&] {
            const auto id = builder_.find(path);
            if (!id)
                throw std::runtime_error("expected a path that is there, got " + printable(path));
            change.apply(builder_.attributes(*id), builder_.xattrs());
        });
    }

    void end_of_line()
    {
        const std::string_view more = word();
        if (!more.empty())
            throw wrong("expected the end of the line, got " + printable(more));
    }

    template <typename Step> void located(const Step &step)
    {
        try {
            step();
        } catch (const std::runtime_error &error) {
            throw wrong(error.what());
        } catch (const std::invalid_argument &error) {
            throw wrong(error.what());
        }
    }

    void header(std::string_view what)
    {
        const std::string value = decoded(word());
        end_of_line();
        if (what == "label") {
            if (value.size() > DAXFS_LABEL_MAX)
                throw wrong("expected a label of at most 32 bytes");
            identity_.label = value;
        } else if (what == "uuid") {
            identity_.uuid = parse_uuid(value);
            if (!identity_.uuid)
                throw wrong("expected a UUID, got " + printable(value));
        } else if (what == "digest") {
            identity_.digest = parse_digest_kind(value);
            if (!identity_.digest)
                throw wrong("expected xxh3, sha256 or none, got " + printable(value));
        } else {
            located([&] { identity_.build_time = number<std::int64_t>("build-time", value); });
        }
    }

    template <typename T> static T number(std::string_view key, std::string_view text)
    {
        const auto value = parse_number<T>(text);
        if (!value)
            throw std::invalid_argument(fmt::format("expected a number as {}, got {}", key, printable(text)));
        return *value;
    }

    bool inode(const Type &type)
    {
        const std::string path = decoded(word());
        if (path.empty())
            throw wrong(fmt::format("expected a path after {}", type.name));
        const std::uint64_t named = number_;
        Node node;
        const unsigned permissions = S_ISDIR(type.mode) ? 0755 : S_ISLNK(type.mode) ? 0777 : 0644;
        node.mode = static_cast<std::uint16_t>(type.mode | permissions);
        std::string target;
        AttributeChange change;
        for (std::string_view next = word(); !next.empty(); next = word())
            located([&] { attribute(next, node, target, change); });
        change.apply(node, builder_.xattrs());
        if (S_ISREG(node.mode))
            node.content = spool_.next();
        const std::uint64_t size = node.size;
        const bool more = S_ISREG(node.mode) ? content(node.content, size) : next_line();
        if (!S_ISREG(node.mode))
            node.size = 0;
        const std::uint64_t behind = std::exchange(number_, named); // for messages: the line that names it
        located([&] {
            if (filter_.excludes_or_above(path))
                builder_.put_excluded(path, node, target);
            else
                builder_.put(path, node, target);
        });
        number_ = behind;
        return more;
    }

    void attribute(std::string_view text, Node &node, std::string &target, AttributeChange &change)
    {
        const auto [key, value] = split_word(text);
        if (key == "size" && S_ISREG(node.mode)) {
            node.size = number<std::uint64_t>(key, value);
        } else if (key == "target" && S_ISLNK(node.mode)) {
            target = decoded_word(value);
        } else if (key == "dev" && (S_ISCHR(node.mode) || S_ISBLK(node.mode))) {
            const std::size_t colon = std::min(value.find(':'), value.size());
            node.data = std::uint64_t{number<std::uint32_t>(key, value.substr(0, colon))} << 32 |
                        number<std::uint32_t>(key, value.substr(std::min(colon + 1, value.size())));
        } else if (!change.take(key, value)) {
            throw std::invalid_argument("unknown here: " + printable(key));
        }
    }

    // Lines "+ BASE64" (bytes) and "0 COUNT" (a hole) after a regular file.
    bool content(std::uint64_t at, std::uint64_t size)
    {
        std::uint64_t done = 0;
        bool more = next_line();
        for (; more && (line_.starts_with("+ ") || line_.starts_with("0 ")); more = next_line()) {
            const std::string_view value = std::string_view(line_).substr(2);
            if (line_.starts_with('0')) {
                std::uint64_t hole = 0;
                located([&] { hole = number<std::uint64_t>("hole", value); });
                if (hole > size - done)
                    throw wrong(fmt::format("more than the {} bytes of the file", size));
                done += hole;
                continue;
            }
            const auto bytes = base64_decode(value);
            if (!bytes || bytes->size() > size - done)
                throw wrong(bytes ? fmt::format("more than the {} bytes of the file", size)
                                  : "expected base64, got something else");
            spool_.write(at + done, std::as_bytes(std::span(*bytes)));
            done += bytes->size();
        }
        if (done != size)
            throw wrong(fmt::format("expected {} bytes before this line, got {}", size, done));
        located([&] { spool_.take(size); });
        return more;
    }

    std::istream &in_;
    const std::string &name_;
    const PathFilter &filter_;
    TreeBuilder &builder_;
    Spool &spool_;
    ImageIdentity &identity_;
    const Workers &workers_;
    std::string line_;
    std::string_view rest_;
    std::uint64_t number_ = 0;
};

} // namespace

TextSource::TextSource(std::istream &in, std::string name, PathFilter filter)
    : in_(in), name_(std::move(name)), filter_(std::move(filter))
{
}

std::unique_ptr<Tree> TextSource::scan(const Workers &workers)
{
    TreeBuilder builder;
    add_to(builder, workers);
    return builder.finish();
}

void TextSource::add_to(TreeBuilder &builder, const Workers &workers)
{
    TextReader(in_, name_, filter_, builder, spool_, identity_, workers).run();
}

std::unique_ptr<FileContent> TextSource::open(const Tree &tree, NodeId node) const
{
    return spool_.open(tree, node);
}

} // namespace daxfs
