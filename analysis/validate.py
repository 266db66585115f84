#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Check a JSON file against a JSON schema: one line per problem, status 0 (none) or 1.

Usage: validate.py FILE SCHEMA
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jsonschema

import program

LONGEST_MESSAGE = 300


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def load_json(path: Path) -> Any:
    """The document in `path`; ValueError or OSError names what was wrong (NaN is refused)."""
    with path.open(encoding="utf-8") as stream:
        return json.load(stream, parse_constant=_no_constant)


def json_path(parts: list[Any]) -> str:
    """`$.cells[2].status` for ["cells", 2, "status"]."""
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)


def problems(document: Any, schema: Any) -> list[str]:
    """One line for each place where `document` breaks `schema`, in document order."""
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    found = []
    for error in kind(schema).iter_errors(document):
        leaf = jsonschema.exceptions.best_match([error])
        message = " ".join(leaf.message.split())
        if len(message) > LONGEST_MESSAGE:
            message = message[:LONGEST_MESSAGE] + " …"
        place = list(leaf.absolute_path)
        # Indices are padded so that item 10 follows item 9.
        order = [f"{p:09d}" if isinstance(p, int) else str(p) for p in place]
        found.append((order, f"{json_path(place)}: {message}"))
    return [line for _, line in sorted(found)]


def main(argv: list[str]) -> int:
    """0: valid, 1: not valid or not readable, 2: usage."""
    parser = argparse.ArgumentParser(description="Check a JSON file against a JSON schema.")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("schema", type=Path, metavar="SCHEMA")
    args = parser.parse_args(argv)
    loaded = []
    for path in (args.file, args.schema):
        try:
            loaded.append(load_json(path))
        except (OSError, ValueError) as error:
            print(f"{path}: expected a JSON document: {error}")
            return 1
    try:
        lines = problems(*loaded)
    except jsonschema.exceptions.SchemaError as error:
        print(f"{args.schema}: expected a JSON schema: {' '.join(error.message.split())}")
        return 1
    for line in lines:
        print(f"{args.file}: {line}")
    return 1 if lines else 0


if __name__ == "__main__":
    program.run(main)
