// SPDX-License-Identifier: Apache-2.0
// Outputs that are files: one that appears under its name only when it is complete, and a block
// device.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "output.hpp"

namespace daxfs {

// Where the image goes that is to be written to this path: a symlink stays, also one that leads
// to nothing yet.
std::string resolved(const std::filesystem::path &target);

class OutputFile : public FdOutput {
public:
    enum class Publish { on_commit, later };

    // Opens a file without a name in the directory of target, where its filesystem has such (O_TMPFILE), else
    // a temporary file beside target, which is replaced only by commit(), or later by publish(). Throws when
    // target is there and is no regular file.
    // `sync` says what commit() will be asked.
    explicit OutputFile(const std::string &target, Publish when = Publish::on_commit, bool sync = true);
    OutputFile(const OutputFile &) = delete;
    OutputFile &operator=(const OutputFile &) = delete;
    // Removes the temporary file when it was not committed.
    ~OutputFile() override;

    void will_write(std::uint64_t offset, std::uint64_t size) override;
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override;
    bool clone(int from, std::uint64_t from_offset, std::uint64_t size, std::uint64_t offset) override;
    void zero(std::uint64_t, std::uint64_t) override {}
    // Renames the file at the end.
    void commit(std::span<const std::byte> super, std::uint64_t size, bool sync) override;
    // The committed image gets its name.
    void publish();

private:
    void link_beside();

    Publish when_;
    bool allocates_ = false; // what is about to be written
    bool sync_;
    std::atomic<std::uint64_t> written_ = 0; // bytes
    std::string temporary_;                  // the name until then; empty while it has none
};

// A block device, which must not be in use.
class OutputDevice : public FdOutput {
public:
    OutputDevice(const std::string &device, bool force);

    void zero(std::uint64_t offset, std::uint64_t size) override { write_zeros(offset, size); }
    void commit(std::span<const std::byte> super, std::uint64_t size, bool sync) override;
    bool is_in_place() const override { return true; }

private:
    void bring_to_medium(std::uint64_t offset, std::uint64_t size) override;
};

} // namespace daxfs
