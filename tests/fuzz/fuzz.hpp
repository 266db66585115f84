// SPDX-License-Identifier: Apache-2.0
// A fuzz target: fuzz_one() must return, whatever the bytes are. With -Dfuzz=true libFuzzer
// calls it; otherwise replay.cpp does, with the files of the corpus.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

void fuzz_one(std::span<const std::uint8_t> data);
