# SPDX-License-Identifier: Apache-2.0
"""Figures of workloads/figures.toml: which rows they show, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import declarations
from figure import (
    curve as figure_curve,
    distribution as figure_distribution,
    parts as figure_parts,
    scatter as figure_scatter,
    style,
)
from results import Key, Results

FILE = Path(__file__).resolve().parents[2] / "workloads" / "figures.toml"
_KINDS = ("curve", "scatter", "parts", "distribution")
_KEYS = {"id", "kind", "title", "rows", "across", "order", "metrics", "log", "by", "sizes"}


class DeclarationError(RuntimeError):
    """One line: what was expected in the file, what came."""


@dataclass(frozen=True)
class Declared:
    """One [[figure]]; the head of the file says what each key means."""

    id: str
    kind: str
    title: str
    rows: dict[str, Any]
    across: str
    order: tuple[tuple[str, str], ...]
    metrics: tuple[str, ...]
    log: bool
    by: str
    sizes: tuple[float, ...]

    def keys(self, run: Results) -> list[Key]:
        """The run's rows that it shows."""
        return [key for key in run.guest_rows
                if all(getattr(key, field) == value for field, value in self.rows.items())]  # fmt: skip

    def draw(self, run: Results, looks: dict[str, style.Look]) -> Figure | None:
        """None where the run has nothing to show."""
        keys = self.keys(run)
        if self.kind == "curve":
            return figure_curve.draw(run, keys, self.order, self.across, self.title, self.log, looks,
                                     self.by, self.sizes)  # fmt: skip
        if self.kind == "scatter":
            return figure_scatter.draw(run, keys, self.title, self.log, looks)
        if self.kind == "parts":
            return figure_parts.draw(run, keys, self.metrics, self.title, looks)
        return figure_distribution.draw(run, keys, self.title, looks)


def load(path: Path = FILE) -> list[Declared]:
    """All of the file; DeclarationError in one line."""
    document = declarations.read(path, DeclarationError)
    return [_declared(path, raw) for raw in document.get("figure", [])]


def _declared(path: Path, raw: dict[str, Any]) -> Declared:
    name = raw.get("id", "without an id")
    if raw.keys() - _KEYS or not {"id", "kind", "title", "rows"} <= raw.keys():
        raise DeclarationError(f"{path}: figure {name}: expected id, kind, title, rows and no keys but"
                               f" {', '.join(sorted(_KEYS))}, got {', '.join(sorted(raw))}")  # fmt: skip
    if raw["kind"] not in _KINDS:
        raise DeclarationError(f"{path}: figure {name}: expected one of {', '.join(_KINDS)} as its kind,"
                               f" got {raw['kind']}")  # fmt: skip
    unknown = raw["rows"].keys() - Key.__dataclass_fields__.keys()
    if unknown:
        raise DeclarationError(f"{path}: figure {name}: expected keys of a measurement in rows,"
                               f" got {', '.join(sorted(unknown))}")  # fmt: skip
    order = tuple((str(workload), str(label)) for workload, label in raw.get("order", []))
    by = raw.get("by", "workload")
    sizes = tuple(float(size) for size in raw.get("sizes", ()))
    if by not in ("workload", "dataset") or (sizes and len(sizes) != len(order)):
        raise DeclarationError(f"{path}: figure {name}: expected by = \"workload\" or \"dataset\", and a size"
                               f" for each place of order, got {by} and {len(sizes)} sizes")  # fmt: skip
    return Declared(raw["id"], raw["kind"], raw["title"], raw["rows"], raw.get("across", ""), order,
                    tuple(raw.get("metrics", ())), bool(raw.get("log", False)), by, sizes)  # fmt: skip
