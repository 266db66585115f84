# SPDX-License-Identifier: Apache-2.0
"""Horizontal bars with their figures written at them, drawn into one panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from figure import style

THICK = 0.78
# Inches between a bar and its figure.
GAP = 0.05
# The share of the panel that the longest bar keeps, however long its figure is.
NARROWEST = 0.25


@dataclass(frozen=True)
class Part:
    """A stretch of a bar, in the unit of the panel."""

    length: float
    colour: str
    hatch: str = ""
    edge: str = ""


@dataclass(frozen=True)
class Bar:
    """`parts` lie end to end; `low` and `high` are the extremes of the samples.

    Without parts nothing was measured, and `text` says so in place of a bar.
    """

    parts: tuple[Part, ...]
    text: str
    low: float = 0.0
    high: float = 0.0

    @property
    def length(self) -> float:
        return sum(part.length for part in self.parts)


def draw(axes: Axes, names: Sequence[str], bars: Sequence[Bar], room: float) -> None:
    """One bar a name, from the top; `names` may be "" where a bar belongs to the one above.

    `room` is the width of the panel in inches: figures are placed so that they fit into it.
    """
    style.bare(axes)
    limit = _limit(bars, room)
    axes.set_xlim(0, limit)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    for y, bar in enumerate(bars):
        _bar(axes, y, bar, limit, room)
    axes.set_yticks([y for y, name in enumerate(names) if name], [name for name in names if name])


def _limit(bars: Sequence[Bar], room: float) -> float:
    """The scale's end, so that every bar and the figure behind it fit into `room` inches."""
    limit = 0.0
    for bar in bars:
        left = max(room - style.width(bar.text) - 2 * GAP, room * NARROWEST)
        limit = max(limit, max(bar.length, bar.high) * room / left)
    return limit or 1.0


def _bar(axes: Axes, y: int, bar: Bar, limit: float, room: float) -> None:
    inch = limit / room
    if not bar.parts:
        # A cross and words: a bar of length 0 would claim a measurement.
        axes.plot([0.06 * inch], [y], marker="x", color=style.QUIET, ms=3.2, mew=0.8)
        axes.text(0.13 * inch, y, bar.text, va="center_baseline", color=style.QUIET,
                  style="italic")  # fmt: skip
        return
    start = 0.0
    for part in bar.parts:
        edge = part.edge or ("white" if part.hatch else part.colour)
        axes.barh(y, part.length, left=start, height=THICK, color=part.colour, hatch=part.hatch,
                  edgecolor=edge, linewidth=0.5 if part.edge else 0.3)  # fmt: skip
        start += part.length
    if bar.low != bar.high:
        axes.plot([bar.low, bar.high], [y, y], color=style.INK, lw=0.7, marker="|", ms=3.5,
                  mew=0.7)  # fmt: skip
    axes.text(max(start, bar.high) + GAP * inch, y, bar.text, va="center_baseline")
