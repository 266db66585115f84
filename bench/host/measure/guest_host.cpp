// SPDX-License-Identifier: Apache-2.0
#include "guest_host.hpp"

#include "guest.hpp"

namespace daxbench {
namespace {

/// Far above the four seconds a boot takes: other guests may be using the same cores.
constexpr Seconds boot_limit{60};

class QemuSession : public GuestSession {
public:
    QemuSession(GuestConfig config, Display &display, bool keep)
        : image_(config.image), guest_(std::move(config)), display_(display), keep_(keep)
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

private:
    std::filesystem::path image_;
    Guest guest_;
    Display &display_;
    bool keep_;
    nlohmann::json hello_;
};

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
        return std::make_unique<QemuSession>(std::move(config), display_, options_.keep);
    }

    void step(const Cell &cell, const std::string &text) override { display_.step(cell.id, text); }

private:
    const World &world_;
    const Catalogue &catalogue_;
    Display &display_;
    GuestHostOptions options_;
};

} // namespace

std::unique_ptr<GuestHost> make_guest_host(const World &world, const Catalogue &catalogue, Display &display,
                                           GuestHostOptions options)
{
    return std::make_unique<QemuHost>(world, catalogue, display, std::move(options));
}

} // namespace daxbench
