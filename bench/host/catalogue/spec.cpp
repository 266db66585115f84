// SPDX-License-Identifier: Apache-2.0
#include "spec.hpp"

#include <regex>

namespace daxbench {

bool is_kernel_name(const std::string &name)
{
    static const std::regex plain("[0-9]+\\.[0-9]+(-debug)?(\\+[a-z0-9-]+)*");
    return std::regex_match(name, plain);
}

const char *name_of(Driver driver)
{
    switch (driver) {
    case Driver::single: return "single";
    case Driver::instances: return "instances";
    case Driver::frames: return "frames";
    case Driver::hostile: return "hostile";
    case Driver::traced: return "traced";
    case Driver::build: break;
    }
    return "build";
}

const char *name_of(ClockKind clock)
{
    return clock == ClockKind::instructions ? "instructions" : "none";
}

} // namespace daxbench
