// SPDX-License-Identifier: Apache-2.0
// Declarations of the user's that join experiments without an edit of them.
#pragma once

#include "spec.hpp"

namespace daxbench {

/// What `all` has beyond `before` joins the experiments of `before`, and profiles that list what they keep: a
/// filesystem those in guests, an image those on the host, a dataset those that take any tree, a workload
/// those of its engine.
void join_experiments(Catalogue &all, const Catalogue &before);

/// Every experiment that takes any tree measures this dataset and no other; the rest measure nothing.
void use_only(Catalogue &catalogue, const DatasetSpec &dataset);

} // namespace daxbench
