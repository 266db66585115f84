#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compare run B with run A row by row: has something become worse?

Usage: compare.py A B [--fail-above 0.5%] [--same] [--unit instructions] [--only PATTERN] [--anyway]
       [--relative-to FILESYSTEM]

A and B are results directories or results.json files. A row is worse when it moved the wrong way, as its
metric declares, by more than the tolerance; better rows are listed and fail nothing; descriptions are not
judged. A row that A has and B lacks fails. With --same every difference beyond the tolerance fails. With
--relative-to, figures are first divided by that filesystem's in the same row, for runs on unlike kernels.

Status 0: nothing worse, 1: something is, its rows are named, 2: usage, or runs that cannot be compared.
"""

from __future__ import annotations

import argparse
import enum
import fnmatch
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import program
import results
import stats
import units

# How many packages are named where those of a dataset differ.
MOST_PACKAGES = 6
# Instruction counts of one module on one kernel repeat within this.
COUNTED = 0.001
# A ratio moves with the rival's kernel, too.
RELATIVE = 0.03


class Change(enum.Enum):
    """What became of a row, in the order in which rows are listed."""

    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"
    NONE = ""


@dataclass(frozen=True)
class Row:
    """One figure of both runs, in `unit`. `relative`: |a - b| ÷ the smaller of them."""

    name: str
    unit: str
    a: float
    b: float
    tolerance: float
    change: Change

    @property
    def relative(self) -> float:
        return stats.relative_difference(self.a, self.b)

    def __str__(self) -> str:
        sign = "+" if self.b > self.a else "-"
        return (
            f"{self.change.value}: {self.name}: {units.number(self.a)} -> {units.number(self.b)}"
            f" {self.unit}, {sign}{self.relative:.4%} (tolerance {self.tolerance:.2%})"
        )


@dataclass(frozen=True)
class Comparison:
    """Rows of both runs, and the names of rows that only one has."""

    rows: list[Row]
    lost: list[str]
    new: list[str]

    def changed(self, change: Change) -> list[Row]:
        return sorted((r for r in self.rows if r.change == change), key=lambda r: -r.relative)


def unlike(a: results.Results, b: results.Results) -> list[str]:
    """What must be equal for figures to be comparable, and is not: one line each."""

    def facts(run: results.Results) -> dict[str, str]:
        env = run.environment
        guest = env.get("guest") or {}
        known = {
            "kernel": _of_kernels(guest, "kernel"),
            "kernel configuration": _of_kernels(guest, "kernel_config_sha256"),
            "clock": str(env.get("clock", "")),
            "accelerator": str(env.get("accelerator", "")),
            "CPU model": str(guest.get("cpu_model", "")),
            # A profile's limits choose which files are measured.
            "profile": str(run.run.get("profile", "")),
        }
        known |= {f"dataset {d}": h for d, h in run.dataset_hashes.items()}
        return known

    left, right = facts(a), facts(b)
    # A run from before something was recorded does not say that it differs.
    return [f"{what}: {left[what]} and {right[what]}{_packages(a, b, what.removeprefix('dataset '))}"
            for what in left if left[what] and right.get(what) and left[what] != right[what]]  # fmt: skip


def _of_kernels(guest: dict[str, Any], fact: str) -> str:
    """Of the one kernel, or of each on the run's axis."""
    return ", ".join(str(row.get(fact, "")) for row in guest.get("kernels") or [guest])


def _packages(a: results.Results, b: results.Results, dataset: str) -> str:
    """Which packages of a dataset are other versions in `b`, where both runs have recorded them."""
    left, right = (run.dataset_packages.get(dataset, set()) for run in (a, b))
    changed = sorted(left ^ right) if left and right else []
    more = f" and {len(changed) - MOST_PACKAGES} more" if len(changed) > MOST_PACKAGES else ""
    return f" ({', '.join(changed[:MOST_PACKAGES])}{more})" if changed else ""


def _change(a: results.Results, key: results.Key, old: float, new: float, tolerance: float) -> Change:
    if stats.relative_difference(old, new) <= tolerance:
        return Change.NONE
    better = a.metric(key.metric).better
    if not better:
        return Change.CHANGED
    return Change.BETTER if better * new > better * old else Change.WORSE


def _tolerance(a: results.Results, m: results.Measurement, given: float | None) -> float:
    """`given`, or what a figure of this clock repeats within, or the metric's margin."""
    if given is not None:
        return given
    return COUNTED if m.clock == "instructions" else a.metric(m.key.metric).margin


def compare(a: results.Results, b: results.Results, tolerance: float | None = None,
            unit: str = "", only: str = "*") -> Comparison:  # fmt: skip
    """`unit` "" compares rows of all units; `only` is a shell pattern of row names."""

    def rows(run: results.Results) -> dict[tuple[results.Key, str], results.Measurement]:
        # How long an image took is this run's only where it was built in it.
        return {(key, f): m for key, row in run.rows.items() for f, m in row.items()
                if (key in run.guest_rows or not m.clock.startswith("host"))
                and unit in ("", key.unit) and fnmatch.fnmatchcase(f"{key} {f}", only)}  # fmt: skip

    left, right = rows(a), rows(b)
    found = []
    for at, m in left.items():
        if at not in right:
            continue
        key, filesystem = at
        allowed = _tolerance(a, m, tolerance)
        old, new = m.value, right[at].value
        change = _change(a, key, old, new, allowed)
        found.append(Row(f"{key} {filesystem}", key.unit, old, new, allowed, change))
    return Comparison(
        rows=found,
        lost=[f"{key} {f}" for key, f in left if (key, f) not in right],
        new=[f"{key} {f}" for key, f in right if (key, f) not in left],
    )


def relative(run: results.Results, base: str, unit: str) -> results.Results:
    """`run` with each figure of `unit` ("": all) divided by that of `base` in its row; rows without a
    figure of it go."""
    values = {key: row[base].value for key, row in run.rows.items() if base in row and row[base].value > 0}
    document = dict(run.document)
    document["measurements"] = [
        {**raw, "value": raw["value"] / values[m.key], "samples": [s / values[m.key] for s in m.samples],
         "unit": "ratio"}
        for raw, m in zip(
            (r for r in run.document["measurements"] if r["value"] is not None), run.measurements, strict=True
        )
        if m.key in values and m.filesystem != base and unit in ("", m.key.unit)
    ]  # fmt: skip
    return results.Results(document, run.path)


def part(text: str) -> float:
    """`0.5%` or `0.005`."""
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


def _commit(run: results.Results) -> str:
    git = run.environment.get("git") or {}
    return str(git.get("commit", ""))[:12] + (" with uncommitted changes" if git.get("dirty") else "")


def _print(found: Comparison, same: bool) -> bool:
    """Says what was found; True where it fails."""
    for change in (Change.WORSE, Change.BETTER, Change.CHANGED):
        for row in found.changed(change):
            print(row)
    for name in found.lost:
        print(f"lost: {name}")
    for name in found.new:
        print(f"new: {name}")
    counts = {c: len(found.changed(c)) for c in Change}
    largest = max(found.rows, key=lambda r: r.relative)
    print(
        f"{len(found.rows)} rows compared: {counts[Change.WORSE]} worse, {counts[Change.BETTER]} better,"
        f" {counts[Change.CHANGED]} descriptions changed, {len(found.lost)} lost, {len(found.new)} new;"
        f" largest difference {largest.relative:.4%} ({largest.name})"
    )
    if same:
        return any(row.change != Change.NONE for row in found.rows) or bool(found.lost or found.new)
    return bool(counts[Change.WORSE] or found.lost)


def main(argv: list[str]) -> int:
    """0: nothing worse, 1: something is, 2: usage, unreadable results, or runs unlike each other."""
    parser = argparse.ArgumentParser(
        prog="compare", description="Has a run become worse than another? Row by row.",
        epilog="Status 0: nothing worse, 1: something is, 2: usage, or runs that cannot be compared.",
    )  # fmt: skip
    parser.add_argument("a", type=Path, metavar="A", help="a run's directory or results.json")
    parser.add_argument("b", type=Path, metavar="B", help="the run that is compared with it")
    parser.add_argument("--fail-above", type=part, metavar="PART", help="tolerance of all rows, such as"
                        " 0.5%% (default: 0.1%% for instructions, else each metric's margin)")  # fmt: skip
    parser.add_argument("--same", action="store_true", help="every difference beyond it fails")
    parser.add_argument("--unit", default="", help="only rows of this unit, e.g. instructions")
    parser.add_argument("--only", default="*", help="only rows whose name matches this shell pattern")
    parser.add_argument("--relative-to", default="", metavar="FILESYSTEM",
                        help="compare ratios to its figures (tolerance 3%%)")  # fmt: skip
    parser.add_argument("--anyway", action="store_true", help="also runs of other kernels or datasets")
    args = parser.parse_args(argv)
    try:
        a, b = results.load(args.a), results.load(args.b)
    except results.ResultsError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    differences = unlike(a, b)
    if args.relative_to:  # what makes a kernel, or a tree, slower makes its rival slower, too
        differences = [d for d in differences if not d.startswith(("kernel", "dataset "))]
    if differences and not args.anyway:
        print(
            f"compare: expected runs made alike, they differ in {'; '.join(differences)};"
            " compare runs of one kind, or say --anyway",
            file=sys.stderr,
        )
        return 2
    commits = [_commit(run) for run in (a, b)]
    if commits[0] != commits[1]:  # another agent alone moves rows of forks and of memory by some percent
        print(f"of commits {commits[0] or 'unknown'} and {commits[1] or 'unknown'}")
    tolerance = args.fail_above
    if args.relative_to:
        a, b = (relative(run, args.relative_to, args.unit) for run in (a, b))
        args.unit = ""
        tolerance = RELATIVE if tolerance is None else tolerance
    found = compare(a, b, tolerance, args.unit, args.only)
    if not found.rows:
        print("compare: expected rows in common, there are none: nothing was compared", file=sys.stderr)
        return 2
    return 1 if _print(found, args.same) else 0


if __name__ == "__main__":
    program.run(main)
