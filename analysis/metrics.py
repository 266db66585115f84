# SPDX-License-Identifier: Apache-2.0
"""What the metrics mean: which are costs, which are only descriptions, what they are called."""

from __future__ import annotations

from dataclasses import dataclass

COST = "cost_per_op"
DUPLICATION = "duplication_factor"
RSS = "rss_bytes"
FAULTS = "page_faults"
FAULTS_COUNTER = "page-faults"
# Kinds of page frames, in the order in which they are stacked.
FRAMES = {
    "frames_pmem_bytes": "pmem",
    "frames_page_cache_bytes": "page cache",
    "frames_anonymous_bytes": "anonymous",
    "frames_zero_bytes": "zero page",
    "frames_other_bytes": "other",
}


@dataclass(frozen=True)
class Metric:
    """`better`: -1 lower, +1 higher, 0 neither (a description)."""

    label: str
    better: int


_KNOWN = {
    COST: Metric("cost per operation", -1),
    DUPLICATION: Metric("duplication factor", -1),
    "page_cache_bytes": Metric("page cache per guest", -1),
    "buffers_bytes": Metric("of it buffers", 0),
    "slab_bytes": Metric("slab per guest", -1),
    "anonymous_bytes": Metric("anonymous", 0),
    "guest_memory_bytes": Metric("memory per guest", -1),
    "host_pss_bytes": Metric("host PSS", -1),
    "host_pss_image_bytes": Metric("host PSS, image", 0),
    "host_pss_ram_bytes": Metric("host PSS, guest RAM", 0),
    "host_rss_bytes": Metric("host RSS", 0),
    "host_rss_image_bytes": Metric("host RSS, image", 0),
    "host_rss_ram_bytes": Metric("host RSS, guest RAM", 0),
    RSS: Metric("smaps Rss", 0),
    "pss_bytes": Metric("smaps Pss", 0),
    "shared_bytes": Metric("smaps Shared", 0),
    "private_bytes": Metric("smaps Private", 0),
    "mapped_bytes": Metric("mapped", 0),
    FAULTS: Metric("page faults", -1),
    "minor_faults": Metric("minor faults", 0),
    "major_faults": Metric("major faults", 0),
    "page_table_bytes": Metric("page tables", -1),
    "meminfo_page_table_bytes": Metric("page tables, whole guest", 0),
    "inode_object_bytes": Metric("a cached inode", -1),
    "build_seconds": Metric("build time", -1),
    "build_cpu_seconds": Metric("CPU time, user and system", -1),
    "flush_seconds": Metric("then flushed in", 0),
    "peak_memory_bytes": Metric("peak memory", -1),
    "peak_memory_per_file_bytes": Metric("peak memory per file", 0),
    "image_bytes": Metric("image", -1),
    "check_seconds": Metric("check of the image", -1),
    "iops": Metric("operations per second", 1),
    **{metric: Metric(f"frames: {kind}", 0) for metric, kind in FRAMES.items()},
}


def is_known(metric: str) -> bool:
    return metric in _KNOWN


def of(metric: str) -> Metric:
    """A metric that is not known is shown and not judged."""
    return _KNOWN.get(metric) or Metric(metric.replace("_", " "), 0)


def clock_words(clock: str, unit: str) -> str:
    """What a figure counts: "guest instructions (icount clock)", "ns (guest CLOCK_MONOTONIC)"."""
    if clock == "instructions":
        return "guest instructions (icount clock)"
    if clock == "ns":
        return "ns (guest CLOCK_MONOTONIC)"
    if unit == "host-wall":
        return "host wall clock"
    if clock == "host-wall":
        return f"{unit} (host wall clock)"
    return unit
