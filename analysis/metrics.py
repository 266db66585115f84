# SPDX-License-Identifier: Apache-2.0
"""The metrics that figures and tables treat in a way of their own, and what any metric means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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
    """As workloads/metrics.toml declares it and results.json carries it.

    `better`: -1 lower, +1 higher, 0 neither (a description). Figures whose difference is at most
    `margin` of the smaller are equal.
    """

    label: str
    better: int
    margin: float


def declared(entries: Iterable[dict[str, Any]]) -> dict[str, Metric]:
    """By id."""
    direction = {"lower": -1, "higher": 1, "": 0}
    return {e["id"]: Metric(e["label"], direction[e["better"]], float(e["margin"])) for e in entries}


def undeclared(metric: str) -> Metric:
    """Is shown and not judged."""
    return Metric(metric.replace("_", " "), 0, 0.0)


# Since then pages of pmem are ordinary, counted pages of the mapping.
_PMEM_IN_RSS = (6, 15)


def rss_notes(kernels: Iterable[str]) -> list[str]:
    """What RSS counts on each of these releases, a sentence each."""
    notes = []
    for release in kernels:
        numbers = re.match(r"([0-9]+)\.([0-9]+)", release)
        if numbers is None:
            continue
        inside = (int(numbers[1]), int(numbers[2])) >= _PMEM_IN_RSS
        notes.append(
            f"RSS on {release}: mappings of pmem are "
            + ("in it, like those of page cache." if inside else "not in it, those of page cache are.")
        )
    return notes


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
