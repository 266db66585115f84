# SPDX-License-Identifier: Apache-2.0
"""Statistics of samples. A sample set is a sequence of floats in the unit of its measurement."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 9999
# Below this many samples a bootstrap of a median returns little but the extremes.
FEWEST_FOR_BOOTSTRAP = 5
SEED = 1


@dataclass(frozen=True)
class Spread:
    """Smallest and largest of `count` samples."""

    low: float
    high: float
    count: int

    @property
    def exact(self) -> bool:
        """Several samples, all equal. One sample says nothing about spread."""
        return self.count > 1 and self.low == self.high

    @property
    def varies(self) -> bool:
        return self.low != self.high


@dataclass(frozen=True)
class Interval:
    """An interval and how it came about: "bootstrap", "range" (too few samples for one), "exact" (several
    samples, all equal) or "single" (one sample, which says nothing about spread)."""

    low: float
    high: float
    method: str


def median(samples: Sequence[float]) -> float:
    """The middle sample, or the mean of the two middle ones. ValueError without samples."""
    if not samples:
        raise ValueError("expected at least one sample for a median, got none")
    return float(statistics.median(samples))


def spread(samples: Sequence[float]) -> Spread:
    """ValueError without samples."""
    if not samples:
        raise ValueError("expected at least one sample for a spread, got none")
    return Spread(float(min(samples)), float(max(samples)), len(samples))


def ratio_interval(
    numerator: Sequence[float], denominator: Sequence[float], confidence: float = CONFIDENCE
) -> Interval | None:
    """Interval of median(numerator) / median(denominator); None where a denominator is not > 0."""
    top, bottom = spread(numerator), spread(denominator)
    if bottom.low <= 0:
        return None
    if not top.varies and not bottom.varies:
        method = "exact" if top.exact and bottom.exact else "single"
        return Interval(top.low / bottom.low, top.low / bottom.low, method)
    if min(top.count, bottom.count) < FEWEST_FOR_BOOTSTRAP:
        return Interval(top.low / bottom.high, top.high / bottom.low, "range")

    def ratio(x: Array, y: Array, axis: int = -1) -> Array:
        return np.asarray(np.median(x, axis=axis) / np.median(y, axis=axis))

    return _bootstrap((numerator, denominator), ratio, confidence)


def relative_difference(a: float, b: float) -> float:
    """|a - b| ÷ the smaller magnitude; 0 for equal values, infinite where only one of them is 0."""
    if a == b:
        return 0.0
    smaller = min(abs(a), abs(b))
    return float("inf") if smaller == 0 else abs(a - b) / smaller


def _bootstrap(
    data: Sequence[Sequence[float]], statistic: Callable[..., Array], confidence: float
) -> Interval:
    # The percentile method: BCa divides by zero when most resamples share a median.
    result = scipy.stats.bootstrap(
        tuple(np.asarray(samples, dtype=float) for samples in data),
        statistic,
        vectorized=True,
        paired=False,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(SEED),
    )
    limits = result.confidence_interval
    return Interval(float(limits.low), float(limits.high), "bootstrap")
