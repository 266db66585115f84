# SPDX-License-Identifier: Apache-2.0
"""Markdown tables, and rows of a run as such."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import metrics
import stats
import units
from results import Key, Measurement, Results, Row


def escape(text: str) -> str:
    """Text that stays in its table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> list[str]:
    """Lines of a table; the last `right` columns are set flush right."""
    plain = len(heads) - right
    lines = ["| " + " | ".join(heads) + " |"]
    lines.append("|" + "".join(" --- |" if i < plain else " ---: |" for i in range(len(heads))))
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
    return lines


def spread_words(m: Measurement) -> str:
    """`exact`, `1,990–2,004`, or "" for a single sample, which says nothing about spread."""
    seen = m.spread
    if seen.exact:
        return "exact"
    if seen.count == 1:
        return ""
    unit = m.key.unit
    return f"{units.quantity(seen.low, unit)}–{units.quantity(seen.high, unit)}"


def figure(run: Results, m: Measurement, base: Measurement | None) -> str:
    """`4,974 (4,970–4,981), 71.1×`: median, spread, ratio against `base`.

    No ratio against itself, 0, or a figure that is neither better high nor low.
    """
    text = units.quantity(m.value, m.key.unit)
    spread = spread_words(m)
    if spread:
        text += f" ({spread})"
    if run.metric(m.key.metric).better and base and base != m and base.value > 0:
        text += f", {units.times(m.value / base.value)}"
    return text


def columns_that_say_something(keys: Sequence[Key]) -> list[tuple[str, str]]:
    """(heading, field of Key) for the parts of a key that a table of `keys` has to show."""
    shown = [("workload", "workload")]
    for head, field in (("variant", "variant"), ("cache", "cache")):
        if any(getattr(key, field) for key in keys):
            shown.append((head, field))
    shown.append(("dataset", "dataset"))
    if any(key.instances != 1 for key in keys):
        shown.append(("guests", "instances"))
    if any(key.kernel for key in keys):
        shown.append(("kernel", "kernel"))
    return shown


def by_filesystem(
    run: Results, keys: Sequence[Key], names: Sequence[str], named_metric: bool
) -> list[str]:
    """Rows `keys`, a column for each of `names`; `named_metric` puts the metric into the row."""
    shown = columns_that_say_something(keys)
    heads = [head for head, _ in shown] + (["metric"] if named_metric else []) + ["unit", *names]
    rows = []
    for key in keys:
        row = run.guest_rows[key]
        cells = [str(getattr(key, field)) for _, field in shown]
        if named_metric:
            cells.append(run.metric(key.metric).label)
        cells.append(units.per(key.unit, key.per))
        base = row.get(run.subject)
        for name in names:
            cells.append(figure(run, row[name], base) if name in row else run.missing_because(key, name))
        rows.append(cells)
    return markdown(heads, rows, len(names))


class Outcome(enum.Enum):
    """Of the subject against its best rival in one row."""

    BETTER = "better"
    EQUAL = "equal"
    WORSE = "worse"


@dataclass(frozen=True)
class Verdict:
    """The subject against its best rival in one row; `ratio` is rival ÷ subject, or None."""

    key: Key
    subject: Measurement
    rival: Measurement
    outcome: Outcome
    ratio: float | None
    interval: stats.Interval | None


def _outcome(metric: metrics.Metric, mine: float, best: float) -> Outcome:
    if stats.relative_difference(mine, best) <= metric.margin:
        return Outcome.EQUAL
    return Outcome.BETTER if metric.better * mine > metric.better * best else Outcome.WORSE


def _verdict(run: Results, key: Key, row: Row) -> Verdict | None:
    metric = run.metric(key.metric)
    present = [row[name] for name in run.rivals if name in row]
    if not metric.better or run.subject not in row or not present:
        return None
    mine = row[run.subject]
    best = max(present, key=lambda m: metric.better * m.value)
    return Verdict(
        key=key,
        subject=mine,
        rival=best,
        outcome=_outcome(metric, mine.value, best.value),
        ratio=best.value / mine.value if mine.value > 0 else None,
        interval=stats.ratio_interval(best.samples, mine.samples),
    )


def verdicts(run: Results) -> list[Verdict]:
    """One for each row whose metric is better low or high and that subject and a rival have."""
    found = (_verdict(run, key, row) for key, row in run.guest_rows.items())
    return [v for v in found if v]


def verdict_words(run: Results, found: Sequence[Verdict]) -> str:
    """How many rows of which outcome; the one sentence that terminal and report share."""
    if not found:
        return f"No row has both {run.subject} and a rival: nothing is judged."
    counts = {o: sum(v.outcome == o for v in found) for o in Outcome}
    words = (
        f"{run.subject} against the best of {', '.join(run.rivals)} in each of {len(found)} rows:"
        f" better in {counts[Outcome.BETTER]}, equal in {counts[Outcome.EQUAL]},"
        f" worse in {counts[Outcome.WORSE]}."
    )
    margins = sorted({run.metric(v.key.metric).margin for v in found})
    words += f" Equal: apart by at most {' or '.join(f'{m:.1%}' for m in margins)}, as the metric declares."
    if run.variants:
        words += f" Variants of {run.subject} are no rivals: {', '.join(run.variants)}."
    return words


def _interval_words(interval: stats.Interval | None) -> str:
    if interval is None:
        return "–"
    if interval.method == "exact":
        return "exact"
    if interval.method == "single":
        return "one sample"
    return f"{units.times(interval.low)}–{units.times(interval.high)}, {interval.method}"


def verdict_table(
    run: Results, found: Sequence[Verdict], shown: Sequence[tuple[str, str]]
) -> list[str]:
    """The same table whatever the outcome of its rows.

    `shown`: (heading, field of Key), as columns_that_say_something() gives them.
    """
    heads = ["experiment", *(head for head, _ in shown), "metric", "unit", run.subject, "best rival",
             "its figure", "ratio", "interval of the ratio"]  # fmt: skip
    rows = [
        [v.key.experiment, *(str(getattr(v.key, field)) for _, field in shown),
         run.metric(v.key.metric).label, units.per(v.key.unit, v.key.per),
         units.quantity(v.subject.value, v.key.unit), v.rival.filesystem,
         units.quantity(v.rival.value, v.key.unit),
         "–" if v.ratio is None else units.times(v.ratio), _interval_words(v.interval)]
        for v in found
    ]  # fmt: skip
    return markdown(heads, rows)


def faults_per_operation(run: Results, keys: Sequence[Key], names: Sequence[str]) -> list[str]:
    """Medians of the page faults counted around the measured loop; [] where none were."""
    # Where faults are a metric of their own they need no second table.
    told = {_place(key) for key in run.guest_rows if key.metric == metrics.FAULTS}
    keys = [key for key in keys if _place(key) not in told
            and any(_faults(m) for m in run.guest_rows[key].values())]  # fmt: skip
    if not keys:
        return []
    shown = columns_that_say_something(keys)
    rows = []
    for key in keys:
        row = run.guest_rows[key]
        cells = [*(str(getattr(key, field)) for _, field in shown), key.per]
        cells += [(_faults(row[n]) or "not counted") if n in row else run.missing_because(key, n)
                  for n in names]  # fmt: skip
        rows.append(cells)
    return markdown([*(head for head, _ in shown), "per", *names], rows, len(names))


def _place(key: Key) -> Key:
    """What rows of one workload share whatever they measure."""
    return replace(key, metric="", per="", unit="")


def _faults(m: Measurement) -> str:
    counter = m.counters.get(metrics.FAULTS_COUNTER)
    if counter is None or not counter.values:
        return ""
    return units.number(stats.median(counter.values))
