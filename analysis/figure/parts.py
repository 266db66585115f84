# SPDX-License-Identifier: Apache-2.0
"""Several metrics of a workload end to end: what its total is made of."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch

import metrics
import units
from figure import bars, style
from results import Key, Results

BAR = 0.13
# So many figures, and no more, fit beside a bar; of more parts their sum is told.
_TOLD = 3
# So many parts stand beside each other in a legend.
_BESIDE = 3
# Parts have greys of their own: colours belong to filesystems.
_LOOKS = (("#333333", ""), ("#8c8c8c", "/////"), ("#c4c4c4", "....."), ("#e4e4e4", "xxxxx"),
          ("#5f5f5f", "\\\\\\"))  # fmt: skip


def draw(
    run: Results, keys: Sequence[Key], parts: Sequence[str], title: str, looks: dict[str, style.Look]
) -> Figure | None:
    """A panel for each workload of `keys` that has all of `parts`, which are metrics in their order."""
    panels: dict[tuple[str, str], dict[str, Key]] = {}
    for key in keys:
        if key.metric in parts:
            panels.setdefault((key.workload, key.variant), {})[key.metric] = key
    panels = {place: by_metric for place, by_metric in panels.items() if len(by_metric) == len(parts)}
    if not panels:
        return None
    first = next(iter(panels.values()))[parts[0]]
    names = run.filesystems_of(first.experiment, first.dataset)
    left = style.label_room(names)
    clock = next(iter(run.guest_rows[first].values())).clock
    clock_words = metrics.clock_words(clock, first.unit)
    told = "figures in the order of the legend" if len(parts) <= _TOLD else "figures are sums"
    notes = [f"{clock_words}; {told}. Lower is better.",
             *run.cold_notes(keys)]  # fmt: skip
    heights = [style.Panel(", ".join(p for p in place if p), BAR * len(names)) for place in panels]
    per_line = len(parts) if len(parts) <= _BESIDE else (len(parts) + 1) // 2
    lines = -(-len(parts) // per_line)
    figure, axes = style.page(title, notes, [style.Panel("", 0.16 * lines), *heights], left)
    axes[0].axis("off")
    axes[0].legend(
        handles=[Patch(facecolor=face, hatch=hatch, edgecolor="white", lw=0.3, label=run.metric(metric).label)
                 for metric, (face, hatch) in zip(parts, _LOOKS)],
        loc="center left", ncol=per_line, frameon=False, handlelength=1.0, handletextpad=0.4,
        columnspacing=0.8, borderpad=0.0,
    )  # fmt: skip
    for by_metric, panel in zip(panels.values(), axes[1:]):
        rows = [_bar(run, by_metric, parts, name) for name in names]
        bars.draw(panel, names, rows, style.COLUMN - left - style.MARGIN)
        for i, name in enumerate(names):
            panel.plot([0, 0], [i - 0.4, i + 0.4], color=looks[name].colour, lw=2.5, clip_on=False,
                       solid_capstyle="butt", zorder=5)  # fmt: skip
    return figure


def _bar(run: Results, by_metric: dict[str, Key], parts: Sequence[str], name: str) -> bars.Bar:
    measured = [run.guest_rows[by_metric[metric]].get(name) for metric in parts]
    values = [m.value for m in measured if m is not None]
    if len(values) < len(parts):
        return bars.Bar((), run.missing_because(by_metric[parts[0]], name))
    drawn = tuple(bars.Part(value, *look) for value, look in zip(values, _LOOKS))
    told = values if len(values) <= _TOLD else [sum(values)]
    return bars.Bar(drawn, " + ".join(units.number(value) for value in told))
