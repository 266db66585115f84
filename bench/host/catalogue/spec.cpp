// SPDX-License-Identifier: Apache-2.0
#include "spec.hpp"

namespace daxbench {

const char *name_of(Driver driver)
{
    switch (driver) {
    case Driver::single: return "single";
    case Driver::instances: return "instances";
    case Driver::build: break;
    }
    return "build";
}

const char *name_of(ClockKind clock)
{
    return clock == ClockKind::instructions ? "instructions" : "none";
}

} // namespace daxbench
