#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write report.md, report.html and figures/*.svg, *.png beside a run's results.json.

Usage: report.py RESULTS_DIR [--table]. The same results give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import figures
import metrics
import page
import program
import results
import shares
import stats
import tables
import terminal
import units

REPORT = "report.md"
PAGE = "report.html"
FIGURES = "figures"


def _environment(run: results.Results) -> list[str]:
    env = run.environment
    host, qemu, guest = env.get("host") or {}, env.get("qemu") or {}, env.get("guest") or {}
    module, git = env.get("module") or {}, env.get("git") or {}
    accelerator = str(env.get("accelerator", ""))
    if env.get("accelerator_reason"):
        accelerator += f" ({env['accelerator_reason']})"
    commit = str(git.get("commit", ""))
    if git.get("dirty"):
        commit += ", with uncommitted changes"
    memory = host.get("memory_bytes")
    processor = f"{host.get('cpu', '')}, {host.get('cores', '?')} cores"
    rows: list[tuple[str, Any]] = [
        ("host", f"{processor}, {units.size(memory)}" if memory else processor),
        ("host system", f"{host.get('os', '')}, kernel {host.get('kernel', '')}"),
        ("QEMU", f"{qemu.get('version', '')}, machine {qemu.get('machine', '')}"),
        ("accelerator", accelerator),
        ("clock", metrics.clock_words(str(env.get("clock", "")), str(env.get("clock", "")))),
        *_kernels(guest),
        ("its command line", guest.get("cmdline", "")),
        ("guest CPU", _with(guest.get("cpu_model"), guest.get("clocksource"))),
        ("module (SHA-256)", module.get("sha256", "")),
        ("commit", commit),
    ]
    rows += [(name, version) for name, version in (env.get("tools") or {}).items()]
    return tables.markdown(["", ""], [(name, str(value)) for name, value in rows if value])


def _kernels(guest: dict[str, Any]) -> list[tuple[str, Any]]:
    """The one kernel, or all of an axis."""
    rows = guest.get("kernels") or []
    found: list[tuple[str, Any]] = []
    for row in rows if len(rows) > 1 else [guest]:
        found += [("guest kernel", _with(row.get("kernel"), _package(row))),
                  ("its configuration (SHA-256)", row.get("kernel_config_sha256", ""))]  # fmt: skip
    return found


def _package(guest: dict[str, Any]) -> str:
    return f"{guest.get('kernel_package', '')} {guest.get('kernel_version', '')}".strip()


def _with(value: Any, detail: Any) -> str:
    return f"{value or ''} ({detail})" if detail else str(value or "")


def _verdicts(run: results.Results) -> list[str]:
    if not run.subject:
        return ["The run names no filesystem that it is about: nothing is judged."]
    found = tables.verdicts(run)
    lines = [
        tables.verdict_words(run, found)
        + f" Ratio: best rival ÷ {run.subject}. Interval of the ratio:"
        f" {stats.CONFIDENCE:.0%} bootstrap from {stats.FEWEST_FOR_BOOTSTRAP} samples on, with fewer"
        " the range that the samples span.",
    ]
    for outcome in (tables.Outcome.WORSE, tables.Outcome.EQUAL, tables.Outcome.BETTER):
        lines += ["", *_outcome(run, outcome)]
    return lines


def _outcome(run: results.Results, outcome: tables.Outcome) -> list[str]:
    """The rows of one outcome, under a heading; the same columns for each outcome."""
    titles = {tables.Outcome.WORSE: "Rows where a rival wins", tables.Outcome.EQUAL: "Rows that are equal",
              tables.Outcome.BETTER: f"Rows where {run.subject} wins"}  # fmt: skip
    found = tables.verdicts(run)
    shown = tables.columns_that_say_something([v.key for v in found])
    rows = [v for v in found if v.outcome == outcome]
    return [f"## {titles[outcome]}", "", *(tables.verdict_table(run, rows, shown) if rows else ["None."])]


def _experiment(run: results.Results, name: str, drawn: list[figures.Drawn]) -> list[str]:
    keys = [key for key in run.guest_rows if key.experiment == name]
    datasets = dict.fromkeys(key.dataset for key in keys)
    planned = {f for dataset in datasets for f in run.filesystems_of(name, dataset)}
    names = [f for f in run.filesystems if f in planned]
    lines = [f"## {name}", ""]
    for figure in drawn:
        if figure.experiment == name:
            lines += [f"![{figure.title}]({FIGURES}/{figure.name}.svg)", ""]
    costs = [key for key in keys if key.metric == metrics.COST]
    if costs:
        lines += tables.by_filesystem(run, costs, names, named_metric=False) + [""]
        faults = tables.faults_per_operation(run, costs, names)
        if faults:
            lines += ["Page faults, on the base of the cost:", "", *faults, ""]
    others = [key for key in keys if key.metric != metrics.COST]
    if others:
        lines += tables.by_filesystem(run, others, names, named_metric=True) + [""]
    if any(key.metric == metrics.RSS for key in keys):
        lines += [*metrics.rss_notes(run.kernels), "Across kernels compare frames, not RSS.", ""]
    return lines


def _images(run: results.Results) -> list[str]:
    least: dict[str, int] = {}
    for image in run.images:
        least[image["dataset"]] = min(image["bytes"], least.get(image["dataset"], image["bytes"]))
    rows = []
    for image in run.images:
        smallest = least[image["dataset"]]
        seconds = image.get("build_seconds")
        rows.append([
            image["dataset"], image["id"], f"{image['bytes']:,}",
            units.times(image["bytes"] / smallest) if smallest else "–",
            "not measured" if seconds is None else units.duration(seconds),
            str(image.get("tool_version", "")),
        ])  # fmt: skip
    heads = ["dataset", "image", "bytes", "of the smallest", "build time (host wall clock)", "tool"]
    return tables.markdown(heads, rows) if rows else ["None."]


def _limits(run: results.Results) -> list[str]:
    """What the suite declares that figures must not exceed, with the verdict."""
    rows = []
    for limit in run.limits:
        value, bound, unit = limit["value"], limit["bound"], limit["unit"]
        rows.append([
            limit["title"], limit["row"],
            "not measured" if value is None else units.quantity(value, unit),
            "not measured" if bound is None else units.quantity(bound, unit),
            limit["against"],
            {True: "met", False: "**missed**", None: "not measured"}[limit["met"]],
        ])  # fmt: skip
    heads = ["limit", "row", "value", "at most", "taken from", "verdict"]
    return tables.markdown(heads, rows)


def _failures(run: results.Results) -> list[str]:
    lines = []
    cells = [cell for cell in run.cells if cell.status != "ok"]
    if cells:
        rows = [(cell.id, cell.status, cell.why or "no reason given") for cell in cells]
        lines += tables.markdown(["cell", "status", "reason"], rows) + [""]
    told = {cell.why for cell in cells}
    rest = [e for e in run.errors if " ".join(str(e.get("error", "")).split()) not in told]
    lines += [f"- {tables.escape(str(e.get('cell', '')))}: {tables.escape(str(e.get('error', '')))}"
              for e in rest]  # fmt: skip
    lines += [f"- {u.cell}, {u.workload}: {tables.escape(u.error)}"
              for u in run.unmeasured if f"{u.workload}: {u.error}" not in told]  # fmt: skip
    lines += [f"- {tables.escape(doubt)}" for doubt in run.doubts]
    reasons: dict[str, list[str]] = {}
    for m in run.measurements:
        for name, counter in m.counters.items():
            if counter.unavailable and name not in reasons.setdefault(counter.unavailable, []):
                reasons[counter.unavailable].append(name)
    lines += [f"- counters {', '.join(sorted(names))}: {tables.escape(reason)}"
              for reason, names in reasons.items()]  # fmt: skip
    return lines or ["Nothing: every planned cell was measured."]


def _method(run: results.Results) -> list[str]:
    env = run.environment
    counts = sorted({len(m.samples) for m in run.measurements if m.key.metric == metrics.COST})
    lines = [
        "- A figure is the median of its samples"
        + (f" ({', '.join(map(str, counts))} for each cost)" if counts else "")
        + "; in parentheses their smallest and largest, `exact` where all are equal, nothing where"
        " there is only one.",
        f"- The ratio after a figure is relative to {run.subject or 'nothing'} in the same row.",
        "- `not measured` marks a figure that is missing; it is never counted as 0.",
    ]
    if env.get("clock") == "instructions":
        lines.append(
            "- Costs are instructions executed by the guest: QEMU's TCG with `-icount shift=0`"
            " advances the guest's clock by 1 ns for each instruction, and"
            " CLOCK_MONOTONIC is read around the loop (one vCPU, one fixed seed; CPU model in the"
            " command below). They leave out what caches, TLBs and the memory itself cost."
        )
    if env.get("accelerator") == "tcg":
        lines.append(
            "- The CPU was emulated. Wall-clock times under emulation, fio's rates among them,"
            " say nothing about speed on hardware."
        )
    lines += [f"- {note} Cold rows of such a filesystem are warm data with cold names."
              for note in run.cold_notes(run.guest_rows)]  # fmt: skip
    lines += _host_method(run)
    if env.get("clock") != "host-wall":
        lines.append(_MEMORY)
    return lines


_MEMORY = (
    "- Page cache, slab and anonymous memory are growth between the mount and the end of the"
    " reads, one sample for each guest; host PSS is summed over the QEMU processes."
    " Duplication factor: page cache of all guests and host PSS of the image, divided by the"
    " data once."
)


def _host_method(run: results.Results) -> list[str]:
    """Of the cells whose tools ran on the host: how, and how busy it was."""
    cells = [cell for cell in run.document.get("cells") or [] if cell.get("proof")]
    proofs = [cell["proof"] for cell in cells]
    cold = dict.fromkeys(proof["cold"] for proof in proofs if "cold" in proof)
    loads = [proof[key][0] for proof in proofs
             for key in ("load_average_before", "load_average_after") if proof.get(key)]  # fmt: skip
    if not cold and not loads:
        return []
    host = run.environment.get("host") or {}
    lines = [
        f"- Images were built on the host itself, natively ({host.get('cpu', '')}, kernel"
        f" {host.get('kernel', '')}): wall clock and CPU time (user and system) of the tool's"
        " process until it ended, and its largest resident set. The tools took turns, each round"
        " beginning with another one. None waits for the medium; how long that then took is the"
        " row `then flushed in`."
    ]
    if cold:
        lines.append(f"- Cold: {'; '.join(cold)}. Warm: after a run of each tool that is not counted.")
    if loads:
        lines.append(
            f"- Load average of the host (1 minute) around the cells: {min(loads):.1f} to"
            f" {max(loads):.1f}. It slows all tools; the ratios are what to read."
        )
    unequal = [cell["id"] for cell in cells if cell["proof"].get("equal_images") is False]
    if unequal:
        lines.append(f"- The same input gave different images in: {', '.join(unequal)}.")
    return lines


def _commands(run: results.Results) -> list[str]:
    lines = []
    if run.command:
        lines += ["```sh", shlex.join(map(str, run.command)), "```"]
    qemu = (run.environment.get("qemu") or {}).get("command")
    if qemu:
        text = qemu if isinstance(qemu, str) else shlex.join(map(str, qemu))
        lines += ["", "One guest of it:", "", "```sh", text, "```"]
    return lines


def _history(about: dict[str, Any]) -> list[str]:
    """How a run came about that was not made in one go."""
    words = [f"Resumed {one['at']}: {one['kept']} finished cells stayed as they were."
             for one in about.get("resumed") or []]  # fmt: skip
    if merged := about.get("merged"):
        parts = ", ".join(f"{one['cells']} cells of `{one['id']}`" for one in merged)
        words.append(f"Merged from {parts}.")
    if about.get("shard"):
        words.append(f"Shard {about['shard']}: only this part of the cells.")
    if about.get("executor", "local") != "local":
        words.append(f"Cells ran as jobs of {about['executor']}.")
    return words


def _about(run: results.Results) -> list[str]:
    about = run.run
    cells = sum(cell.status == "ok" for cell in run.cells)
    return [
        f"Run `{about.get('id', '')}`: suite {about.get('suite', '')}, profile"
        f" {about.get('profile', '')}, {about.get('status', '')}; {cells} of {len(run.cells)} cells"
        f" measured in {units.duration(float(about.get('seconds') or 0))}, started"
        f" {about.get('started', '')}.",
        *_history(about),
        "",
    ]


def compose(run: results.Results, drawn: list[figures.Drawn]) -> str:
    """The text of report.md."""
    lines = [
        f"# {run.run.get('title') or run.run.get('suite', 'Run')}",
        "",
        *_about(run),
        *(f"![{figure.title}]({FIGURES}/{figure.name}.svg)\n" for figure in drawn if not figure.experiment),
        *_verdicts(run),
        "",
        *_details(run, drawn),
    ]
    return "\n".join(lines).rstrip() + "\n"


def compose_page(run: results.Results) -> str:
    """The text of report.html: the answer, the figures, and what report.md has below them."""
    answer = _about(run)
    rest = _details(run, [])
    if run.subject:
        answer += _outcome(run, tables.Outcome.WORSE)
        won = [_outcome(run, tables.Outcome.EQUAL), _outcome(run, tables.Outcome.BETTER)]
        rest = [line for lines in won for line in [*lines, ""]] + rest
    return page.compose(run, answer, rest)


def _details(run: results.Results, drawn: list[figures.Drawn]) -> list[str]:
    """Limits, images, every figure, what is missing, how it was measured, where."""
    lines: list[str] = shares.section(run)
    if run.limits:
        lines += ["## Limits", "", *_limits(run), ""]
    if run.images or run.environment.get("clock") != "host-wall":
        lines += ["## Images", "", *_images(run), ""]
    for name in run.experiments:
        lines += _experiment(run, name, drawn)
    lines += ["## Not measured", "", *_failures(run), ""]
    lines += ["## How it was measured", "", *_method(run), ""]
    return [*lines, "## Environment", "", *_environment(run), "", *_commands(run)]


def write_aside(path: Path, text: str) -> None:
    """Replace `path` in one step."""
    aside = path.with_name(f".{path.name}.new")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)


def report(folder: Path) -> results.Results:
    """Write figures and report into `folder`."""
    run = results.load(folder)
    drawn = figures.draw_all(run, folder / FIGURES)
    write_aside(folder / REPORT, compose(run, drawn))
    write_aside(folder / PAGE, compose_page(run))
    return run


def main(argv: list[str]) -> int:
    """0: written, 1: not."""
    parser = argparse.ArgumentParser(description="Write report.md and figures of a run.")
    parser.add_argument("folder", type=Path, metavar="RESULTS_DIR")
    parser.add_argument("--table", action="store_true", help="print the run's tables and verdict")
    args = parser.parse_args(argv)
    if not args.folder.is_dir():
        parser.error(f"{args.folder}: expected the directory of a run, which holds results.json")
    try:
        run = report(args.folder)
    except (results.ResultsError, OSError) as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 1
    if args.table:
        print("\n".join(terminal.lines(run)))
    else:
        print(args.folder / REPORT)
    return 0


if __name__ == "__main__":
    program.run(main)
