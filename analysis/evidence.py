#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Judge what is said of the subject by runs: a page (evidence.md) and a mail of 72 columns (evidence.txt).

Usage: evidence.py RUN [RUN...] [--out DIR]

Claims, questions and limitations are declared in workloads/claims.toml. Runs of several kernels are judged
apart, several of one kernel together. Both files go into DIR, without it into the first run's folder.
Status 0: written, whatever the verdicts are; 1: not.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import claims
import metrics
import program
import report
import results
import shares
import tables
import units
from claims import Finding, Judgement, Outcome, Verdict
from results import Results

MAIL_WIDTH = 72


def kernel_of(run: Results) -> str:
    """What verdicts are about: the guests' kernel, or the host's where there was no guest."""
    guest = str((run.environment.get("guest") or {}).get("kernel", ""))
    return guest or f"host {(run.environment.get('host') or {}).get('kernel', '')}"


def by_kernel(runs: Sequence[Results]) -> dict[str, list[Results]]:
    found: dict[str, list[Results]] = {}
    for run in (part for whole in runs for part in whole.by_kernel()):
        found.setdefault(kernel_of(run), []).append(run)
    return found


def _merged(runs: Sequence[Results], known: Sequence[claims.Claim]) -> list[Judgement]:
    columns = [claims.judge(run, known) for run in runs]
    return [claims.merge([column[i] for column in columns]) for i in range(len(known))]


def _quantity(finding: Finding, value: float) -> str:
    return units.quantity(value, finding.measurement.key.unit)


def _row_name(finding: Finding) -> str:
    key = finding.measurement.key
    parts = [key.dataset, key.workload, key.variant, key.cache]
    if key.instances != 1:
        parts.append(f"{key.instances} guests")
    return " ".join(part for part in parts if part)


def _source(outcome: Outcome, finding: Finding) -> str:
    if finding.other is None:
        return ""
    of = finding.other.filesystem
    if outcome.test.against:
        of = ", ".join(f"{k} {v}" for k, v in outcome.test.against.items())
    return of if outcome.test.times == 1 else f"{outcome.test.times:g} × {of}"


def _counts(outcome: Outcome) -> str:
    met = sum(f.met for f in outcome.findings)
    return f"{met} of {len(outcome.findings)}"


def _unit(finding: Finding) -> str:
    key = finding.measurement.key
    # Bytes and seconds carry their unit themselves.
    return "" if key.unit in ("bytes", "seconds", "ratio") else f" {units.per(key.unit, key.per)}"


def _verdict_lines(kernels: dict[str, list[Judgement]], at: int) -> str:
    """`holds (6.12.117), does not hold (7.3.4)`; kernels on which it was not tested are left out
    where another one was."""
    words = {kernel: judged[at].verdict for kernel, judged in kernels.items()}
    tested = {k: v for k, v in words.items() if v != Verdict.UNTESTED}
    if not tested:
        return Verdict.UNTESTED.value
    return ", ".join(f"{verdict.value} on {kernel}" for kernel, verdict in tested.items())


def _page_claim(kernels: dict[str, list[Judgement]], at: int) -> list[str]:
    claim = next(iter(kernels.values()))[at].claim
    lines = [f"### {claim.said}", "", f"**{_verdict_lines(kernels, at)}.**"]
    if claim.but:
        lines[-1] += f" {claim.but}"
    lines.append("")
    if claim.untested:
        return [*lines, f"What would test it: {claim.untested}.", ""]
    rows = []
    for kernel, judged in kernels.items():
        for outcome in judged[at].outcomes:
            if outcome.missing:
                rows.append([outcome.test.title, kernel, "", "", "", f"not tested: {outcome.missing}"])
                continue
            worst = outcome.worst
            rows.append([
                outcome.test.title, kernel, _row_name(worst),
                _quantity(worst, worst.measurement.value) + _unit(worst),
                f"{_quantity(worst, worst.bound)} {_source(outcome, worst)}".strip(),
                f"{outcome.verdict.value} ({_counts(outcome)} rows)",
            ])  # fmt: skip
    heads = ["test", "kernel", "the hardest row", "figure", "at most", "verdict"]
    return [*lines, *tables.markdown(heads, rows), ""]


def _lost(run: Results) -> list[tables.Verdict]:
    return [v for v in tables.verdicts(run) if v.outcome == tables.Outcome.WORSE]


def _page_rivals(run: Results) -> list[str]:
    found = tables.verdicts(run)
    if not found:
        return []
    lost = _lost(run)
    lines = [f"### {run.run['title']}, {kernel_of(run)}", "", tables.verdict_words(run, found), ""]
    if lost:
        shown = tables.columns_that_say_something([v.key for v in lost])
        lines += [*tables.verdict_table(run, lost, shown), ""]
    return lines


def _about(run: Results) -> str:
    env = run.environment
    kernels = ", ".join(kernel_of(part) for part in run.by_kernel())
    clock = str(env.get("clock", ""))
    commit = str((env.get("git") or {}).get("commit", ""))[:12]
    dirty = ", uncommitted changes" if (env.get("git") or {}).get("dirty") else ""
    cpu = (env.get("guest") or {}).get("cpu_model") or (env.get("host") or {}).get("cpu", "")
    repeats = sorted({len(m.samples) for m in run.measurements if m.key.metric == metrics.COST})
    samples = f"; {' or '.join(map(str, repeats))} samples a cost" if repeats else ""
    return (
        f"{run.run['id']}: {run.run['suite']}, profile {run.run['profile']}, {kernels},"
        f" {env.get('accelerator', '')}, CPU {cpu}, clock: {metrics.clock_words(clock, clock)}{samples};"
        f" commit {commit or 'unknown'}{dirty}"
    )


def page(runs: Sequence[Results], known: Sequence[claims.Claim], limits: Sequence[str]) -> list[str]:
    """Lines of evidence.md."""
    kernels = {kernel: _merged(group, known) for kernel, group in by_kernel(runs).items()}
    lines = ["# What is said, and what was measured", ""]
    heads = ["", "verdict"]
    rows = [[claim.said, _verdict_lines(kernels, i)] for i, claim in enumerate(known)]
    lines += [*tables.markdown(heads, rows), "", "## Where a rival wins", ""]
    for run in (part for whole in runs for part in whole.by_kernel()):
        lines += _page_rivals(run)
    for run in runs:
        lines += shares.section(run)
    lines += ["## What it cannot do", "", *(f"* {text}" for text in limits), ""]
    for source, title in (("announcement", "Claims"), ("question", "Questions asked back")):
        lines += [f"## {title}", ""]
        for i, claim in enumerate(known):
            if claim.source == source:
                lines += _page_claim(kernels, i)
    lines += ["## Runs", "", *(f"* {_about(run)}" for run in runs)]
    return lines


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(text, MAIL_WIDTH, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _heading(text: str) -> list[str]:
    return ["", text, "-" * len(text)]


def _mail_claim(kernels: dict[str, list[Judgement]], at: int) -> list[str]:
    claim = next(iter(kernels.values()))[at].claim
    lines = _wrapped(claim.said, "* ", "  ")
    lines += _wrapped(f"-> {_verdict_lines(kernels, at)}", "  ", "     ")
    if claim.untested:
        return lines + _wrapped(f"would test it: {claim.untested}", "     ", "     ")
    for kernel, judged in kernels.items():
        for outcome in judged[at].outcomes:
            if outcome.missing:
                lines += _wrapped(f"{kernel}, {outcome.test.title}: not tested, {outcome.missing}",
                                  "     ", "       ")  # fmt: skip
                continue
            worst = outcome.worst
            figure = _quantity(worst, worst.measurement.value) + _unit(worst)
            bound = f"{_quantity(worst, worst.bound)} {_source(outcome, worst)}".strip()
            lines += _wrapped(
                f"{kernel}, {outcome.test.title}: {_counts(outcome)} rows; hardest: {_row_name(worst)},"
                f" {figure}, at most {bound}", "     ", "       ",
            )  # fmt: skip
    return lines + (_wrapped(claim.but, "     ", "     ") if claim.but else [])


def _mail_rivals(run: Results) -> list[str]:
    found = tables.verdicts(run)
    if not found:
        return []
    lines = _wrapped(f"{kernel_of(run)}: {tables.verdict_words(run, found)}")
    for v in _lost(run):
        unit = v.key.unit
        name = " ".join(p for p in (v.key.dataset, v.key.workload, v.key.variant, v.key.cache) if p)
        label = f"{name}, {run.metric(v.key.metric).label}"
        figures = (f"{units.quantity(v.subject.value, unit)} against {units.quantity(v.rival.value, unit)}"
                   f" of {v.rival.filesystem}")  # fmt: skip
        lines += _wrapped(f"{label}: {figures}", "  ", "    ")
    return [*lines, ""]


def mail(runs: Sequence[Results], known: Sequence[claims.Claim], limits: Sequence[str]) -> list[str]:
    """Lines of evidence.txt; none is longer than MAIL_WIDTH but for a word that is."""
    kernels = {kernel: _merged(group, known) for kernel, group in by_kernel(runs).items()}
    lines = ["What is said, and what was measured"]
    for source, title in (("announcement", "Claims"), ("question", "Questions asked back")):
        lines += _heading(title)
        for i, claim in enumerate(known):
            if claim.source == source:
                lines += [*_mail_claim(kernels, i), ""]
    lines += _heading("Where a rival wins")
    for run in (part for whole in runs for part in whole.by_kernel()):
        lines += _mail_rivals(run)
    lines += _heading("What it cannot do")
    for text in limits:
        lines += _wrapped(text, "* ", "  ")
    lines += _heading("Runs")
    for run in runs:
        lines += _wrapped(_about(run), "* ", "  ")
    return lines


def main(argv: list[str]) -> int:
    """0: written, 1: not, 2: usage."""
    parser = argparse.ArgumentParser(
        prog="evidence", description="Judge workloads/claims.toml by runs.",
        epilog="Status 0: written, whatever the verdicts are; 1: not; 2: usage.",
    )  # fmt: skip
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run's directory or results.json")
    parser.add_argument("--out", type=Path, help="where evidence.md and evidence.txt go")
    args = parser.parse_args(argv)
    try:
        runs = [results.load(path) for path in args.runs]
        known, limits = claims.load()
        folder = args.out or runs[0].path.parent
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in (("evidence.md", page(runs, known, limits)),
                            ("evidence.txt", mail(runs, known, limits))):  # fmt: skip
            report.write_aside(folder / name, "\n".join(lines).rstrip() + "\n")
            print(folder / name)
    except (results.ResultsError, claims.ClaimError, shares.DeclarationError, OSError) as error:
        print(f"evidence: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    program.run(main)
