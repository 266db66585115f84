# SPDX-License-Identifier: Apache-2.0
"""Numbers as text, the same in figures and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BINARY = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def number(value: float) -> str:
    """1,260,244 · 547 · 69.8 · 3.14: at least three significant digits, no exponent."""
    if not math.isfinite(value):
        return str(value)
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.1f}".removesuffix(".0")
    if abs(value) >= 0.1:
        return f"{value:.2f}"
    return f"{value:.3g}"


def size(value: float) -> str:
    """Bytes in the largest binary unit that keeps the figure at 1 or more: `355 MiB`, `0 B`."""
    for scale, name in _BINARY:
        if abs(value) >= scale:
            scaled = value / scale
            digits = 0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2
            return f"{scaled:,.{digits}f} {name}"
    return f"{value:,.0f} B"


def sizes(values: Sequence[float]) -> str:
    """Bytes in one unit, that of their sum: `49.0 + 1.20 + 0.29 MiB`, `0 + 0 B`."""
    total = sum(values)
    scale, name = next((u for u in _BINARY if total >= u[0]), (1, "B"))
    return " + ".join(_digits(value / scale) for value in values) + f" {name}"


def _digits(value: float) -> str:
    if value == round(value) and abs(value) < 10:
        return f"{value:.0f}"
    if 0 < value < 0.005:
        return "<0.01"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """`9.3 ms`, `0.42 s`, `17.3 s`, `12 min 5 s`."""
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def quantity(value: float, unit: str) -> str:
    """A figure for a table or a bar; counts and times per operation stay bare numbers."""
    if unit == "bytes":
        return size(value)
    if unit == "bytes/s":
        return f"{size(value)}/s"
    if unit == "seconds":
        return duration(value)
    if unit == "flag":
        return "yes" if value else "no"
    if unit == "ratio":
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    return number(value)


def times(ratio: float) -> str:
    """A ratio: 1.004× near 1, 2.49×, 17.5×, 4,210×."""
    if not math.isfinite(ratio):
        return "–"
    if 0.95 < ratio < 1.05:
        return f"{ratio:.3f}×"
    if ratio < 10:
        return f"{ratio:.2f}×"
    if ratio < 100:
        return f"{ratio:.1f}×"
    return f"{ratio:,.0f}×"


def per(unit: str, base: str) -> str:
    """`instructions/page`, or the unit alone."""
    return f"{unit}/{base}" if base else unit
