#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
r"""A run as material for a paper: figures, tables and numbers, none of them typed by hand.

Usage: paper.py RUN [--out DIR]

Into DIR (without it, RUN/paper) go figures as PDF, SVG and PNG at the width of one or two columns, fonts
embedded; tables/*.tex, which want \usepackage{booktabs}; macros.tex, a \newcommand for each figure; and
sample.tex, which uses all of them. Where pdflatex is installed, sample.pdf is made of it. Status 0: written,
1: not.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import figures
import latex
import metrics
import program
import report
import results
import show
import tables
import units
from results import Results


def macros(run: Results) -> list[str]:
    """A macro for each figure, one for each ratio to the best rival, and the counts of the verdict."""
    lines = [f"% {run.run['id']}: values as reports print them; units are in the tables."]
    for key, row in run.guest_rows.items():
        for filesystem, m in row.items():
            metric = "" if key.metric == metrics.COST else key.metric
            name = latex.macro_name(key.experiment, key.dataset, key.workload, key.variant, key.cache,
                                    f"n{key.instances}" if key.instances != 1 else "", key.kernel, metric,
                                    filesystem)  # fmt: skip
            lines.append(latex.macro(name, units.quantity(m.value, key.unit)))
    found = tables.verdicts(run)
    for v in found:
        if v.ratio is not None:
            metric = "" if v.key.metric == metrics.COST else v.key.metric
            guests = f"n{v.key.instances}" if v.key.instances != 1 else ""
            name = latex.macro_name("ratio", v.key.experiment, v.key.dataset, v.key.workload, v.key.variant,
                                    v.key.cache, guests, v.key.kernel, metric)  # fmt: skip
            lines.append(latex.macro(name, units.times(v.ratio)))
    for outcome in tables.Outcome:
        count = sum(v.outcome == outcome for v in found)
        lines.append(latex.macro(latex.macro_name("rows", outcome.value), str(count)))
    lines.append(latex.macro("RowsJudged", str(len(found))))
    lines.append(latex.macro("Kernel", ", ".join(run.kernels)
                             or str((run.environment.get("guest") or {}).get("kernel", ""))))  # fmt: skip
    return lines


def experiment_tables(run: Results) -> dict[str, list[str]]:
    """LaTeX tables by file name: the metrics that each experiment shows."""
    made = {}
    for experiment in run.experiment_rows:
        rows = {key: dict(row) for key, row in run.guest_rows.items()
                if key.experiment == experiment["id"] and key.metric in experiment["table"]}  # fmt: skip
        if rows:
            made[f"{experiment['id']}.tex"] = show.text(run, rows, "latex")
    return made


def sample(run: Results, drawn: Iterable[figures.Drawn], names: Iterable[str]) -> list[str]:
    """A document that shows everything once."""
    lines = [
        r"\documentclass[twocolumn]{article}",
        r"\usepackage{booktabs,graphicx}",
        r"\usepackage[T1]{fontenc}",
        r"\input{macros}",
        r"\begin{document}",
        rf"\section*{{{latex.escape(str(run.run['title']))}}}",
        r"Of \RowsJudged{} rows on kernel \Kernel{}, \RowsBetter{} are better than the best rival,"
        r" \RowsEqual{} equal, \RowsWorse{} worse.",
    ]
    for figure in drawn:
        where = "figure*" if figure.columns > 1 else "figure"
        width = r"\textwidth" if figure.columns > 1 else r"\columnwidth"
        # One that is higher than a page is made smaller.
        fit = rf"width={width},height=0.88\textheight,keepaspectratio"
        lines += [rf"\begin{{{where}}}\includegraphics[{fit}]{{figures/{figure.name}.pdf}}",
                  rf"\caption{{{latex.escape(figure.title)}}}\end{{{where}}}", r"\clearpage"]  # fmt: skip
    for name in names:
        lines += [r"\begin{table*}\centering\resizebox{\textwidth}{!}{%", rf"\input{{tables/{name}}}}}",
                  r"\end{table*}"]  # fmt: skip
    return [*lines, r"\end{document}"]


def _typeset(folder: Path) -> str:
    """sample.pdf; what kept it from being made, or ""."""
    program = shutil.which("pdflatex")
    if program is None:
        return "no sample.pdf: pdflatex is not installed (apt-get install texlive-latex-recommended)"
    (folder / "sample.pdf").unlink(missing_ok=True)
    done = subprocess.run([program, "-interaction=nonstopmode", "-halt-on-error", "sample.tex"], cwd=folder,
                          capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    for suffix in ("aux", "log"):
        leftover = folder / f"sample.{suffix}"
        if done.returncode == 0 and leftover.exists():
            leftover.unlink()
    return "" if done.returncode == 0 else f"no sample.pdf: pdflatex failed; see {folder / 'sample.log'}"


def write(run: Results, folder: Path) -> str:
    """Everything into `folder`; returns what keeps sample.pdf from being there, or ""."""
    drawn = figures.draw_all(run, folder / "figures", ("pdf", "svg", "png"))
    made = experiment_tables(run)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for name, lines in made.items():
        report.write_aside(folder / "tables" / name, "\n".join(lines) + "\n")
    report.write_aside(folder / "macros.tex", "\n".join(macros(run)) + "\n")
    report.write_aside(folder / "sample.tex", "\n".join(sample(run, drawn, made)) + "\n")
    return _typeset(folder)


def main(argv: list[str]) -> int:
    """0: written, 1: not, 2: usage."""
    parser = argparse.ArgumentParser(
        prog="paper", description="Figures, tables and macros of a run, for a paper.",
        epilog="Status 0: written, 1: not, 2: usage.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's directory or results.json")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: RUN/paper")
    args = parser.parse_args(argv)
    try:
        run = results.load(args.run)
        folder = args.out or run.path.parent / "paper"
        missing = write(run, folder)
    except (results.ResultsError, OSError, subprocess.TimeoutExpired) as error:
        print(f"paper: {error}", file=sys.stderr)
        return 1
    if missing:
        print(f"paper: {missing}", file=sys.stderr)
    print(folder)
    return 0


if __name__ == "__main__":
    program.run(main)
