#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Source lines of the filesystem code that a run of the experiment simplicity executed.

Usage: source_lines.py RUN --kernel-source DIR [--format table|csv|json]

The guest says which functions ran (QEMU's plugin); their lines are looked up by name, in this tree's kmod/
and in the kernel source DIR (linux-source-7.3, say, as `run-bench --kernel-series 7.3` keeps it in its
cache). A line is one with code on it: neither blank nor comment. A function that is called by one that ran,
is defined in these files and has no symbol in the guest was inlined, and counts as run.

Limits: extents are found by braces, so a function made by a macro, or cut in two by #if in its head, is not
found; what is not found is printed. Of two functions of one name (under #if) the longer counts. DIR is to be
the version the guest ran, or lines are those of another one.

Status 0: done, 1: not, 2: usage.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import program

ROOT = Path(__file__).resolve().parents[1]
KERNEL_FILES = ("fs/erofs/*.[ch]", "fs/dax.c", "drivers/dax/*.[ch]", "fs/iomap/*.[ch]", "mm/shmem.c",
                "include/linux/dax.h", "include/linux/iomap.h", "include/linux/shmem_fs.h")

_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_ATTRIBUTES = {"__attribute__", "__printf", "__releases", "__acquires", "__must_hold", "__section",
               "__aligned"}


@dataclass
class Function:
    """One definition: how many lines with code, and every word in it."""

    lines: int
    words: set[str]


@dataclass
class Counted:
    """What a filesystem ran."""

    functions: int = 0
    inlined: int = 0
    lines: int = 0
    missing: list[str] = field(default_factory=list)


def without_noise(text: str) -> str:
    """The text without comments, what is in quotes and preprocessor lines; newlines stay."""
    def blank(match: re.Match[str]) -> str:
        return "\n" * match.group().count("\n") or " "
    return _DIRECTIVE.sub(blank, _NOISE.sub(blank, text))


def _name_in(head: str) -> str | None:
    """Of `static int f(struct s *a)`: f, the last name before a parenthesis that is in no other."""
    depth, name = 0, None
    for match in re.finditer(r"[()]|[A-Za-z_]\w*(?=\s*\()", head):
        if match.group() == "(":
            depth += 1
        elif match.group() == ")":
            depth -= 1
        elif depth == 0 and match.group() not in _ATTRIBUTES:
            name = match.group()
    return name


def functions_in(text: str) -> dict[str, Function]:
    """Functions that a C file defines, by name."""
    text = without_noise(text)
    found: dict[str, Function] = {}
    depth, start, opened = 0, 0, 0
    for match in re.finditer(r"[{};]", text):
        at, mark = match.start(), match.group()
        if mark == "{":
            if depth == 0:
                opened = at
            depth += 1
        elif mark == "}":
            depth = max(0, depth - 1)
        if depth or mark == "{":
            continue
        head = text[start:opened] if mark == "}" else ""
        name = _name_in(head) if ")" in head and "=" not in head else None
        if name:
            body = text[start:at + 1]
            lines = sum(1 for line in body.splitlines() if line.strip())
            if name not in found or found[name].lines < lines:
                found[name] = Function(lines, set(_WORD.findall(text[opened:at])))
        start = at + 1
    return found


def count(ran: set[str], symbols: set[str], known: dict[str, Function]) -> Counted:
    """Lines of what ran, with what was inlined into it."""
    counted = Counted()
    seen: set[str] = set()
    waiting = sorted(ran)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        function = known.get(name)
        if not function:
            counted.missing.append(name)
            continue
        counted.functions += name in ran
        counted.inlined += name not in ran
        counted.lines += function.lines
        waiting += [word for word in function.words
                    if word in known and word not in symbols and word not in seen]
    counted.missing.sort()
    return counted


def _sources(kernel: Path) -> dict[str, Function]:
    files = [file for pattern in KERNEL_FILES for file in sorted(kernel.glob(pattern))]
    if not files:
        raise FileNotFoundError(f"expected a kernel's source in {kernel}, it has no fs/erofs")
    known: dict[str, Function] = {}
    for file in files + sorted((ROOT / "kmod").rglob("*.[ch]")):
        if "user" not in file.relative_to(ROOT if file.is_relative_to(ROOT) else kernel).parts:
            known.update(functions_in(file.read_text(encoding="utf-8", errors="replace")))
    return known


def rows_of(run: Path, known: dict[str, Function]) -> list[dict[str, object]]:
    """A row for each workload, and one of all together, of each traced cell."""
    rows: list[dict[str, object]] = []
    together: dict[str, set[str]] = {}
    symbols: dict[str, set[str]] = {}
    for file in sorted((run / "cells").glob("simplicity*.json")):
        cell = json.loads(file.read_text(encoding="utf-8"))
        filesystem = cell["cell"]["filesystem"]
        for item in cell.get("raw", []):
            if "symbols" in item:
                symbols[filesystem] = set(item["symbols"])
                continue
            for result, functions in zip(item["answer"]["results"], item["functions"], strict=True):
                together.setdefault(filesystem, set()).update(functions)
                rows.append({"filesystem": filesystem, "workload": item["workload"], "cache": result["cache"],
                             **vars(count(set(functions), symbols[filesystem], known))})
    rows += [{"filesystem": filesystem, "workload": "all together", "cache": "",
              **vars(count(ran, symbols[filesystem], known))} for filesystem, ran in together.items()]
    return rows


def _print(rows: list[dict[str, object]], form: str) -> None:
    if form == "json":
        print(json.dumps(rows, indent=1))
        return
    keys = ("workload", "cache", "filesystem", "functions", "inlined", "lines")
    rows = sorted(rows, key=lambda row: (str(row["workload"]), str(row["cache"]), str(row["filesystem"])))
    lines = [keys, *(tuple(str(row[key]) for key in keys) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(keys))]
    for line in lines:
        if form == "csv":
            print(",".join(line))
        else:
            print("  ".join(f"{text:<{width}}" if i < 3 else f"{text:>{width}}"
                            for i, (text, width) in enumerate(zip(line, widths, strict=True))))
    missing = sorted({name for row in rows for name in row["missing"]})  # type: ignore[attr-defined]
    if missing and form == "table":
        print(f"not found in the sources, so without lines: {', '.join(missing)}")


def main(args: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="source_lines.py",
                                     description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--kernel-source", type=Path, required=True)
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    options = parser.parse_args(args)
    try:
        rows = rows_of(options.run, _sources(options.kernel_source))
        if not rows:
            raise FileNotFoundError(f"expected a run with the experiment simplicity in {options.run}, "
                                    "it has no cell of simplicity")
        _print(rows, options.format)
    except (OSError, KeyError, ValueError) as error:
        print(f"source_lines.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    program.run(main)
