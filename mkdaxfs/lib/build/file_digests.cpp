// SPDX-License-Identifier: Apache-2.0
#include "file_digests.hpp"

#include <algorithm>

#include <sys/stat.h>

namespace daxfs {

namespace {

constexpr std::size_t buffer_bytes = 512 << 10;
constexpr std::size_t inodes_a_job = 64;

class FileDigester {
public:
    FileDigester(const Output &output, DigestKind kind, const Workers &workers)
        : output_(output), workers_(workers), digester_(kind), buffer_(buffer_bytes)
    {
    }

    std::string digest(const Node &node, const std::vector<SparseFile> &sparse)
    {
        if (node.first == 0) {
            add(node.data, node.size);
            return digester_.finish();
        }
        std::uint64_t at = 0;
        for (const Extent &extent : sparse[node.first - 1].extents) {
            digester_.update_zeros(extent.file_off - at, workers_.stop);
            const std::uint64_t end = std::min(extent.file_off + extent.len, node.size);
            add(extent.off, end - extent.file_off);
            at = end;
        }
        digester_.update_zeros(node.size - at, workers_.stop);
        return digester_.finish();
    }

private:
    void add(std::uint64_t offset, std::uint64_t size)
    {
        while (size > 0) {
            workers_.check_stop();
            const auto piece = std::span(buffer_).first(std::min<std::uint64_t>(size, buffer_.size()));
            output_.read(offset, piece);
            digester_.update(piece);
            offset += piece.size();
            size -= piece.size();
        }
    }

    const Output &output_;
    const Workers &workers_;
    Digester digester_;
    std::vector<std::byte> buffer_;
};

} // namespace

std::string file_digests(const Tree &tree, const std::vector<SparseFile> &sparse, const Output &output,
                         DigestKind kind, const Workers &workers)
{
    const std::size_t each = digest_size(kind);
    std::string table(tree.by_ino.size() * each, '\0');
    workers.for_each((tree.by_ino.size() + inodes_a_job - 1) / inodes_a_job, [&](std::size_t job) {
        FileDigester digester(output, kind, workers);
        const std::size_t end = std::min(tree.by_ino.size(), (job + 1) * inodes_a_job);
        for (std::size_t i = job * inodes_a_job; i < end; ++i) {
            const Node &node = tree.nodes[tree.by_ino[i]];
            if (S_ISREG(node.mode))
                table.replace(i * each, each, digester.digest(node, sparse));
        }
    });
    return table;
}

} // namespace daxfs
