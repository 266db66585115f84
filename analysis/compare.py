#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compare two runs row by row: status 0 where every row agrees, 1 where one does not, 2 usage.

Usage: compare.py RUN_A RUN_B [--tolerance 0.001] [--unit instructions]

RUN is a results directory or a results.json. Rows are (experiment, workload, dataset, filesystem,
instances, variant, cache, metric); a row that only one run has does not agree.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import results
import stats
import units


@dataclass(frozen=True)
class Difference:
    """Values in the row's unit; `relative` is |a - b| ÷ the smaller of them."""

    row: str
    unit: str
    a: float
    b: float

    @property
    def relative(self) -> float:
        return stats.relative_difference(self.a, self.b)

    def __str__(self) -> str:
        values = f"{units.number(self.a)} against {units.number(self.b)} {self.unit}"
        return f"{self.row}: {values}, {self.relative:.4%}"


@dataclass(frozen=True)
class Comparison:
    """Rows of both runs, and the names of rows that only one has."""

    both: list[Difference]
    only_a: list[str]
    only_b: list[str]


def _values(run: results.Results, unit: str) -> dict[tuple[results.Key, str], float]:
    return {
        (key, filesystem): m.value
        for key, row in run.rows.items()
        for filesystem, m in row.items()
        if unit in ("", key.unit)
    }


def compare(a: results.Results, b: results.Results, unit: str = "") -> Comparison:
    """`unit` "" compares all rows, of whatever unit."""
    left, right = _values(a, unit), _values(b, unit)

    def name(at: tuple[results.Key, str]) -> str:
        return f"{at[0]} {at[1]}"

    return Comparison(
        both=[Difference(name(k), k[0].unit, left[k], right[k]) for k in left if k in right],
        only_a=[name(k) for k in left if k not in right],
        only_b=[name(k) for k in right if k not in left],
    )


def main(argv: list[str]) -> int:
    """0: all rows agree, 1: not, 2: usage or unreadable results."""
    parser = argparse.ArgumentParser(description="Compare two runs of the bench row by row.")
    parser.add_argument("a", type=Path, metavar="RUN_A")
    parser.add_argument("b", type=Path, metavar="RUN_B")
    parser.add_argument("--tolerance", type=float, default=0.001, help="relative (default: 0.001)")
    parser.add_argument("--unit", default="", help="only rows of this unit, e.g. instructions")
    args = parser.parse_args(argv)
    try:
        found = compare(results.load(args.a), results.load(args.b), args.unit)
    except results.ResultsError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    apart = [d for d in found.both if d.relative > args.tolerance]
    for difference in sorted(apart, key=lambda d: (-d.relative, d.row)):
        print(difference)
    for run, names in ((args.a, found.only_a), (args.b, found.only_b)):
        for name in names:
            print(f"{name}: only in {run}")
    if not found.both:
        print("no rows in common: nothing was compared")
        return 1
    largest = max(found.both, key=lambda d: d.relative)
    print(
        f"{len(found.both)} rows compared, {len(apart)} beyond {args.tolerance:.4%};"
        f" largest difference {largest.relative:.4%} ({largest.row})"
    )
    return 1 if apart or found.only_a or found.only_b else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
