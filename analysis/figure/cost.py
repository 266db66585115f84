# SPDX-License-Identifier: Apache-2.0
"""Cost per operation: a panel for each workload, a bar for each filesystem.

Costs range over five orders of magnitude between workloads and by two within one. Every panel has
its own linear scale from 0, so that lengths can be compared by eye; the figures are at the bars.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

import metrics
import units
from figure import bars, style
from results import Key, Results

BAR = 0.125


def groups(run: Results) -> dict[tuple[str, str, int, str], list[Key]]:
    """Rows that belong in one figure, by (experiment, dataset, instances, cache)."""
    found: dict[tuple[str, str, int, str], list[Key]] = {}
    for key in run.guest_rows:
        if key.metric == metrics.COST:
            group = (key.experiment, key.dataset, key.instances, key.cache)
            found.setdefault(group, []).append(key)
    return found


def draw(run: Results, keys: Sequence[Key], looks: dict[str, style.Look]) -> Figure:
    """`keys` share experiment, dataset, instances and cache."""
    first = keys[0]
    names = run.filesystems_of(first.experiment, first.dataset)
    left = style.label_room(names)
    panels = [style.Panel(_heading(key), BAR * len(names)) for key in keys]
    figure, axes = style.page(title(run, keys), _notes(run, keys), panels, left)
    for key, panel in zip(keys, axes):
        rows = [_bar(run, key, name, looks[name]) for name in names]
        bars.draw(panel, names, rows, style.COLUMN - left - style.MARGIN)
    return figure


def title(run: Results, keys: Sequence[Key]) -> str:
    """Says what is counted and by which clock; `keys` as for draw()."""
    key = keys[0]
    counted = sorted({
        metrics.clock_words(m.clock, k.unit) for k in keys for m in run.guest_rows[k].values()
    })  # fmt: skip
    cache = f", {key.cache}" if key.cache else ""
    guests = f", {key.instances} guests" if key.instances != 1 else ""
    return (
        f"Cost per operation in {' and '.join(counted)}:"
        f" {key.experiment} on {key.dataset}{cache}{guests}"
    )


def _heading(key: Key) -> str:
    variant = f", {key.variant}" if key.variant else ""
    return f"{key.workload}{variant}: {units.per(key.unit, key.per)}"


def _notes(run: Results, keys: Sequence[Key]) -> list[str]:
    return [
        "Median; a stroke spans smallest to largest sample where they differ. Lower is better."
        f" ×: relative to {run.subject}. Each panel has its own scale from 0.",
        *run.cold_notes(keys),
    ]


def _bar(run: Results, key: Key, name: str, look: style.Look) -> bars.Bar:
    m = run.guest_rows[key].get(name)
    if m is None:
        return bars.Bar((), run.missing_because(key, name))
    text = units.quantity(m.value, key.unit)
    base = run.guest_rows[key].get(run.subject)
    if base and name != run.subject and base.value > 0:
        text += f" · {units.times(m.value / base.value)}"
    part = bars.Part(m.value, look.colour, look.hatch)
    return bars.Bar((part,), text, m.spread.low, m.spread.high)
