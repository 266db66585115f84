# SPDX-License-Identifier: Apache-2.0
"""The size of each filesystem's image against one figure of it: what a smaller image costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

import metrics
import units
from figure import style
from results import Key, Results

HEIGHT = 1.6
# How many numbers fit below the panel.
MOST_TICKS = 5


def draw(
    run: Results, keys: Sequence[Key], title: str, log: bool, looks: dict[str, style.Look]
) -> Figure | None:
    """A panel for each of `keys`; filesystems without an image file of their own are not in it."""
    panels = {key: _points(run, key) for key in keys}
    panels = {key: points for key, points in panels.items() if len(points) > 1}
    if not panels:
        return None
    names = [name for name in run.filesystems if any(name in points for points in panels.values())]
    clocks = {metrics.clock_words(run.guest_rows[key][name].clock, key.unit)
              for key, points in panels.items() for name in points}  # fmt: skip
    notes = [f"Across: bytes of the image file. Up: median cost in {' and '.join(sorted(clocks))}."
             " Left and low is better."]  # fmt: skip
    legend = style.Panel("", style.legend_height(names))
    headings = [style.Panel(_heading(key), HEIGHT) for key in panels]
    figure, axes = style.page(title, notes, [legend, *headings], left=0.45, bottom=0.28)
    style.legend(axes[0], names, style.marks(looks), run.subject)
    for points, panel in zip(panels.values(), axes[1:]):
        for name, (size, cost) in points.items():
            panel.plot([size], [cost], ls="", marker=looks[name].marker, ms=6, color=looks[name].colour,
                       mec="white", mew=0.4, clip_on=False)  # fmt: skip
        panel.margins(0.12)
        style.value_axis(panel, log)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.number(value)))
        _size_axis(panel, [size for size, _ in points.values()])
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlabel("image", labelpad=2)
    return figure


def _size_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """Bytes; by powers of two where they are far apart."""
    if max(sizes) > 8 * min(sizes):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
        low, high = axes.get_xlim()
        first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
        step = math.ceil((last - first + 1) / MOST_TICKS)
        axes.set_xticks([2.0**p for p in range(first, last + 1, step)])
    else:
        low, high = axes.get_xlim()
        axes.set_xticks([t for t in MaxNLocator(nbins=MOST_TICKS).tick_values(low, high) if low <= t <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: units.size(value)))


def _heading(key: Key) -> str:
    parts = [key.dataset, key.workload, key.variant, key.cache]
    return f"{' '.join(p for p in parts if p)}: {units.per(key.unit, key.per)}"


def _points(run: Results, key: Key) -> dict[str, tuple[float, float]]:
    """(bytes of the image, figure) by filesystem."""
    sizes = {image["id"]: float(image["bytes"]) for image in run.images if image["dataset"] == key.dataset}
    points = {}
    for name, m in run.guest_rows[key].items():
        image = run.image_of(name)
        if image in sizes:
            points[name] = (sizes[image], m.value)
    return points
