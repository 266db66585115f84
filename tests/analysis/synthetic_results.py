# SPDX-License-Identifier: Apache-2.0
"""A SYNTHETIC results.json, for tests of the analysis only: nobody measured these figures.

Costs of the rivals have the magnitude that the field notes give for them; those of the first
filesystem are invented. Broken on purpose: a failed cell, a skipped one, a missing row, lost rows.
"""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path
from typing import Any

MIB = 1 << 20
FILESYSTEMS = ["daxfs", "erofs-dax", "erofs", "tmpfs", "ramfs"]
DATA = 357 * MIB
# (workload, variants, per, caches, cost by filesystem in the order above)
LATENCY: list[tuple[str, tuple[str, ...], str, tuple[str, ...], tuple[float, ...]]] = [
    ("read-4k-random", ("",), "op", ("warm", "cold"), (1297, 1997, 1940, 1877, 2039)),
    ("read-seq-128k", ("",), "MiB", ("warm", "cold"), (139100, 145258, 270100, 273766, 220210)),
    ("mmap-touch-seq", ("shared", "private"), "page", ("warm", "cold"),
     (15.2, 4974, 539, 547, 548)),
    ("mmap-touch-random", ("shared", "private"), "page", ("warm", "cold"),
     (217, 4369, 1811, 1668, 1668)),
    ("open-mmap-touch-close", ("",), "op", ("warm",), (23450, 57939, 55145, 30450, 29951)),
    ("open-close", ("",), "op", ("warm",), (7620, 7623, 7623, 7615, 7591)),
    ("stat", ("",), "op", ("warm",), (5570, 5578, 5576, 5621, 5563)),
    ("walk-cold", ("",), "op", ("cold",), (7480, 10493, 10483, 5492, 5552)),
]  # fmt: skip
PROGRAMS = {"bash": 9.1e6, "perl": 2.3e7, "python3": 3.1e8, "git": 1.4e7}
FIO = {"fio-rand-4k-psync": 5200.0, "fio-rand-4k-mmap": 7100.0, "fio-seq-128k": 31000.0}


# What a filesystem is mounted from; those in memory have none.
IMAGES = {"daxfs": "daxfs", "tmpfs": "", "ramfs": ""}
METRICS_FILE = Path(__file__).resolve().parents[2] / "workloads" / "metrics.toml"
TITLES = {"latency": "Cost of one operation", "fio": "fio", "program-start": "Program start",
          "duplication": "Copies", "rss": "RSS", "build": "Making an image"}  # fmt: skip
TABLES = {"duplication": ["duplication_factor", "page_cache_bytes"], "rss": ["rss_bytes"],
          "build": ["build_seconds"]}  # fmt: skip


def declared_metrics() -> list[dict[str, Any]]:
    """As the bench puts workloads/metrics.toml into results.json."""
    with METRICS_FILE.open("rb") as stream:
        declared = tomllib.load(stream)
    return [{"better": "", "margin": 0.005, **spec, "id": name} for name, spec in declared.items()]


def declarations(cells: list[dict[str, Any]]) -> dict[str, Any]:
    experiments = dict.fromkeys(c["experiment"] for c in cells)
    filesystems = dict.fromkeys(c["filesystem"] for c in cells)
    return {
        "experiments": [{"id": e, "title": TITLES[e], "table": TABLES.get(e, ["cost_per_op"])}
                        for e in experiments],
        "filesystems": [{"id": f, "label": f, "variant_of": "", "image": IMAGES.get(f, "erofs-4k")}
                        for f in filesystems],
        "metrics": declared_metrics(),
    }  # fmt: skip


KERNEL = "6.12.117"


class _Writer:
    def __init__(self, repetitions: int, jitter: float):
        self.random = random.Random(7)
        self.repetitions = repetitions
        self.jitter = jitter
        self.measurements: list[dict[str, Any]] = []
        self.cells: list[dict[str, Any]] = []

    def samples(self, value: float) -> list[float]:
        spread = value * self.jitter
        return [round(value + self.random.uniform(-spread, spread), 3)
                for _ in range(self.repetitions)]  # fmt: skip

    def add(self, where: dict[str, Any], metric: str, unit: str, samples: list[float],
            **more: Any) -> None:  # fmt: skip
        ordered = sorted(samples)
        n = len(ordered)
        value = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
        self.measurements.append({
            "variant": "", "cache": "", "per": "", "clock": "none", "operations": 1, "counters": {},
            "kernel": KERNEL, **where, "metric": metric, "unit": unit, "value": value,
            "samples": samples, **more,
        })  # fmt: skip

    def cell(self, experiment: str, dataset: str, filesystem: str, instances: int = 1,
             **more: Any) -> dict[str, Any]:  # fmt: skip
        where = {"experiment": experiment, "dataset": dataset, "filesystem": filesystem,
                 "instances": instances}  # fmt: skip
        name = f"{experiment}/{dataset}/{filesystem}/n{instances}"
        proof = {} if "status" in more else {"proof": {"statx_dax": True}}
        self.cells.append({"id": name, **where, "status": "ok", "seconds": 21.5,
                           "log": f"cells/{name}.log", **proof, **more})  # fmt: skip
        return where


def _latency(out: _Writer, dataset: str) -> None:
    for i, filesystem in enumerate(FILESYSTEMS):
        if (dataset, filesystem) == ("weights", "ramfs"):
            out.cell("latency", dataset, filesystem, status="failed",
                     error="expected hello within 30 s, got nothing; see its log")  # fmt: skip
            continue
        where = out.cell("latency", dataset, filesystem)
        for workload, variants, per, caches, costs in LATENCY:
            if dataset == "weights" and not workload.startswith(("read-", "mmap-")):
                continue
            for variant in variants:
                for cache in caches:
                    if (workload, filesystem, cache) == ("read-seq-128k", "tmpfs", "warm"):
                        continue
                    cost = costs[i]
                    if cache == "cold" and filesystem == "erofs":
                        cost *= 4.3
                    faults = {"mmap": 1.0, "open-mmap": 7.5}.get(workload.split("-touch")[0], 0.0)
                    faults = faults / 512 if filesystem == "daxfs" else faults
                    out.add(
                        {**where, "workload": workload, "variant": variant, "cache": cache},
                        "cost_per_op", "instructions", out.samples(cost), per=per,
                        clock="instructions", operations=12000,
                        counters={"page-faults": [faults] * out.repetitions,
                                  "cycles": {"unavailable": "the guest has no PMU"}},
                    )  # fmt: skip


def _cost(out: _Writer, experiment: str, dataset: str, costs: dict[str, float],
          caches: tuple[str, ...], factors: tuple[float, ...]) -> None:  # fmt: skip
    for i, filesystem in enumerate(FILESYSTEMS):
        where = out.cell(experiment, dataset, filesystem)
        for workload, cost in costs.items():
            for cache in caches:
                at = {**where, "workload": workload, "cache": cache}
                out.add(at, "cost_per_op", "instructions", out.samples(cost * factors[i]),
                        per="op", clock="instructions", operations=10)  # fmt: skip
                if experiment == "program-start":
                    mapped = 5.2 * MIB
                    in_pmem = mapped if i < 2 else 0.0
                    frames = {"pmem": in_pmem, "page_cache": mapped - in_pmem,
                              "anonymous": 1.1 * MIB}  # fmt: skip
                    for kind, value in frames.items():
                        out.add(at, f"frames_{kind}_bytes", "bytes", [value])
                    out.add(at, "page_faults", "faults", [812 - 300 * (i == 0)])


def _duplication(out: _Writer) -> None:
    for i, filesystem in enumerate(FILESYSTEMS):
        for n in (1, 2, 3):
            if (filesystem, n) == ("ramfs", 3):
                out.cell("duplication", "rootfs", filesystem, n, status="skipped",
                         reason="3 guests of 1536 MiB do not fit into 4 GiB")  # fmt: skip
                continue
            where = {**out.cell("duplication", "rootfs", filesystem, n), "workload": "read-all"}
            cached = (0.0, 5.9 * MIB, 372 * MIB, 365 * MIB, 368 * MIB)[i]
            image = DATA if i < 3 else 0.0
            out.add(where, "page_cache_bytes", "bytes", [cached] * n)
            out.add(where, "slab_bytes", "bytes", [(9.5 + k * 0.1) * MIB for k in range(n)])
            out.add(where, "guest_memory_bytes", "bytes", [cached + 11 * MIB] * n)
            out.add(where, "host_pss_data_bytes", "bytes", [image + n * (150 * MIB + cached)])
            out.add(where, "host_pss_bytes", "bytes", [image + n * (210 * MIB + cached)])
            factor = (n * cached + image) / DATA
            out.add(where, "duplication_factor", "ratio", [factor])


def _rss(out: _Writer) -> None:
    for i, filesystem in enumerate(FILESYSTEMS):
        where = {**out.cell("rss", "rootfs", filesystem), "workload": "map-rss"}
        for variant in ("shared", "private"):
            at = {**where, "variant": variant}
            size = 49 * MIB
            dax = i < 2
            out.add(at, "rss_bytes", "bytes", [1.5 * MIB if dax else size + 1.5 * MIB])
            out.add(at, "pss_bytes", "bytes", [1.1 * MIB if dax else size + 1.1 * MIB])
            out.add(at, "frames_pmem_bytes", "bytes", [size if dax else 0])
            out.add(at, "frames_page_cache_bytes", "bytes", [1.2 * MIB if dax else size])
            out.add(at, "frames_anonymous_bytes", "bytes", [0.3 * MIB])
            out.add(at, "frames_other_bytes", "bytes", [0])


def _build(out: _Writer) -> None:
    for image, seconds in (("daxfs", 0.61), ("erofs-4k", 1.42)):
        where = {**out.cell("build", "rootfs", image), "workload": "build"}
        out.cells[-1]["proof"] = {"cold": "drop_caches: data, names and inodes",
                                  "load_average_before": [0.5, 0.5, 0.5],
                                  "load_average_after": [2.5, 1.0, 0.5],
                                  "equal_images": image == "daxfs"}  # fmt: skip
        for cache, factor in (("cold", 2.0), ("warm", 1.0)):
            at = {**where, "cache": cache}
            out.add(at, "build_seconds", "seconds", out.samples(seconds * factor), clock="host-wall")
            out.add(at, "build_cpu_seconds", "seconds", out.samples(seconds), clock="host-cpu")
            out.add(at, "peak_memory_bytes", "bytes", [64 * MIB] * out.repetitions)


def axis_document() -> dict[str, Any]:
    """A run of two kernels, 6.1 and 7.3, on which the subject costs twice as much."""
    whole = document()
    kernels = [("6.1", "6.1.0-40", 1), ("7.3", "7.3.4", 2)]
    guest = {**whole["environment"]["guest"], "kernel": "6.1.0-40", "kernels": [
        {"name": name, "kernel": release, "kernel_package": "", "kernel_version": "",
         "kernel_config_sha256": ""} for name, release, _ in kernels]}  # fmt: skip
    cells, rows = [], []
    for name, release, factor in kernels:
        cells += [{**c, "id": f"{c['id']}/{name}", "kernels": [name]} for c in whole["cells"]]
        for m in whole["measurements"]:
            times = factor if m["filesystem"] == FILESYSTEMS[0] else 1
            if m["kernel"]:
                rows.append({**m, "kernel": release, "value": m["value"] * times,
                             "samples": [s * times for s in m["samples"]]})  # fmt: skip
    rows += [m for m in whole["measurements"] if not m["kernel"]]
    return {**whole, "environment": {**whole["environment"], "guest": guest}, "cells": cells,
            "measurements": rows, "limits": [],
            "errors": [{"cell": c["id"], "error": c["error"]} for c in cells if "error" in c]}  # fmt: skip


def build_document() -> dict[str, Any]:
    """A run in which no guest was booted."""
    whole = document()
    out = _Writer(3, 0.0)
    _build(out)
    guest = {"kernel": "", "kernel_package": "", "kernel_version": "", "kernel_config_sha256": "",
             "cmdline": "", "cpu_model": "", "clocksource": ""}
    environment = {**whole["environment"], "accelerator": "none", "clock": "host-wall",
                   "accelerator_reason": "nothing runs in a guest", "guest": guest}  # fmt: skip
    return {**whole, **declarations(out.cells), "environment": environment, "images": [],
            "cells": out.cells,
            "measurements": out.measurements, "limits": [], "errors": []}


def document(repetitions: int = 3, jitter: float = 0.0) -> dict[str, Any]:
    """A whole results.json; `jitter` is the largest relative deviation of a cost sample."""
    out = _Writer(repetitions, jitter)
    _latency(out, "rootfs")
    _latency(out, "weights")
    _cost(out, "fio", "fio-verify", FIO, ("warm",), (0.82, 1.0, 0.98, 0.95, 0.97))
    _cost(out, "program-start", "rootfs", PROGRAMS, ("cold", "warm"), (0.91, 1.19, 1.03, 1.0, 1.0))
    _duplication(out)
    _rss(out)
    images = [
        {"id": "daxfs", "dataset": "rootfs", "bytes": 375390208, "build_seconds": 0.61,
         "xxh3": "0" * 32, "tool_version": "mkdaxfs 0.1.0", "command": "mkdaxfs rootfs"},
        {"id": "erofs-4k", "dataset": "rootfs", "bytes": 372244480, "build_seconds": 1.42,
         "xxh3": "1" * 32, "tool_version": "mkfs.erofs 1.5", "command": "mkfs.erofs rootfs"},
    ]  # fmt: skip
    for image in images:
        where = {"experiment": "image-build", "workload": "build", "dataset": image["dataset"],
                 "filesystem": image["id"], "instances": 1, "kernel": ""}  # fmt: skip
        out.add(where, "image_bytes", "bytes", [image["bytes"]])
        out.add(where, "build_seconds", "seconds", [image["build_seconds"]], clock="host-wall")
    return {
        "schema_version": 2,
        "run": {"id": "20000101-000000-synthetic", "suite": "synthetic",
                "title": "SYNTHETIC figures, for tests only", "profile": "default",
                "status": "partial", "started": "2000-01-01T00:00:00Z",
                "finished": "2000-01-01T00:08:00Z", "seconds": 480, "seed": 1,
                "subject": FILESYSTEMS[0]},
        "command": ["daxbench", "synthetic"],
        "environment": {
            "host": {"os": "Debian GNU/Linux 12", "cpu": "SYNTHETIC CPU", "cores": 2,
                     "memory_bytes": 8 << 30, "kernel": "6.1.0"},
            "qemu": {"version": "7.2.19", "machine": "q35", "command": ["qemu", "-M", "q35"]},
            "guest": {"kernel": KERNEL, "kernel_package": "linux-image-6.12-amd64",
                      "kernel_version": "6.12.117-1", "kernel_config_sha256": "00", "cmdline": "quiet",
                      "cpu_model": "max,-erms,-fsrm", "clocksource": "tsc"},
            "accelerator": "tcg", "accelerator_reason": "no /dev/kvm", "clock": "instructions",
            "module": {"path": "daxfs.ko", "sha256": "ab" * 32},
            "git": {"commit": "0" * 40, "dirty": True},
            "tools": {"mkfs.erofs": "1.5", "fio": "3.33"},
        },
        **declarations(out.cells),
        "datasets": [{"id": "rootfs", "xxh3": "2" * 32, "entries": 9000, "bytes": DATA - 4096,
                      "data_bytes": DATA, "packages": ["bash 5.2"]}],
        "images": images,
        "cells": out.cells,
        "measurements": out.measurements,
        "limits": [{"title": "first touch", "row": "rootfs mmap-touch-seq daxfs", "value": 9.5,
                    "bound": 60, "unit": "instructions", "against": "", "met": True},
                   {"title": "walk", "row": "", "value": None, "bound": 7500,
                    "unit": "", "against": "", "met": None}],
        "errors": [{"cell": c["id"], "error": c["error"]} for c in out.cells if "error" in c],
    }  # fmt: skip


def write(folder: Path, content: dict[str, Any]) -> Path:
    """`content` as results.json in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
