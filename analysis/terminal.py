# SPDX-License-Identifier: Apache-2.0
"""A run as plain text for the terminal: the metrics that each experiment declares, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import metrics
import tables
import units
from results import Key, Measurement, Results, Row

GAP = "  "


def _label(key: Key, run: Results, with_metric: bool, with_guests: bool) -> str:
    parts = [key.dataset, key.workload, key.variant, key.cache]
    if with_guests:
        parts.append(f"n{key.instances}")
    parts.append(key.kernel)
    if with_metric:
        parts.append(run.metric(key.metric).label)
    elif key.per:
        parts.append(f"/{key.per}")
    return " ".join(part for part in parts if part)


def _best(run: Results, row: Row) -> float | None:
    """The best value of a judged row; None where it is only a description."""
    better = run.metric(next(iter(row.values())).key.metric).better
    return max((m.value for m in row.values()), key=lambda v: better * v) if better else None


def _cell(run: Results, key: Key, row: Row, filesystem: str) -> str:
    if filesystem not in row:
        return run.missing_because(key, filesystem).removeprefix("not measured: ") + " "
    m = row[filesystem]
    return units.quantity(m.value, key.unit) + ("*" if m.value == _best(run, row) else " ")


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]], right: int) -> list[str]:
    """Lines of a table; the last `right` columns are set flush right, the others flush left."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    left = len(heads) - right

    def line(row: Sequence[str]) -> str:
        cells = [t.ljust(w) if i < left else t.rjust(w)
                 for i, (t, w) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        return GAP.join(cells).rstrip()

    return [line(row) for row in [heads, *rows]]


def _experiment(run: Results, experiment: dict[str, Any]) -> list[str]:
    shown = experiment["table"]
    keys = [k for k in run.guest_rows if k.experiment == experiment["id"] and k.metric in shown]
    if not keys:
        return []
    names = [f for f in run.filesystems if any(f in run.guest_rows[key] for key in keys)]
    with_metric = shown != [metrics.COST]
    with_guests = any(key.instances != 1 for key in keys)
    rows = [
        [_label(key, run, with_metric, with_guests)]
        + [_cell(run, key, run.guest_rows[key], name) for name in names]
        for key in keys
    ]
    heads = [experiment["title"], *(f"{name} " for name in names)]
    notes = metrics.rss_notes(run.kernels) if metrics.RSS in shown else []
    return ["", *columns(heads, rows, len(names)), *notes]


def _images(run: Results) -> list[str]:
    rows = [
        [f"{image['dataset']} {image['id']}", units.quantity(image["bytes"], "bytes"),
         image["tool_version"]]
        for image in run.images
    ]  # fmt: skip
    return ["", *columns(["Images", "", ""], rows, 2)] if rows else []


def _figure(m: Measurement) -> str:
    return units.quantity(m.value, m.key.unit)


def _verdict(run: Results) -> list[str]:
    if not run.subject:
        return []
    found = tables.verdicts(run)
    if not found:
        return []
    lines = ["", tables.verdict_words(run, found)]
    worse = [v for v in found if v.outcome == tables.Outcome.WORSE]
    lines += [
        f"  worse: {_label(v.key, run, True, v.key.instances != 1)}: {_figure(v.subject)} against"
        f" {_figure(v.rival)} of {v.rival.filesystem}"
        for v in worse
    ]
    return lines


def _limits(run: Results) -> list[str]:
    words = {True: "met", False: "MISSED", None: "not measured"}
    lines = []
    for limit in run.limits:
        value, bound = (
            "not measured" if limit[key] is None else units.quantity(limit[key], limit["unit"])
            for key in ("value", "bound")
        )
        against = f" ({limit['against']})" if limit["against"] else ""
        lines.append(f"{words[limit['met']]:<12} {limit['title']}: {value}, at most {bound}{against}")
    return ["", "Limits", *lines] if lines else []


def _errors(run: Results) -> list[str]:
    lines = [": ".join(part for part in (e["cell"], e["error"]) if part) for e in run.errors]
    return ["", "Could not be measured", *lines] if lines else []


def _unsupported(run: Results) -> list[str]:
    lines = [f"{cell.id}: {cell.why}" for cell in run.cells if cell.status == "unsupported"]
    return ["", "Not on this kernel", *lines] if lines else []


def lines(run: Results) -> list[str]:
    """All of it, without the final line feed."""
    clock = str(run.environment.get("clock", ""))
    text = ["", f"Clock: {metrics.clock_words(clock, clock)}. * marks the best figure of a row."]
    for experiment in run.experiment_rows:
        text += _experiment(run, experiment)
    return text + _images(run) + _verdict(run) + _limits(run) + _unsupported(run) + _errors(run)
