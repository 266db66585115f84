// SPDX-License-Identifier: Apache-2.0
// agent                  as PID 1 of a guest
// agent --fd N [CONFIG]  serves on an open descriptor of any machine, for tests
// agent --fd N --on-host [--drop-caches]  the same, for the bench's --on host
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include <unistd.h>

#include <fmt/core.h>

#include "agent.hpp"
#include "system.hpp"

namespace {

void run_as_init()
{
    daxbench::set_up_guest();
    auto config = daxbench::read_guest_config("/etc/daxbench.json");
    daxbench::load_module_files(config.base_modules);
    const daxbench::UniqueFd port = daxbench::open_agent_port();
    daxbench::Agent agent(std::move(config));
    std::string script = daxbench::read_script();
    // The host went away from a guest that it keeps: wait for the next one. Writing the hello blocks
    // until it is there.
    while (!agent.serve(port.get(), std::exchange(script, {}))) {
    }
}

int run_on_descriptor(int argc, char **argv)
{
    if (argc < 3 || std::strcmp(argv[1], "--fd") != 0) {
        fmt::print(stderr, "agent: expected to be PID 1 of a guest, or --fd N [CONFIG]\n");
        return 2;
    }
    daxbench::GuestConfigFile config;
    if (argc > 3 && std::strcmp(argv[3], "--on-host") == 0) {
        daxbench::set_up_host();
        if (argc < 5 || std::strcmp(argv[4], "--drop-caches") != 0)
            daxbench::keep_caches();
    } else if (argc > 3)
        config = daxbench::read_guest_config(argv[3]);
    daxbench::Agent(std::move(config)).serve(std::stoi(argv[2]));
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    const bool is_init = ::getpid() == 1;
    int status = 0;
    try {
        if (is_init)
            run_as_init();
        else
            status = run_on_descriptor(argc, argv);
    } catch (const std::exception &error) {
        // One line on the console, which the host keeps; the host sees the guest end.
        fmt::print(stderr, "agent: {}\n", error.what());
        status = 1;
    }
    if (is_init)
        daxbench::power_off();
    return status;
}
