// SPDX-License-Identifier: Apache-2.0
#include "guest_host.hpp"

#include <map>
#include <mutex>

#include "guest.hpp"

namespace daxbench {
namespace {

/// Far above the four seconds a boot takes: fifteen other guests may be using the same cores, and a compiler.
/// A guest that panics ends by itself.
constexpr Seconds boot_limit{240};

class QemuSession : public GuestSession {
public:
    QemuSession(GuestConfig config, Display &display, bool keep)
        : image_(config.image), profile_(config.log_dir / profile_file), guest_(std::move(config)),
          display_(display), keep_(keep)
    {
        guest_.start();
        hello_ = guest_.wait_hello(boot_limit);
    }

    ~QemuSession() override
    {
        if (keep_ && !interrupted())
            display_.say(guest_.keep());
    }

    const nlohmann::json &hello() const override { return hello_; }

    using GuestSession::call;
    nlohmann::json call(const std::string &op, const nlohmann::json &args, Seconds timeout) override
    {
        return guest_.call(op, args, timeout);
    }

    void shutdown() override
    {
        if (!keep_)
            guest_.shutdown();
    }

    HostMemory host_memory() const override { return daxbench::host_memory(guest_.pid(), image_); }

    const Argv &command() const override { return guest_.command(); }

    std::string profile() const override { return read_file(profile_); }

private:
    std::filesystem::path image_;
    std::filesystem::path profile_;
    Guest guest_;
    Display &display_;
    bool keep_;
    nlohmann::json hello_;
};

bool counts_host_memory(Driver driver)
{
    return driver == Driver::instances || driver == Driver::frames;
}

class QemuHost : public GuestHost {
public:
    QemuHost(const World &world, const Catalogue &catalogue, Display &display, GuestHostOptions options)
        : world_(world), catalogue_(catalogue), display_(display), options_(std::move(options))
    {
    }

    std::unique_ptr<GuestSession> boot(const Cell &cell, int instance,
                                       const std::vector<Request> &script) override
    {
        auto config =
            guest_config(world_, catalogue_, cell, instance, options_.log_root / file_name_of(cell.id));
        config.keep = options_.keep;
        config.script = script;
        // A fault of QEMU's maps what lies around it as far as the host has it in its page cache: where
        // QEMU's memory is counted, that must not depend on who has read the image before.
        if (counts_host_memory(cell.driver) && !config.image.empty())
            read_into_page_cache(config.image);
        return std::make_unique<QemuSession>(std::move(config), display_, options_.keep);
    }

    std::unique_ptr<WritableImage> writable_image(const Cell &cell) override
    {
        const auto &filesystem = catalogue_.filesystems.at(cell.filesystem);
        if (filesystem.medium != "pmem")
            throw std::runtime_error("expected a filesystem on memory that guests can share (medium pmem), " +
                                     cell.filesystem + " is on the medium " + filesystem.medium);
        const auto &id = filesystem.needed_image();
        const auto &image = world_.images.at({id, cell.dataset}).path;
        const auto other = world_.images.find({id, cell.other_dataset});
        if (other == world_.images.end())
            throw std::runtime_error("expected the image " + id + " of " + cell.other_dataset +
                                     ", it could not be made");
        return std::make_unique<ImageCopy>(image, other->second.path,
                                           metadata_of(image, world_.datasets.at(cell.dataset).dir));
    }

    std::unique_ptr<GuestSession> boot_on(const Cell &cell, int instance, const WritableImage &image,
                                          GuestRole role) override
    {
        const auto &copy = dynamic_cast<const ImageCopy &>(image);
        auto config =
            guest_config(world_, catalogue_, cell, instance, options_.log_root / file_name_of(cell.id));
        config.image = copy.path();
        config.image_writable = true;
        // What a flood of messages begins with must still be there at its end.
        config.extra_cmdline = "log_buf_len=16M";
        if (role == GuestRole::writer)
            config.tools = copy.other();
        config.keep = options_.keep;
        return std::make_unique<QemuSession>(std::move(config), display_, options_.keep);
    }

    void step(const Cell &cell, const std::string &text) override { display_.step(cell.id, text); }

private:
    /// Of each image once: all of it and of its dataset is read for that.
    std::vector<std::uint64_t> metadata_of(const std::filesystem::path &image,
                                           const std::filesystem::path &tree)
    {
        const std::lock_guard lock(mutex_);
        auto &pages = metadata_[image];
        if (pages.empty())
            pages = metadata_pages(image, tree);
        return pages;
    }

    std::mutex mutex_;
    std::map<std::filesystem::path, std::vector<std::uint64_t>> metadata_;
    const World &world_;
    const Catalogue &catalogue_;
    Display &display_;
    GuestHostOptions options_;
};

} // namespace

std::unique_ptr<WritableImage> GuestHost::writable_image(const Cell &)
{
    throw std::logic_error("this host has no writable images");
}

std::unique_ptr<GuestSession> GuestHost::boot_on(const Cell &, int, const WritableImage &, GuestRole)
{
    throw std::logic_error("this host has no guests over a writable image");
}

std::unique_ptr<GuestHost> make_guest_host(const World &world, const Catalogue &catalogue, Display &display,
                                           GuestHostOptions options)
{
    return std::make_unique<QemuHost>(world, catalogue, display, std::move(options));
}

} // namespace daxbench
