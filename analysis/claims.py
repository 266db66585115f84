# SPDX-License-Identifier: Apache-2.0
"""Claims and questions of workloads/claims.toml, judged by the rows of runs."""

from __future__ import annotations

import enum
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import declarations
import metrics
from results import Key, Measurement, Results, Row

FILE = Path(__file__).resolve().parents[1] / "workloads" / "claims.toml"
_FIELDS = ("experiment", "workload", "dataset", "variant", "cache", "metric", "instances")


class ClaimError(RuntimeError):
    """One line: what was expected in the file, what came."""


class Verdict(enum.Enum):
    HOLDS = "holds"
    FAILS = "does not hold"
    UNTESTED = "not tested here"


@dataclass(frozen=True)
class Test:
    """Rows and what they must not exceed; see the head of the file."""

    title: str
    row: dict[str, Any]
    at_most: float | None
    rivals: tuple[str, ...]
    against: dict[str, Any]
    times: float


@dataclass(frozen=True)
class Claim:
    id: str
    said: str
    source: str
    but: str
    untested: str
    tests: tuple[Test, ...]


@dataclass(frozen=True)
class Finding:
    """One row of a test: the subject's figure, and what it must not exceed, taken from `other`."""

    measurement: Measurement
    bound: float
    other: Measurement | None

    @property
    def met(self) -> bool:
        return self.measurement.value <= self.bound  # lower is better: _outcome() takes no other metric

    @property
    def strain(self) -> float:
        """Above 1: exceeded; the highest is a test's worst row."""
        if self.bound > 0:
            return self.measurement.value / self.bound
        return 1.0 if self.measurement.value <= self.bound else float("inf")


@dataclass(frozen=True)
class Outcome:
    """A test on one run: each row, or why there is none."""

    test: Test
    findings: tuple[Finding, ...]
    missing: str

    @property
    def verdict(self) -> Verdict:
        if self.missing:
            return Verdict.UNTESTED
        return Verdict.HOLDS if all(f.met for f in self.findings) else Verdict.FAILS

    @property
    def worst(self) -> Finding:
        return max(self.findings, key=lambda f: f.strain)


@dataclass(frozen=True)
class Judgement:
    """A claim on one run."""

    claim: Claim
    outcomes: tuple[Outcome, ...]

    @property
    def verdict(self) -> Verdict:
        found = {outcome.verdict for outcome in self.outcomes}
        if Verdict.FAILS in found:
            return Verdict.FAILS
        return Verdict.HOLDS if found == {Verdict.HOLDS} else Verdict.UNTESTED


def _test(claim: str, raw: dict[str, Any]) -> Test:
    known = {"title", "row", "at_most", "rivals", "against", "times"}
    unknown = raw.keys() - known
    if unknown:
        raise ClaimError(f"claim {claim}: expected only the keys {', '.join(sorted(known))} in a test,"
                         f" got {', '.join(sorted(unknown))}")  # fmt: skip
    bounds = [key for key in ("at_most", "rivals", "against") if key in raw]
    if len(bounds) != 1:
        raise ClaimError(f"claim {claim}: expected one of at_most, rivals, against in a test,"
                         f" got {' and '.join(bounds) or 'none'}")  # fmt: skip
    row = {"metric": metrics.COST, **raw["row"]}
    wrong = (row.keys() | raw.get("against", {}).keys()) - {*_FIELDS, "filesystem"}
    if wrong:
        raise ClaimError(f"claim {claim}: expected keys of a measurement in a row, got {', '.join(wrong)}")
    return Test(raw["title"], row, raw.get("at_most"), tuple(raw.get("rivals", ())),
                raw.get("against", {}), float(raw.get("times", 1)))  # fmt: skip


def load(path: Path = FILE) -> tuple[list[Claim], list[str]]:
    """Claims and limitations; ClaimError in one line."""
    document = declarations.read(path, ClaimError)
    try:
        return _claims(document)
    except (KeyError, TypeError) as error:
        raise ClaimError(f"{path}: expected every claim to have id, from and said, every test title and row;"
                         f" got {type(error).__name__}: {error}") from error  # fmt: skip


def _claims(document: dict[str, Any]) -> tuple[list[Claim], list[str]]:
    claims = []
    for raw in document["claim"]:
        tests = tuple(_test(raw["id"], test) for test in raw.get("test", []))
        if bool(tests) == ("untested" in raw):
            raise ClaimError(f"claim {raw['id']}: expected either tests or what would test it (untested)")
        claims.append(Claim(raw["id"], raw["said"], raw["from"], raw.get("but", ""),
                            raw.get("untested", ""), tests))  # fmt: skip
    return claims, [limitation["text"] for limitation in document.get("limitation", [])]


def _matches(key: Key, row: dict[str, Any]) -> bool:
    for field, wanted in row.items():
        if field == "filesystem":
            continue
        have = getattr(key, field)
        patterns = wanted if isinstance(wanted, list) else [wanted]
        if not any(have == p if isinstance(p, int) else fnmatch.fnmatchcase(str(have), p) for p in patterns):
            return False
    return True


def _other(run: Results, test: Test, key: Key, row: Row, subject: str) -> Measurement | str:
    """The row that the bound is taken from: the best rival's, or the one that `against` names; or
    what was not measured. A best among some rivals only would be none."""
    if test.against:
        fields = {k: v for k, v in test.against.items() if k != "filesystem"}
        there = run.rows.get(replace(key, **fields), {})
        filesystem = test.against.get("filesystem", subject)
        return there.get(filesystem) or f"{replace(key, **fields)} {filesystem} was not measured"
    absent = [rival for rival in test.rivals if rival not in row]
    if absent:
        return f"{key}: {', '.join(absent)} not measured"
    better = run.metric(key.metric).better or -1
    return max((row[rival] for rival in test.rivals), key=lambda m: better * m.value)


def _outcome(run: Results, test: Test) -> Outcome:
    subject = test.row.get("filesystem", run.run["subject"])
    if run.metric(test.row["metric"]).better > 0:
        raise ClaimError(f"{test.title}: expected a metric of which less is better,"
                         f" got {test.row['metric']}")  # fmt: skip
    findings = []
    for key, row in run.rows.items():
        if not _matches(key, test.row):
            continue
        if subject not in row:
            if any(rival in row for rival in run.rivals):
                return Outcome(test, (), f"{key}: {subject} not measured")
            continue
        if test.at_most is not None:
            findings.append(Finding(row[subject], float(test.at_most), None))
            continue
        other = _other(run, test, key, row, subject)
        if isinstance(other, str):
            return Outcome(test, (), other)
        findings.append(Finding(row[subject], test.times * other.value, other))
    missing = "" if findings else "the run has no such rows"
    return Outcome(test, tuple(findings), missing)


def judge(run: Results, claims: Sequence[Claim]) -> list[Judgement]:
    """Every claim by the rows of `run`."""
    return [Judgement(claim, tuple(_outcome(run, test) for test in claim.tests)) for claim in claims]


def merge(judgements: Sequence[Judgement]) -> Judgement:
    """The same claim on several runs of one kernel: of each test the findings of all that measured it."""
    outcomes = []
    for at, first in enumerate(judgements[0].outcomes):
        measured = [j.outcomes[at] for j in judgements if not j.outcomes[at].missing]
        findings = tuple(f for outcome in measured for f in outcome.findings)
        outcomes.append(Outcome(first.test, findings, "") if measured else first)
    return Judgement(judgements[0].claim, tuple(outcomes))
