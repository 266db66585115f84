#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write a run as a reference that others are compared with: no path, no host, no log, one line a figure.

Usage: reference.py RUN FILE

What compare needs is kept: figures with their samples, kernel, clock, CPU model, hashes of datasets and
images, packages, metrics. FILE is valid by results/schema.json. Status 0: written, 1: not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import program
import report
import results


def compact(document: dict[str, Any]) -> dict[str, Any]:
    """`document` (a results.json) without what is about the machine and the moment."""
    env = document["environment"]
    host = {"os": env["host"]["os"], "cpu": "", "cores": 1, "memory_bytes": 0, "kernel": ""}
    cells = [{**{k: v for k, v in cell.items() if k not in ("proof", "log", "seconds")},
              "seconds": 0, "log": "", "proof": {}} for cell in document["cells"]
             if cell["status"] == "ok"]  # fmt: skip
    return {
        **document,
        "command": ["daxbench", document["run"]["suite"], "--profile", document["run"]["profile"]],
        "environment": {**env, "host": host, "qemu": {**env["qemu"], "command": []},
                        "tools": {}},
        "images": [{**image, "build_seconds": None} for image in document["images"]],
        "cells": cells,
        # Seconds of the host are nobody's reference.
        "measurements": [{**m, "counters": {}} for m in document["measurements"]
                         if m["value"] is not None and not m["clock"].startswith("host")],
        "limits": [],
        "errors": [],
    }  # fmt: skip


def text(document: dict[str, Any]) -> str:
    """JSON with one line for each entry of its lists, so that a diff names rows."""
    lines = []
    for key, value in compact(document).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            entries = ",\n".join(json.dumps(entry, sort_keys=True) for entry in value)
            lines.append(f"{json.dumps(key)}: [\n{entries}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(argv: list[str]) -> int:
    """0: written, 1: not, 2: usage."""
    parser = argparse.ArgumentParser(prog="reference", description="Write a run as a reference.")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's directory or results.json")
    parser.add_argument("file", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    try:
        run = results.load(args.run)
        report.write_aside(args.file, text(run.document))
    except (results.ResultsError, OSError) as error:
        print(f"reference: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    program.run(main)
