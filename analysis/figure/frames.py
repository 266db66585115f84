# SPDX-License-Identifier: Apache-2.0
"""Memory of a process by kind of page frame, beside the Rss that smaps gives for it."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import metrics
import units
from figure import bars, style
from results import Key, Results

BAR = 0.115
# Kinds have greys and hatches of their own: colours belong to filesystems.
_KINDS = {
    "frames_pmem_bytes": ("#333333", ""),
    "frames_page_cache_bytes": ("#8c8c8c", "/////"),
    "frames_anonymous_bytes": ("#c4c4c4", "....."),
    "frames_zero_bytes": ("#d4d4d4", "-----"),
    "frames_other_bytes": ("#e4e4e4", "xxxxx"),
}
# Face and edge.
_SMAPS = ("#ffffff", "#666666")

# (experiment, dataset, instances, cache): the rows of one figure.
Group = tuple[str, str, int, str]
# (workload, variant): one panel.
Place = tuple[str, str]


def groups(run: Results) -> dict[Group, dict[Place, dict[str, Key]]]:
    """Group → panel → metric → row, for the metrics that count frames and smaps' Rss."""
    found: dict[Group, dict[Place, dict[str, Key]]] = {}
    for key in run.guest_rows:
        if key.metric in metrics.FRAMES or key.metric == metrics.RSS:
            group = (key.experiment, key.dataset, key.instances, key.cache)
            panel = found.setdefault(group, {}).setdefault((key.workload, key.variant), {})
            panel[key.metric] = key
    return {g: p for g, p in found.items() if any(metrics.FRAMES.keys() & m for m in p.values())}


def draw(
    run: Results, group: Group, panels: dict[Place, dict[str, Key]], looks: dict[str, style.Look]
) -> Figure:
    """Two bars a filesystem: frames counted in pagemap, and Rss where smaps was read."""
    names = run.filesystems_of(group[0], group[1])
    smaps = any(metrics.RSS in by_metric for by_metric in panels.values())
    kinds = _kinds(run, panels)
    left = style.label_room(names)
    notes = [
        "Page frames that the process maps, found in /proc/PID/pagemap and told apart by"
        " /proc/kpageflags and address; figures in the order of the legend."
        + (" White: the Rss that smaps gives." if smaps else "")
    ]
    lines = 2 if smaps else 1
    heights = [style.Panel(", ".join(p for p in place if p), BAR * lines * len(names) * 1.15)
               for place in panels]  # fmt: skip
    legend = style.Panel("", 0.16)
    figure, axes = style.page(title(group), notes, [legend, *heights], left)
    _legend(axes[0], kinds, smaps)
    for by_metric, panel in zip(panels.values(), axes[1:]):
        rows, row_names = [], []
        for name in names:
            rows.append(_frames(run, by_metric, kinds, name))
            row_names.append(name)
            if smaps:
                rows.append(_rss(run, by_metric, name))
                row_names.append("")
        bars.draw(panel, row_names, rows, style.COLUMN - left - style.MARGIN)
        _mark(panel, names, lines, looks)
    return figure


def title(group: Group) -> str:
    experiment, dataset, instances, cache = group
    cache = f", {cache}" if cache else ""
    guests = f", {instances} guests" if instances != 1 else ""
    return f"Memory of a process by kind of frame: {experiment} on {dataset}{cache}{guests}"


def _kinds(run: Results, panels: dict[Place, dict[str, Key]]) -> list[str]:
    """The metrics of frames to show: those of which any process had any."""
    seen = {
        metric
        for by_metric in panels.values()
        for metric, key in by_metric.items()
        if any(m.value > 0 for m in run.guest_rows[key].values())
    }
    return [metric for metric in metrics.FRAMES if metric in seen]


def _legend(axes: Axes, kinds: Sequence[str], smaps: bool) -> None:
    axes.axis("off")
    patches = [
        Patch(facecolor=_KINDS[metric][0], hatch=_KINDS[metric][1], edgecolor="white", lw=0.3,
              label=metrics.FRAMES[metric])
        for metric in kinds
    ]  # fmt: skip
    if smaps:
        patches.append(Patch(facecolor=_SMAPS[0], edgecolor=_SMAPS[1], lw=0.5, label="smaps Rss"))
    # Anchored at the figure's left edge: six entries need the whole column.
    left = axes.get_position().x0 / axes.get_position().width
    axes.legend(handles=patches, loc="center left", bbox_to_anchor=(-left, 0.5),
                ncol=len(patches), frameon=False, fontsize=style.TEXT - 0.5,
                handlelength=1.0, handletextpad=0.4, columnspacing=0.55, borderpad=0.2)  # fmt: skip


def _frames(
    run: Results, by_metric: dict[str, Key], kinds: Sequence[str], name: str
) -> bars.Bar:
    measured = {}
    for metric in kinds:
        key = by_metric.get(metric)
        m = run.guest_rows[key].get(name) if key else None
        if m:
            measured[metric] = m.value
    if not measured:
        return bars.Bar((), run.missing_because(next(iter(by_metric.values())), name))
    parts = tuple(bars.Part(value, *_KINDS[metric]) for metric, value in measured.items())
    return bars.Bar(parts, units.sizes(list(measured.values())))


def _rss(run: Results, by_metric: dict[str, Key], name: str) -> bars.Bar:
    key = by_metric.get(metrics.RSS)
    m = run.guest_rows[key].get(name) if key else None
    if m is None:
        return bars.Bar((), "Rss not measured")
    return bars.Bar((bars.Part(m.value, _SMAPS[0], edge=_SMAPS[1]),), f"Rss {units.size(m.value)}")


def _mark(axes: Axes, names: Sequence[str], lines: int, looks: dict[str, style.Look]) -> None:
    """A stroke in each filesystem's colour left of its bars: the same colour as elsewhere."""
    for i, name in enumerate(names):
        low, high = i * lines - 0.4, (i + 1) * lines - 0.6
        axes.plot([0, 0], [low, high], color=looks[name].colour, lw=2.5, clip_on=False,
                  solid_capstyle="butt", zorder=5)  # fmt: skip
