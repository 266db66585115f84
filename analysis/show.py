#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Print rows of a run.

Usage: show.py RUN [--experiment PATTERN] [--workload PATTERN] [--dataset PATTERN] [--filesystem PATTERN]
       [--metric PATTERN] [--kernel PATTERN] [--format table|csv|json|markdown|latex]

RUN is a results directory or a results.json. Patterns are the shell's, and may be given more than once.
table, markdown and latex have a row for each measured thing and a column for each filesystem; csv and json
have one record for each figure, with its samples, unit and clock. Status 0: printed, 1: no row matches,
2: usage.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import latex
import program
import results
import tables
import terminal
import units
from results import Key, Measurement, Results

FORMATS = ("table", "csv", "json", "markdown", "latex")
CHOSEN_BY = ("experiment", "workload", "dataset", "metric")
MORE = ("filesystem", "kernel")


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def chosen(run: Results, patterns: dict[str, Sequence[str]]) -> dict[Key, dict[str, Measurement]]:
    """Rows of `run` whose parts match; `patterns` by a name of CHOSEN_BY or MORE. A kernel is known by
    its release and by its name on the run's axis."""
    kernels = patterns.get("kernel", ())
    found = {}
    for key, row in run.rows.items():
        if all(_matches(getattr(key, part), patterns.get(part, ())) for part in CHOSEN_BY):
            kept = {f: m for f, m in row.items() if _matches(f, patterns.get("filesystem", ()))
                    and (_matches(m.kernel, kernels) or _matches(key.kernel, kernels))}  # fmt: skip
            if kept:
                found[key] = kept
    return found


def records(rows: dict[Key, dict[str, Measurement]]) -> list[dict[str, Any]]:
    """One for each figure; numbers as measured, never rounded."""
    return [
        {
            "experiment": key.experiment, "workload": key.workload, "variant": key.variant,
            "cache": key.cache, "dataset": key.dataset, "instances": key.instances,
            "kernel": m.kernel, "filesystem": filesystem, "metric": key.metric, "per": key.per,
            "unit": key.unit, "clock": m.clock, "value": m.value, "samples": list(m.samples),
        }
        for key, row in rows.items() for filesystem, m in row.items()
    ]  # fmt: skip


def _wide(run: Results, rows: dict[Key, dict[str, Measurement]]) -> tuple[list[str], list[list[str]], int]:
    """Heads, rows of text, and how many columns, the last ones, hold figures."""
    names = list(dict.fromkeys(f for row in rows.values() for f in row))
    shown = tables.columns_that_say_something(list(rows))
    heads = ["experiment", *(head for head, _ in shown), "metric", "unit", *names]
    body = []
    for key, row in rows.items():
        cells = [key.experiment, *(str(getattr(key, field)) for _, field in shown),
                 run.metric(key.metric).label, units.per(key.unit, key.per)]  # fmt: skip
        cells += [units.quantity(row[n].value, key.unit) if n in row else "–" for n in names]
        body.append(cells)
    return heads, body, len(names)


def _csv(rows: dict[Key, dict[str, Measurement]]) -> list[str]:
    flat = records(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(flat[0]), lineterminator="\n")
    writer.writeheader()
    for record in flat:
        writer.writerow({**record, "samples": " ".join(repr(s) for s in record["samples"])})
    return out.getvalue().splitlines()


def text(run: Results, rows: dict[Key, dict[str, Measurement]], form: str) -> list[str]:
    """Lines of `rows` in one of FORMATS; at least one row."""
    if form == "csv":
        return _csv(rows)
    if form == "json":
        return json.dumps(records(rows), indent=1).splitlines()
    heads, body, right = _wide(run, rows)
    if form == "markdown":
        return tables.markdown(heads, body, right)
    if form == "latex":
        return latex.table(heads, body, right)
    return terminal.columns(heads, body, right)


def main(argv: list[str]) -> int:
    """0: printed, 1: no row matches, 2: usage or unreadable results."""
    parser = argparse.ArgumentParser(
        prog="show", description="Print rows of a run.",
        epilog="Status 0: printed, 1: no row matches, 2: usage. Patterns are the shell's.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's directory or results.json")
    for part in (*CHOSEN_BY, *MORE):
        parser.add_argument(f"--{part}", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--format", choices=FORMATS, default="table")
    args = parser.parse_args(argv)
    try:
        run = results.load(args.run)
    except results.ResultsError as error:
        print(f"show: {error}", file=sys.stderr)
        return 2
    rows = chosen(run, {part: getattr(args, part) for part in (*CHOSEN_BY, *MORE)})
    if not rows:
        known = {part: sorted({getattr(key, part) for key in run.rows}) for part in CHOSEN_BY}
        known["kernel"] = run.kernels
        print("show: expected rows that match, there are none; the run has "
              + "; ".join(f"{part} {', '.join(names)}" for part, names in known.items()),
              file=sys.stderr)  # fmt: skip
        return 1
    print("\n".join(text(run, rows, args.format)))
    return 0


if __name__ == "__main__":
    program.run(main)
