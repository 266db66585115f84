#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The table of docs/reproduce.md: each claim, the command that tests it, the rows and their bounds.

Usage: reproduce.py [FILE]

Prints the table; with FILE puts it between the file's two marks. Status 0: done, 1: not.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import claims
import program
import tables
import units

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- made of workloads/claims.toml by analysis/reproduce.py -->"
END = "<!-- end -->"


# The suite whose rows a claim is given from where several have them.
FIRST = "erofs-vs-daxfs"


def _suites() -> dict[str, list[str]]:
    """Experiments by suite, the one that most people run first."""
    found = {}
    files = (ROOT / "workloads" / "suites").glob("*.toml")
    for file in sorted(files, key=lambda file: (file.stem != FIRST, file)):
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        found[document["id"]] = document["experiments"]
    return found


def _command(test: claims.Test, suites: dict[str, list[str]]) -> str:
    experiment = test.row.get("experiment", "")
    for suite, experiments in suites.items():
        # Sizes of images are in the results of every suite that makes them.
        if experiment in experiments or experiment == "image-build":
            return f"`./run-bench {suite}`"
    raise claims.ClaimError(f"{test.title}: expected an experiment of a suite, got {experiment}")


def _bound(test: claims.Test) -> str:
    if test.at_most is not None:
        metric = test.row["metric"]
        return units.size(test.at_most) if metric.endswith("_bytes") else f"{test.at_most:g}"
    if test.against:
        other = ", ".join(f"{field} {value}" for field, value in test.against.items())
        of = f"the row with {other}"
    else:
        of = f"the best of {', '.join(test.rivals)}"
    return of if test.times == 1 else f"{test.times:g} × {of}"


def table() -> list[str]:
    """Lines of Markdown."""
    known, _ = claims.load()
    suites = _suites()
    rows = []
    for claim in known:
        for i, test in enumerate(claim.tests):
            name = f"`{claim.id}`: {claim.said}" if i == 0 else ""
            rows.append((name, _command(test, suites), test.title, f"≤ {_bound(test)}"))
        if not claim.tests:
            rows.append((f"`{claim.id}`: {claim.said}", "not tested here", claim.untested, ""))
    return tables.markdown(["claim", "command", "rows of the subject", "expected"], rows)


def placed(text: str) -> str:
    """`text` with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise claims.ClaimError(f"expected the marks {BEGIN} and {END} in the file")
    return "\n".join([before + BEGIN, *table(), END]) + after


def main(argv: list[str]) -> int:
    """0: done, 1: not."""
    try:
        if not argv:
            print("\n".join(table()))
            return 0
        file = Path(argv[0])
        file.write_text(placed(file.read_text(encoding="utf-8")), encoding="utf-8")
    except (claims.ClaimError, OSError) as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    program.run(main)
