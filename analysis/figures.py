# SPDX-License-Identifier: Apache-2.0
"""All figures of a run, drawn into one folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from figure import (
    cost as figure_cost,
    declared as declared_figures,
    frames as figure_frames,
    lines as figure_lines,
    overview as figure_overview,
    style,
)
from results import Results


@dataclass(frozen=True)
class Drawn:
    """A figure on disk: `name`.svg and others; `experiment` is "" where it is about the whole run."""

    name: str
    title: str
    experiment: str
    columns: int


def _name(*parts: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(p for p in parts if p)).strip("-")


def _guests(instances: int) -> str:
    return f"n{instances}" if instances != 1 else ""


def draw_all(run: Results, folder: Path, kinds: Sequence[str] = ("svg", "png")) -> list[Drawn]:
    """Draw what the run has measurements for; older figures in `folder` are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("svg", "png", "pdf"):
        for old in folder.glob(f"*.{kind}"):
            old.unlink()
    parts = run.by_kernel()
    with style.context():
        names = [part.kernels[0] if len(parts) > 1 else "" for part in parts]
        return [drawn for part, kernel in zip(parts, names, strict=True)
                for drawn in _draw(part, folder, kinds, kernel)]  # fmt: skip


def _draw(run: Results, folder: Path, kinds: Sequence[str], kernel: str) -> Iterator[Drawn]:
    """`kernel`: the one that a part of a run was measured on; "" where the run has one."""
    looks = style.looks(run.filesystems)

    def keep(figure: Figure, name: str, title: str, experiment: str) -> Drawn:
        if kernel:
            name, title = _name(name, kernel), f"{title}, {kernel}"
            style.foot(figure, kernel)
        style.save(figure, folder / name, kinds)
        return Drawn(name, title, experiment, round(figure.get_figwidth() / style.COLUMN))

    judged = figure_overview.rows(run)
    if judged:
        figure = figure_overview.draw(run, judged, looks)
        yield keep(figure, "overview", figure_overview.title(run), "")
    for (experiment, dataset, instances, cache), keys in figure_cost.groups(run).items():
        name = _name("cost", experiment, dataset, cache, _guests(instances))
        figure = figure_cost.draw(run, keys, looks)
        yield keep(figure, name, figure_cost.title(run, keys), experiment)
    for experiment, keys in figure_lines.groups(run).items():
        figure = figure_lines.draw(run, keys, looks)
        yield keep(figure, _name("copies", experiment), figure_lines.title(keys[0]), experiment)
    for group, panels in figure_frames.groups(run).items():
        experiment, dataset, instances, cache = group
        name = _name("frames", experiment, dataset, cache, _guests(instances))
        figure = figure_frames.draw(run, group, panels, looks)
        yield keep(figure, name, figure_frames.title(group), experiment)
    for declared in declared_figures.load():
        drawn = declared.draw(run, looks)
        if drawn is not None:
            yield keep(drawn, declared.id, declared.title, declared.keys(run)[0].experiment)
