// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include <gtest/gtest.h>

#include "file_contexts.hpp"

namespace {

TEST(FileContexts, AreRefusedWithoutLibselinux)
{
    try {
        daxfs::read_file_contexts("/dev/null");
        FAIL() << "it was not refused";
    } catch (const std::runtime_error &refused) {
        EXPECT_STREQ(refused.what(), "--file-contexts: this mkdaxfs was built without libselinux; build it "
                                     "with the package libselinux1-dev installed");
    }
}

} // namespace
