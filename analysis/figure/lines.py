# SPDX-License-Identifier: Apache-2.0
"""The duplication factor over the number of guests: a line for each filesystem, and the ideal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import metrics
import units
from figure import style
from results import Key, Results

IDEAL = 1.0
HEIGHT = 1.9


def groups(run: Results) -> dict[str, list[Key]]:
    """Rows that belong in one figure, by experiment."""
    found: dict[str, list[Key]] = {}
    for key in run.guest_rows:
        if key.metric == metrics.DUPLICATION:
            found.setdefault(key.experiment, []).append(key)
    return found


def draw(run: Results, keys: Sequence[Key], looks: dict[str, style.Look]) -> Figure:
    """A panel for each (dataset, workload) among `keys`, which share the experiment."""
    panels: dict[tuple[str, str], list[Key]] = {}
    for key in keys:
        panels.setdefault((key.dataset, key.workload), []).append(key)
    notes = [
        "Page cache of all guests and host PSS of the image ÷ the data once. Lower is better."
        " Figures at the right: at the largest N measured."
    ]
    figure, axes = style.page(
        title(keys[0]), notes,
        [style.Panel(f"{dataset}, {workload}", HEIGHT) for dataset, workload in panels],
        left=0.36, bottom=0.30,
    )  # fmt: skip
    for (dataset, _), panel_keys, panel in zip(panels, panels.values(), axes):
        names = run.filesystems_of(panel_keys[0].experiment, dataset)
        _panel(run, panel, sorted(panel_keys, key=lambda k: k.instances), names, looks)
    return figure


def title(key: Key) -> str:
    return f"Copies of the data in memory (duplication factor) over guests: {key.experiment}"


def _panel(
    run: Results,
    axes: Axes,
    keys: Sequence[Key],
    names: Sequence[str],
    looks: dict[str, style.Look],
) -> None:
    guests = [key.instances for key in keys]
    span = max(guests[-1] - guests[0], 1)
    axes.axhline(IDEAL, color=style.INK, lw=0.8, ls=(0, (4, 3)), zorder=1)
    ends = [_End(guests[-1], IDEAL, f"ideal {IDEAL:.1f}", style.INK, "")]
    top = IDEAL
    for order, name in enumerate(names):
        measured = [(k.instances, run.guest_rows[k].get(name)) for k in keys]
        points = [(n, m.value) for n, m in measured if m is not None]
        look = looks[name]
        if points:
            axes.plot(*zip(*points), color=look.colour, marker=look.marker, ms=5, lw=1.2,
                      mec="white", mew=0.4, zorder=3 + len(names) - order)  # fmt: skip
            n, value = points[-1]
            at = "" if n == guests[-1] else f" at N={n}"
            text = f"{name} {units.quantity(value, 'ratio')}{at}"
            ends.append(_End(n, value, text, look.colour, look.marker))
            top = max(top, *(value for _, value in points))
        gaps = [str(n) for n, m in measured if m is None]
        if gaps:
            axes.plot([int(n) for n in gaps], [0] * len(gaps), ls="", marker="x", ms=5, mew=1.2,
                      color=look.colour, clip_on=False, zorder=9)  # fmt: skip
            text = f"{name}, N={', '.join(gaps)}: not measured"
            ends.append(_End(int(gaps[-1]), 0.0, text, look.colour, "x"))
    top *= 1.08
    axes.set_ylim(0, top)
    axes.set_xlim(guests[0] - span * 0.06, guests[-1] + span * 0.12)
    _name_ends(axes, ends, top, guests[-1], span)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks(guests)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlabel("guests on one image (N)", labelpad=2)
    axes.set_ylabel("copies of the data", labelpad=2)


@dataclass(frozen=True)
class _End:
    """Where a line ends, and what is written for it."""

    guests: float
    value: float
    text: str
    colour: str
    marker: str


def _name_ends(axes: Axes, ends: Sequence[_End], top: float, last: int, span: int) -> None:
    """Names at the right, where the lines end, hence no legend to match by colour alone."""
    # The panel is narrowed by what the longest name takes.
    box = axes.get_position()
    across = axes.figure.get_figwidth()
    room = max(style.width(end.text) for end in ends) + 0.12
    shown = box.width - room / across
    axes.set_position((box.x0, box.y0, shown, box.height))
    begin, end_of_axes = axes.get_xlim()
    inch = (end_of_axes - begin) / (shown * across)
    for end, y in zip(ends, _apart([e.value for e in ends], top)):
        # From a line that ends early the eye needs a thin one to its name; the ideal has no end.
        bend = last + span * 0.06
        start = end.guests + span * 0.025 if end.marker else bend
        axes.plot([start, bend, end_of_axes], [end.value, end.value, y], color=end.colour, lw=0.5,
                  clip_on=False, ls=":" if end.guests < last else "-")  # fmt: skip
        x = end_of_axes + 0.05 * inch
        if end.marker:
            axes.plot([x], [y], color=end.colour, marker=end.marker, ms=3.5, mew=0.8,
                      mec=end.colour, clip_on=False)  # fmt: skip
        axes.text(x + 0.07 * inch, y, end.text, va="center_baseline")


def _apart(wanted: Sequence[float], top: float) -> list[float]:
    """Heights near the `wanted` ones, a line of text apart from each other, within 0 to `top`."""
    step = top * style.LINE / HEIGHT
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    floor = 0.0
    for i in order:
        placed[i] = max(wanted[i], floor)
        floor = placed[i] + step
    ceiling = top
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - step
    return placed
