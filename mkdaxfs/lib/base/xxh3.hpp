// SPDX-License-Identifier: Apache-2.0
// xxHash with the widest instructions this CPU has, where the library can choose among them at run time:
// three times as fast as those that every x86-64 has, and the same values.
#pragma once

#include <xxhash.h>

#if DAXFS_XXH3_DISPATCH
#include <xxh_x86dispatch.h> // its macros put XXH3_128bits_update_dispatch() for XXH3_128bits_update()
#endif
