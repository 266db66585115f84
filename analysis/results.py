# SPDX-License-Identifier: Apache-2.0
"""results.json as typed rows.

Nothing here knows a filesystem, dataset, experiment or workload by name: order and identity come
from the file, which also says whom it is about (the subject) and what each metric means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import metrics
import stats
import validate

SCHEMA_VERSION = 2
FILE_NAME = "results.json"
# A value is the median of its samples; writers round in decimal, hence not exactly equal.
MEDIAN_TOLERANCE = 1e-6


class ResultsError(RuntimeError):
    """One line: what was expected, what came, what to do."""


@dataclass(frozen=True)
class Counter:
    """A perf event around the measured loop: a count for each sample, or why there is none.

    Counts are on the base of the cost they belong to: for each operation, page or MiB.
    """

    values: tuple[float, ...]
    unavailable: str


@dataclass(frozen=True)
class Key:
    """What two filesystems, or two runs, share when they can be compared."""

    experiment: str
    workload: str
    dataset: str
    instances: int
    variant: str
    cache: str
    metric: str
    per: str
    unit: str
    # By its name on the run's axis of kernels; "" where the run has no axis.
    kernel: str = ""

    def __str__(self) -> str:
        parts = [self.experiment, self.workload, self.variant, self.cache, self.dataset]
        parts += [f"n{self.instances}", self.kernel, self.metric]
        return "/".join(part for part in parts if part)


@dataclass(frozen=True)
class Measurement:
    """One figure of one filesystem; `value` is the median of `samples`, both in `key.unit`."""

    key: Key
    filesystem: str
    kernel: str  # release of the guest's
    clock: str
    value: float
    samples: tuple[float, ...]
    operations: float
    counters: dict[str, Counter]

    @property
    def spread(self) -> stats.Spread:
        return stats.spread(self.samples)


@dataclass(frozen=True)
class Unmeasured:
    """A workload that was tried in a cell and gave no figure; `error` is one line."""

    cell: str
    workload: str
    error: str


@dataclass(frozen=True)
class Cell:
    """One experiment on one filesystem and dataset; `why` says what kept it from "ok"."""

    id: str
    experiment: str
    dataset: str
    filesystem: str
    instances: int
    kernel: str
    status: str
    why: str
    seconds: float


Row = dict[str, Measurement]


def _counter(raw: Any) -> Counter:
    if isinstance(raw, dict):
        return Counter((), str(raw.get("unavailable", "no reason given")))
    return Counter(tuple(float(v) for v in raw), "")


def _kernel_names(environment: dict[str, Any]) -> dict[str, str]:
    """Release → name on the axis of kernels; "" for the run's own, unless the axis has it, too."""
    rows = (environment.get("guest") or {}).get("kernels") or []
    return {row["kernel"]: row["name"] for row in sorted(rows, key=lambda row: str(row["name"]))}


def _measurement(raw: dict[str, Any], kernels: dict[str, str]) -> Measurement:
    release = raw.get("kernel", "")
    # Guests of several kernels in one cell: all their names.
    names = [kernels.get(part, "") for part in release.split(" + ")]
    key = Key(
        experiment=raw["experiment"],
        workload=raw["workload"],
        dataset=raw.get("dataset", ""),
        instances=int(raw.get("instances", 1)),
        variant=raw.get("variant", ""),
        cache=raw.get("cache", ""),
        metric=raw["metric"],
        per=raw.get("per", ""),
        unit=raw["unit"],
        kernel=" + ".join(name for name in names if name),
    )
    value = float(raw["value"])
    samples = tuple(float(s) for s in raw.get("samples", [])) or (value,)
    counters = {name: _counter(c) for name, c in (raw.get("counters") or {}).items()}
    operations = float(raw.get("operations") or 0)
    clock = raw.get("clock", "")
    return Measurement(key, raw["filesystem"], release, clock, value, samples, operations, counters)


def _cell(raw: dict[str, Any]) -> Cell:
    return Cell(
        id=raw["id"],
        experiment=raw["experiment"],
        dataset=raw.get("dataset", ""),
        filesystem=raw["filesystem"],
        instances=int(raw.get("instances", 1)),
        kernel=" + ".join(raw.get("kernels") or []),
        status=raw["status"],
        why=" ".join(str(raw.get("error") or raw.get("reason") or "").split()),
        seconds=float(raw.get("seconds") or 0),
    )


def _unmeasured(raw: dict[str, Any], kernels: dict[str, str]) -> Unmeasured:
    cell = f"{raw['experiment']}/{raw['dataset']}/{raw['filesystem']}/n{raw['instances']}"
    if name := kernels.get(raw.get("kernel", "")):
        cell += f"/{name}"
    return Unmeasured(cell, raw["workload"], " ".join(str(raw.get("error", "")).split()))


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


class Results:
    """One run. `document` is the parsed results.json."""

    def __init__(self, document: dict[str, Any], path: Path):
        self.path = path
        self.document = document
        self.run: dict[str, Any] = document["run"]
        self.environment: dict[str, Any] = document.get("environment") or {}
        self.command: list[str] = document.get("command") or []
        self.images: list[dict[str, Any]] = document.get("images") or []
        self.cells = [_cell(raw) for raw in document.get("cells") or []]
        rows = document.get("measurements") or []
        # In experiments without the axis the run's own kernel needs no name.
        axis = {cell.experiment for cell in self.cells if cell.kernel}
        names = _kernel_names(self.environment)
        kernels = {raw["experiment"]: names if raw["experiment"] in axis else {} for raw in rows}
        self.measurements = [_measurement(raw, kernels[raw["experiment"]]) for raw in rows
                             if raw["value"] is not None]  # fmt: skip
        self.unmeasured = [_unmeasured(raw, kernels[raw["experiment"]]) for raw in rows
                           if raw["value"] is None]  # fmt: skip
        self.metrics = metrics.declared(document["metrics"])
        self.experiment_rows: list[dict[str, Any]] = document["experiments"]
        self._filesystem_rows = {row["id"]: row for row in document["filesystems"]}
        self.limits: list[dict[str, Any]] = document.get("limits") or []
        self.errors: list[dict[str, Any]] = document.get("errors") or []

    @cached_property
    def filesystems(self) -> list[str]:
        """In the order of the cells."""
        return _unique(cell.filesystem for cell in self.cells)

    @property
    def subject(self) -> str:
        """The filesystem that the run is about; "" where its suite names none or it is not there."""
        subject = str(self.run["subject"])
        return subject if subject in self.filesystems else ""

    @cached_property
    def variants(self) -> list[str]:
        """The subject's own variants, which are shown beside it and are no rivals."""
        return [f for f in self.filesystems
                if self.subject and self._filesystem_row(f).get("variant_of") == self.subject]  # fmt: skip

    @cached_property
    def rivals(self) -> list[str]:
        return [f for f in self.filesystems if f != self.subject and f not in self.variants
                and self._filesystem_row(f).get("medium") != "none"]  # fmt: skip

    @property
    def kernels(self) -> list[str]:
        """Releases of the guests' kernels, in the order of their rows; one where there is no axis."""
        return _unique(m.kernel for m in self.measurements if m.kernel)

    def on_kernel(self, release: str) -> Results:
        """The part of the run that was measured on this kernel, as a run of that kernel alone. Rows of no
        kernel, such as images' sizes, are in each part."""
        guest = self.environment.get("guest") or {}
        facts = [row for row in guest.get("kernels") or [] if row["kernel"] == release]
        names = {row["name"] for row in facts}
        own = "" in names or all(row["name"] for row in guest.get("kernels") or [])
        for row in facts:
            guest = {**guest, **{k: v for k, v in row.items() if k != "name"}}
        document = {
            **self.document,
            "environment": {**self.environment, "guest": {**guest, "kernels": facts}},
            "cells": [c for c in self.document.get("cells") or []
                      if (names & set(c["kernels"]) if c.get("kernels") else own)],
            "measurements": [m for m in self.document["measurements"]
                             if m.get("kernel", "") in ("", release)],
            "limits": [limit for limit in self.limits if limit["title"].endswith(f", {release}")],
        }  # fmt: skip
        return Results(document, self.path)

    def by_kernel(self) -> list[Results]:
        """One run for each kernel; the run itself where there is one kernel or none."""
        return [self] if len(self.kernels) < 2 else [self.on_kernel(release) for release in self.kernels]

    def _filesystem_row(self, filesystem: str) -> dict[str, Any]:
        return self._filesystem_rows.get(filesystem) or {}

    def image_of(self, filesystem: str) -> str:
        """The id of the image it is mounted from; "" where it is the guest's own memory."""
        return str(self._filesystem_row(filesystem).get("image", ""))

    def cold_notes(self, keys: Iterable[Key]) -> list[str]:
        """A sentence that names whose `cold` rows among `keys` are warm; none where all are cold."""
        cold = [key for key in keys if key.cache == "cold"]
        measured = {f for key in cold for f in self.guest_rows.get(key, {})}
        warm = [f for f in self.filesystems if f in measured and not self.image_of(f)]
        if not warm:
            return []
        names = ", ".join(warm)
        return [f"Not cold: {names}, whose data lives in the page cache alone and cannot be dropped."]

    @cached_property
    def dataset_hashes(self) -> dict[str, str]:
        return {d["id"]: d["xxh3"] for d in self.document.get("datasets") or []}

    @cached_property
    def dataset_packages(self) -> dict[str, set[str]]:
        """`NAME VERSION` of what each dataset was installed from."""
        return {d["id"]: set(d.get("packages") or []) for d in self.document.get("datasets") or []}

    def metric(self, metric: str) -> metrics.Metric:
        return self.metrics.get(metric) or metrics.undeclared(metric)

    @cached_property
    def rows(self) -> dict[Key, Row]:
        """Filesystem → measurement for each key, in file order; of duplicates the first counts."""
        rows: dict[Key, Row] = {}
        for m in self.measurements:
            rows.setdefault(m.key, {}).setdefault(m.filesystem, m)
        return rows

    @cached_property
    def guest_rows(self) -> dict[Key, Row]:
        """The rows of the cells' experiments: images, whose ids may be equal to those of
        filesystems, are measured outside of cells."""
        known = {cell.experiment for cell in self.cells}
        return {key: row for key, row in self.rows.items() if key.experiment in known}

    @cached_property
    def experiments(self) -> list[str]:
        return _unique(key.experiment for key in self.guest_rows)

    def filesystems_of(self, experiment: str, dataset: str) -> list[str]:
        """Those that were to be measured there, whether or not they were."""
        planned = {
            c.filesystem for c in self.cells if (c.experiment, c.dataset) == (experiment, dataset)
        }
        for key, row in self.guest_rows.items():
            if (key.experiment, key.dataset) == (experiment, dataset):
                planned |= row.keys()
        return [f for f in self.filesystems if f in planned]

    def missing_because(self, key: Key, filesystem: str) -> str:
        """Why `filesystem` has no figure for `key`, in two or three words."""
        for cell in self.cells:
            if (cell.filesystem, cell.instances, cell.kernel) != (filesystem, key.instances, key.kernel):
                continue
            if (cell.experiment, cell.dataset) == (key.experiment, key.dataset):
                return "not measured" if cell.status == "ok" else f"not measured: {cell.status}"
        return "not measured"

    @cached_property
    def doubts(self) -> list[str]:
        """What in the file contradicts itself, one line each."""
        lines = []
        seen: set[tuple[Key, str]] = set()
        for m in self.measurements:
            if (m.key, m.filesystem) in seen:
                lines.append(f"{m.key} {m.filesystem}: measured twice, the first figure is used")
            seen.add((m.key, m.filesystem))
            middle = stats.median(m.samples)
            if not math.isclose(m.value, middle, rel_tol=MEDIAN_TOLERANCE, abs_tol=1e-9):
                lines.append(
                    f"{m.key} {m.filesystem}: value {m.value} is not the median of its samples,"
                    f" {middle}"
                )
        return lines


def load(where: Path) -> Results:
    """The run in a results directory or file; ResultsError in one line."""
    path = where / FILE_NAME if where.is_dir() else where
    try:
        document = validate.load_json(path)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: expected the results of a run: {error}") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise ResultsError(
            f"{path}: expected schema_version {SCHEMA_VERSION}, got {version};"
            " use the analysis of the version that wrote it"
        )
    try:
        return Results(document, path)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(
            f"{path}: not as results/schema.json has it ({type(error).__name__}: {error});"
            " run analysis/validate.py on it"
        ) from error
