# SPDX-License-Identifier: Apache-2.0
"""Every judged row of a run relative to its best rival: a dot for each filesystem, on one log axis.

The subject left of the line is better than the best rival of that row; right of it a rival wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

import metrics
from figure import style
from results import Key, Results

ROW = 0.118
# Dots beyond these ratios are drawn as arrows at the edge.
MOST = 1000.0


def rows(run: Results) -> dict[str, list[Key]]:
    """Judged rows that the subject and a rival have, by experiment: of the metrics that the experiment
    shows in its table, as the others say the same in other words."""
    tables = {row["id"]: row["table"] for row in run.experiment_rows}
    found: dict[str, list[Key]] = {}
    for key, row in run.guest_rows.items():
        judged = run.metric(key.metric).better != 0
        shown = key.metric in tables.get(key.experiment, (key.metric,))
        if judged and shown and run.subject in row and any(rival in row for rival in run.rivals):
            found.setdefault(key.experiment, []).append(key)
    return found


def ratios(run: Results, key: Key) -> dict[str, float]:
    """By filesystem: how many times the best rival's figure it is, above 1 when worse."""
    row, better = run.guest_rows[key], run.metric(key.metric).better
    best = max((row[r].value for r in run.rivals if r in row), key=lambda v: better * v)

    def ratio(value: float) -> float:
        top, bottom = (value, best) if better < 0 else (best, value)
        if top == bottom:
            return 1.0
        return top / bottom if bottom > 0 else math.inf

    return {f: ratio(m.value) for f, m in row.items()}


def title(run: Results) -> str:
    return f"{run.subject} and its rivals, each row relative to the best rival in it"


def draw(run: Results, groups: dict[str, list[Key]], looks: dict[str, style.Look]) -> Figure:
    """A panel for each experiment of `groups`, and a legend above them."""
    names = [f for f in run.filesystems if f == run.subject or f in run.rivals]
    labels = {key: _label(run, key, keys) for keys in groups.values() for key in keys}
    left = style.label_room(list(labels.values()))
    titles = {row["id"]: row["title"] for row in run.experiment_rows}
    legend = style.legend_height(names)
    panels = [style.Panel("", legend)]
    panels += [style.Panel(_heading(titles.get(e, e), keys), ROW * len(keys)) for e, keys in groups.items()]
    notes = [
        f"1: the best rival of the row. Left of it {run.subject} is better, right of it worse;"
        f" arrows: beyond {MOST:,.0f} times, or a figure of 0.",
        *run.cold_notes(labels),
    ]
    figure, axes = style.page(title(run), notes, panels, left, bottom=0.13)
    dots = {name: _dot(looks[name], name == run.subject) for name in names}
    style.legend(axes[0], names, dots, down=0)
    low, high = _span(run, groups)
    for keys, panel in zip(groups.values(), axes[1:]):
        _panel(run, panel, [(labels[key], ratios(run, key)) for key in keys], names, looks, (low, high))
    return figure


def _single(keys: Sequence[Key], field: str) -> bool:
    """Is it the same in all rows, and at least two are there? Then the heading names it once."""
    return len(keys) > 1 and len({getattr(key, field) for key in keys}) == 1


def _heading(experiment: str, keys: Sequence[Key]) -> str:
    common = [getattr(keys[0], field) for field in ("dataset", "workload") if _single(keys, field)]
    return ": ".join([experiment, ", ".join(common)] if common else [experiment])


def _label(run: Results, key: Key, keys: Sequence[Key]) -> str:
    parts = [getattr(key, field) for field in ("dataset", "workload") if not _single(keys, field)]
    parts += [key.variant, key.cache]
    if key.instances != 1:
        parts.append(f"N={key.instances}")
    if key.metric != metrics.COST:
        parts.append(run.metric(key.metric).label)
    return " ".join(part for part in parts if part)


def _span(run: Results, groups: dict[str, list[Key]]) -> tuple[float, float]:
    seen = [r for keys in groups.values() for key in keys for r in ratios(run, key).values()
            if 0 < r < math.inf]  # fmt: skip
    low = max(min(seen, default=1.0), 1 / MOST)
    high = min(max(seen, default=1.0), MOST)
    # Room for a dot at either end, and for half of the axis's last number.
    return min(low, 0.5) / 2, max(high, 2.0) * 2.5


def _dot(look: style.Look, subject: bool) -> dict[str, object]:
    return {
        "ls": "", "marker": look.marker, "ms": 4.2 if subject else 3.0, "color": look.colour,
        "mfc": look.colour if subject else "white", "mew": 0.8, "clip_on": False,
        "zorder": 5 if subject else 3,
    }  # fmt: skip


def _panel(run: Results, axes: Axes, shown: Sequence[tuple[str, dict[str, float]]], names: Sequence[str],
           looks: dict[str, style.Look], span: tuple[float, float]) -> None:  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(*span)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.axvline(1, color=style.INK, lw=0.7, zorder=1)
    for y, (_, by_name) in enumerate(shown):
        axes.axhline(y, color="#dddddd", lw=0.4, zorder=0)
        for name in names:
            if name not in by_name:
                continue
            look = _dot(looks[name], name == run.subject)
            ratio = by_name[name]
            if not span[0] <= ratio <= span[1]:
                look["marker"] = "<" if ratio < span[0] else ">"
            axes.plot([min(max(ratio, span[0]), span[1])], [y], **look)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0, pad=2)
    axes.set_yticks(range(len(shown)), [label for label, _ in shown])
    powers = range(math.ceil(math.log10(span[0])), math.floor(math.log10(span[1])) + 1)
    # With more powers than numbers fit, each second one has its number; 1 always.
    every = 1 if len(powers) <= 4 else 2
    axes.set_xticks([10.0**p for p in powers], [f"{10.0**p:g}" if p % every == 0 else "" for p in powers])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", pad=1)
