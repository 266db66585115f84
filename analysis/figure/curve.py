# SPDX-License-Identifier: Apache-2.0
"""Figures over something that grows from workload to workload: a line for each filesystem."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

import growth
import metrics
import units
from figure import style
from results import Key, Results

HEIGHT = 1.9


def draw(
    run: Results,
    keys: Sequence[Key],
    order: Sequence[tuple[str, str]],
    across: str,
    title: str,
    log: bool,
    looks: dict[str, style.Look],
    by: str = "workload",
    sizes: Sequence[float] = (),
) -> Figure | None:
    """`order`: workloads (or what `by` names) from left to right, each with its label; at least two must be
    measured. `sizes`: theirs, by which the growth is fitted and said."""
    by_place = {getattr(key, by): key for key in keys}
    shown = [(by_place[place], label) for place, label in order if place in by_place]
    if len(shown) < 2:
        return None
    first = shown[0][0]
    names = [name for name in run.filesystems if any(name in run.guest_rows[key] for key, _ in shown)]
    notes = [f"{_what(run, first)}. Median; a stroke spans smallest to largest sample where they differ."
             " Lower is better."]  # fmt: skip
    if sizes:
        size_of = dict(zip((place for place, _ in order), sizes))
        notes.append(_growth(run, [(key, size_of[getattr(key, by)]) for key, _ in shown], names))
    legend = style.Panel("", style.legend_height(names))
    panels = [legend, style.Panel("", HEIGHT)]
    high = max(run.guest_rows[key][name].value for key, _ in shown for name in names
               if name in run.guest_rows[key])  # fmt: skip
    # Bytes have few digits; other figures of seven and more need the room.
    left = 0.72 if high >= 1e6 and first.unit != "bytes" else 0.52
    figure, (above, axes) = style.page(title, notes, panels, left=left, bottom=0.28)
    style.legend(above, names, style.marks(looks), run.subject)
    for order_of, name in enumerate(names):
        points = [(x, run.guest_rows[key][name]) for x, (key, _) in enumerate(shown)
                  if name in run.guest_rows[key]]  # fmt: skip
        look = looks[name]
        middle = [m.value for _, m in points]
        below = [m.value - m.spread.low for _, m in points]
        beyond = [m.spread.high - m.value for _, m in points]
        axes.errorbar([x for x, _ in points], middle, yerr=(below, beyond), color=look.colour, lw=1.2,
                      marker=look.marker, ms=4, mec="white", mew=0.4, elinewidth=0.8, capsize=1.5,
                      zorder=3 + len(names) - order_of)  # fmt: skip
    style.value_axis(axes, log, first.unit)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.quantity(value, first.unit)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks(range(len(shown)), [label for _, label in shown])
    axes.margins(x=0.07)
    axes.set_xlabel(across, labelpad=2)
    return figure


def _growth(run: Results, shown: Sequence[tuple[Key, float]], names: Sequence[str]) -> str:
    """`Growth, fitted: daxfs constant, erofs linear (±3 %).`"""
    words = []
    for name in names:
        points = [(size, run.guest_rows[key][name].value) for key, size in shown
                  if name in run.guest_rows[key]]  # fmt: skip
        if len(points) >= 3:
            words.append(f"{name} {growth.fit([n for n, _ in points], [v for _, v in points])}")
    return f"Growth, fitted: {', '.join(words)}." if words else "Growth: fewer than three points."


def _what(run: Results, key: Key) -> str:
    clock = next(iter(run.guest_rows[key].values())).clock
    if key.metric == metrics.COST:
        return f"{metrics.clock_words(clock, key.unit)}, {units.per(key.unit, key.per)}"
    label = run.metric(key.metric).label
    return f"{label[:1].upper()}{label[1:]}"
