# SPDX-License-Identifier: Apache-2.0
"""Differences of workloads/shares.toml, taken apart step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import declarations
import stats
import tables
import units
from results import Key, Measurement, Results

FILE = Path(__file__).resolve().parents[1] / "workloads" / "shares.toml"
_KEYS = {"id", "title", "experiments", "start", "rivals", "on", "worth", "step"}


class DeclarationError(RuntimeError):
    """One line: what was expected in the file, what came."""


@dataclass(frozen=True)
class Place:
    """A filesystem on a kernel, by its name on the run's axis."""

    filesystem: str
    kernel: str

    def __str__(self) -> str:
        return f"{self.filesystem} on {self.kernel}"


@dataclass(frozen=True)
class Step:
    name: str
    means: str
    to: Place


@dataclass(frozen=True)
class Shares:
    """One [[shares]]; the head of the file says what each key means."""

    title: str
    experiments: tuple[str, ...]
    start: Place
    rivals: tuple[str, ...]
    on: str
    worth: float
    steps: tuple[Step, ...]

    @property
    def places(self) -> list[Place]:
        return [self.start, *(step.to for step in self.steps)]


@dataclass(frozen=True)
class Row:
    """A row at each place, in their order. `key` has no kernel."""

    key: Key
    figures: tuple[Measurement, ...]
    subject: Measurement  # where the sentence on what is left is about
    best: Measurement

    @property
    def steps(self) -> list[float]:
        """In the row's unit; they add up to the last figure less the first."""
        values = [m.value for m in self.figures]
        return [after - before for before, after in zip(values, values[1:])]


def load(path: Path = FILE) -> list[Shares]:
    """All of the file; DeclarationError in one line."""
    document = declarations.read(path, DeclarationError)
    return [_shares(path, raw) for raw in document.get("shares", [])]


def _shares(path: Path, raw: dict[str, Any]) -> Shares:
    if raw.keys() != _KEYS:
        raise DeclarationError(f"{path}: shares {raw.get('id', 'without an id')}: expected the keys"
                               f" {', '.join(sorted(_KEYS))}, got {', '.join(sorted(raw))}")  # fmt: skip
    try:
        steps = tuple(Step(step["name"], step["means"], Place(**step["to"])) for step in raw["step"])
        start = Place(**raw["start"])
    except (KeyError, TypeError) as error:
        raise DeclarationError(f"{path}: shares {raw['id']}: expected name, means and to in each step, and"
                               f" filesystem and kernel in each place: {error}") from error  # fmt: skip
    return Shares(raw["title"], tuple(raw["experiments"]), start, tuple(raw["rivals"]), raw["on"],
                  float(raw["worth"]), steps)  # fmt: skip


def rows(run: Results, shares: Shares) -> tuple[list[Row], list[str]]:
    """The rows that have a figure at each place; of the others a line each: where they lack one."""
    bases = dict.fromkeys(
        replace(key, kernel="") for key in run.guest_rows
        if key.experiment in shares.experiments and key.kernel and run.metric(key.metric).better < 0
    )  # fmt: skip
    found, missing = [], []
    for base in bases:
        at = {place: run.guest_rows.get(replace(base, kernel=place.kernel), {}).get(place.filesystem)
              for place in shares.places}  # fmt: skip
        absent = [str(place) for place, m in at.items() if m is None]
        figures = tuple(m for place in shares.places if (m := at[place]) is not None)
        left = run.guest_rows.get(replace(base, kernel=shares.on), {})
        rivals = [left[name] for name in shares.rivals if name in left]
        subject = left.get(shares.places[-1].filesystem)
        if absent or subject is None:
            missing.append(f"{base}: no figure of {', '.join(absent)}")
        else:
            found.append(Row(base, figures, subject, min(rivals, key=lambda m: m.value)))
    return found, missing


def _signed(value: float, unit: str) -> str:
    if value == 0:
        return "0"
    return ("−" if value < 0 else "+") + units.quantity(abs(value), unit)


def left_over(shares: Shares, row: Row, margin: float) -> str:
    """What is left beside the patch, in a few words and with its sign."""
    mine, best = row.subject.value, row.best.value
    figures = (f"{units.quantity(mine, row.key.unit)} against {units.quantity(best, row.key.unit)} of"
               f" {row.best.filesystem}")  # fmt: skip
    if stats.relative_difference(mine, best) <= margin:
        return f"nothing: {figures}"
    if mine > best:
        return f"less than nothing, a rival is ahead: {figures}"
    part = 1 - mine / best
    words = f"{part:.0%} less" if part >= shares.worth else f"{part:.1%} less, too little to ask for"
    return f"{words}: {figures}"


def table(run: Results, shares: Shares, found: Sequence[Row]) -> list[str]:
    """Markdown: a row each, the shares in its unit."""
    shown = tables.columns_that_say_something([row.key for row in found])
    steps = [step.name for step in shares.steps]
    heads = [*(head for head, _ in shown), "metric", "unit", str(shares.start), *steps,
             str(shares.places[-1]), "left beside the patch"]  # fmt: skip
    lines = []
    for row in found:
        metric = run.metric(row.key.metric)
        unit = row.key.unit
        lines.append([
            *(str(getattr(row.key, field)) for _, field in shown), metric.label,
            units.per(unit, row.key.per), units.quantity(row.figures[0].value, unit),
            *(_signed(step, unit) for step in row.steps), units.quantity(row.figures[-1].value, unit),
            left_over(shares, row, metric.margin),
        ])  # fmt: skip
    return tables.markdown(heads, lines)


def section(run: Results) -> list[str]:
    """Lines of Markdown for each of the file's shares that the run has rows of."""
    lines: list[str] = []
    for shares in load():
        found, missing = rows(run, shares)
        if not found:
            continue
        lines += [f"## {shares.title}, step by step", ""]
        lines += ["Each share is what its step adds or takes away; they add up to the difference.", ""]
        lines += [f"* {s.name}: {s.means} ({s.to})" for s in shares.steps]
        lines += ["", *table(run, shares, found), ""]
        if missing:
            lines += ["Not taken apart:", "", *(f"* {line}" for line in missing), ""]
    return lines
