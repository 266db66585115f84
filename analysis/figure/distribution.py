# SPDX-License-Identifier: Apache-2.0
"""The distribution of single operations: which share of them costs at most so much (ECDF)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

import metrics
import units
from figure import style
from results import Key, Results

HEIGHT = 1.9


def draw(run: Results, keys: Sequence[Key], title: str, looks: dict[str, style.Look]) -> Figure | None:
    """A panel for each of `keys`; one sample is no distribution."""
    panels = {key: {name: sorted(m.samples) for name, m in run.guest_rows[key].items() if len(m.samples) > 1}
              for key in keys}  # fmt: skip
    panels = {key: lines for key, lines in panels.items() if lines}
    if not panels:
        return None
    names = [name for name in run.filesystems if any(name in lines for lines in panels.values())]
    counts = sorted({len(samples) for lines in panels.values() for samples in lines.values()})
    clock = next(iter(run.guest_rows[next(iter(panels))].values())).clock
    notes = [f"Share of {' or '.join(f'{n:,}' for n in counts)} operations that cost at most so many"
             f" {metrics.clock_words(clock, keys[0].unit)}, the clock's reading included."
             " Further left is better."]  # fmt: skip
    legend = style.Panel("", style.legend_height(names))
    headings = [style.Panel(f"{key.dataset}, {key.workload}, {key.cache}", HEIGHT) for key in panels]
    figure, axes = style.page(title, notes, [legend, *headings], left=0.36, bottom=0.28)
    style.legend(axes[0], names, style.marks(looks), run.subject)
    for (key, lines), panel in zip(panels.items(), axes[1:]):
        for order, (name, samples) in enumerate(lines.items()):
            shares = [(i + 1) / len(samples) for i in range(len(samples))]
            panel.step(samples, shares, where="post", color=looks[name].colour, lw=1.2,
                       marker=looks[name].marker, ms=3.5, mec="white", mew=0.4,
                       markevery=max(1, len(samples) // 6), zorder=3 + len(lines) - order)  # fmt: skip
        panel.set_xscale("log")
        panel.margins(x=0.1)  # for half of the last number
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticks(style.log_ticks(*panel.get_xlim()))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: units.number(value)))
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
        panel.set_ylim(0, 1)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlabel(units.per(key.unit, key.per), labelpad=2)
    return figure
