#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Print a cover letter of upstream/ with the figures of a run in it.

Usage: cover_letter.py RUN LETTER

A line "@FIGURES FILESYSTEM:KERNEL FILESYSTEM:KERNEL ...@" becomes a table of plain text, at most 75 columns
wide: the rows that have a figure at each of these places; of two places also by how much the second differs.
RUN is a results directory or a results.json; KERNEL is a name on its axis, such as 7.3+dax-map-ahead.
Status 0: printed, 1: not, 2: usage.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import program
import results
import stats
import units
from results import Key, Results
from shares import Place

WIDTH = 75
_LINE = re.compile(r"^@FIGURES((?: \S+:\S+)+)@$", re.MULTILINE)


class LetterError(RuntimeError):
    """One line: what was expected in the letter or of the run, what came."""


def _label(key: Key) -> str:
    return " ".join(part for part in (key.workload, key.variant, key.cache) if part)


def _rows(run: Results, places: list[Place]) -> list[tuple[Key, list[float]]]:
    """Each measured thing that is better the less it is, and its value at each place."""
    found = []
    for base in dict.fromkeys(replace(key, kernel="") for key in run.guest_rows if key.kernel):
        if run.metric(base.metric).better >= 0:
            continue
        at = [run.guest_rows.get(replace(base, kernel=place.kernel), {}).get(place.filesystem)
              for place in places]  # fmt: skip
        values = [m.value for m in at if m is not None]
        if len(values) == len(places):
            found.append((base, values))
    return found


def _block(rows: list[tuple[Key, list[float]]], count: int) -> list[str]:
    """Rows of one metric, unit and dataset; with two places, by how much the second differs."""
    room = WIDTH - 11 * count - (8 if count == 2 else 0)
    lines = [" " * room + "".join(f"{f'[{n}]':>11}" for n in range(1, count + 1))]
    for key, values in rows:
        change = f"{values[1] / values[0] - 1:+8.1%}" if count == 2 and values[0] else ""
        figures = "".join(f"{units.quantity(value, key.unit):>11}" for value in values)
        lines.append(f"{_label(key)[: room - 1]:{room}}{figures}{change}")
    return lines


def table(run: Results, places: list[Place]) -> str:
    """A block of lines for each metric, unit and dataset, then the rows that do not differ by more than
    their metric's margin; LetterError where no row has a figure at each place."""
    rows = _rows(run, places)
    if not rows:
        raise LetterError(f"{run.path}: expected rows of {', '.join(map(str, places))}, found none")
    lines = [f"[{n}] {place}" for n, place in enumerate(places, 1)]
    same = []
    blocks: dict[tuple[str, str], list[tuple[Key, list[float]]]] = {}
    for key, values in rows:
        metric = run.metric(key.metric)
        if stats.relative_difference(min(values), max(values)) <= metric.margin:
            same.append(f"{_label(key)} {key.dataset} {units.quantity(values[0], key.unit)}")
        else:
            title = f"{metric.label}, {units.per(key.unit, key.per)}, {key.dataset}"
            blocks.setdefault((key.experiment, title), []).append((key, values))
    for (_, title), block in blocks.items():
        lines += ["", title, *_block(block, len(places))]
    if same:
        lines += ["", *textwrap.wrap("No difference beyond what the metric counts as equal: "
                                     + "; ".join(same) + ".", WIDTH)]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines)


def filled(run: Results, letter: str) -> str:
    """The letter with its tables; LetterError where it asks for none."""

    def put(match: re.Match[str]) -> str:
        return table(run, [Place(*word.split(":", 1)) for word in match[1].split()])

    text, count = _LINE.subn(put, letter)
    if count == 0:
        raise LetterError("expected a line @FIGURES FILESYSTEM:KERNEL ...@ in the letter, found none")
    return text


def main(argv: list[str]) -> int:
    """0: printed, 1: not, 2: usage."""
    parser = argparse.ArgumentParser(prog="cover_letter", description="Put figures into a cover letter.")
    parser.add_argument("run", type=Path, help="results directory or results.json")
    parser.add_argument("letter", type=Path, help="such as upstream/dax-map-ahead/cover-letter.txt")
    arguments = parser.parse_args(argv)
    try:
        sys.stdout.write(filled(results.load(arguments.run), arguments.letter.read_text(encoding="utf-8")))
    except (results.ResultsError, LetterError, OSError) as error:
        print(f"cover_letter: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    program.run(main)
