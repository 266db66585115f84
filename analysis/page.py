# SPDX-License-Identifier: Apache-2.0
"""report.html: the report as one file that opens offline, with figures that can be asked.

The text is that of report.md; page.html is the frame, with the figures' program in it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import markdown  # type: ignore[import]

import metrics
import tables
import units
from figure import style
from results import Key, Measurement, Results

FRAME = Path(__file__).with_name("page.html")
_EXTENSIONS = ("tables", "fenced_code")


def to_html(lines: Sequence[str]) -> str:
    """HTML of Markdown `lines`; tables can be wider than the page, and scroll."""
    # What a run says (an error, a path) is text, never tags; code is escaped by markdown itself.
    fenced = False
    safe = []
    for line in lines:
        fenced ^= line.startswith("```")
        safe.append(line if fenced else line.replace("<", "&lt;"))
    text = str(markdown.markdown("\n".join(safe), extensions=list(_EXTENSIONS)))
    return text.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")


def _figure(m: Measurement) -> dict[str, Any]:
    unit = m.key.unit
    low, high = units.quantity(m.spread.low, unit), units.quantity(m.spread.high, unit)
    samples = f"{len(m.samples)} samples" if len(m.samples) > 1 else "one sample"
    spread = f", {low} to {high}" if m.spread.varies else ", all equal" if m.spread.exact else ""
    exactly = f"{m.value:,.0f}" if m.value == round(m.value) else f"{m.value:,}"
    return {"value": m.value, "text": units.quantity(m.value, unit),
            "more": f"{exactly} {units.per(unit, m.key.per)}; {samples}{spread}"}  # fmt: skip


def _name(run: Results, key: Key) -> str:
    parts = [key.dataset, key.workload, key.variant, key.cache]
    if key.instances != 1:
        parts.append(f"{key.instances} guests")
    parts.append(key.kernel)
    if key.metric != metrics.COST:
        parts.append(f"({run.metric(key.metric).label})")
    return " ".join(part for part in parts if part)


def _row(run: Results, key: Key) -> dict[str, Any]:
    row = run.guest_rows[key]
    planned = run.filesystems_of(key.experiment, key.dataset)
    return {
        "name": _name(run, key),
        "unit": units.per(key.unit, key.per),
        "better": run.metric(key.metric).better,
        "figures": {f: _figure(m) for f, m in row.items()},
        "missing": {f: run.missing_because(key, f) for f in planned if f not in row},
    }


def data(run: Results) -> dict[str, Any]:
    """What the figures show: every row of every experiment."""
    looks = style.looks(run.filesystems)
    titles = {row["id"]: row["title"] for row in run.experiment_rows}
    return {
        "filesystems": [{"id": f, "colour": looks[f].colour} for f in run.filesystems],
        "experiments": [
            {"title": titles.get(e, e),
             "rows": [_row(run, key) for key in run.guest_rows if key.experiment == e]}
            for e in run.experiments
        ],
    }  # fmt: skip


def compose(run: Results, answer: Sequence[str], rest: Sequence[str]) -> str:
    """The page; `answer` and `rest` are Markdown, before and after the figures."""
    subject = tables.verdict_words(run, tables.verdicts(run)) if run.subject else ""
    title = str(run.run.get("title") or run.run.get("suite", "Run"))
    # "</script" would end the element that the data lies in, and "<!--" begin what nothing ends.
    values = json.dumps(data(run), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    head = f"<h1>{html.escape(title)}</h1>\n"
    if subject:
        head += f'<p class="answer">{html.escape(subject)}</p>\n'
    parts = {
        "TITLE": html.escape(title),
        "ANSWER": head + to_html(answer),
        "REST": to_html(rest),
        "DATA": values,
    }
    text = FRAME.read_text(encoding="utf-8")
    # The data comes last: what stands in it is no mark of the frame's.
    for name in ("TITLE", "ANSWER", "REST", "DATA"):
        text = text.replace(f"@{name}@", parts[name], 1)
    return text
