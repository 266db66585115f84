// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace daxfs {

// First thing in main(): the next file opened would get the number of a standard stream that is
// closed, and messages would be written into it. What is put there fails as the closed one did.
void hold_standard_streams();

} // namespace daxfs
