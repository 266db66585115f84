#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the figures that workloads/figures.toml declares: they name what is declared, and are drawn."""

from __future__ import annotations

import copy
import tempfile
import tomllib
import unittest
from pathlib import Path

from support import placed_texts, run_of

import synthetic_results
from figure import declared as declared_figures, style

WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"
SIZES = {"daxfs": 336_809_984, "erofs-4k": 354_332_672}


def with_rows(figure, scale=1.0):
    """The synthetic run, and in it the rows that `figure` shows, of each filesystem."""
    document = synthetic_results.document()
    pattern = next(m for m in document["measurements"] if m["metric"] == "cost_per_op"
                   and m["experiment"] == "latency" and m["value"])  # fmt: skip
    names = [f["id"] for f in document["filesystems"]]
    experiment = figure.rows.get("experiment", "latency")
    dataset = figure.rows.get("dataset", "rootfs")
    for n, name in enumerate(names):
        document["cells"].append({**document["cells"][0], "filesystem": name, "experiment": experiment,
                                  "dataset": dataset, "status": "ok",
                                  "id": f"{experiment}/{dataset}/{name}/n1"})  # fmt: skip
        for at, place in enumerate([w for w, _ in figure.order] or ["a-workload"]):
            placed = {"workload": "a-workload", figure.by: place}
            for metric in figure.metrics or [figure.rows.get("metric", "cost_per_op")]:
                row = copy.deepcopy(pattern)
                row |= {"filesystem": name, "experiment": experiment, "dataset": dataset,
                        "metric": metric, **placed, **figure.rows}  # fmt: skip
                row["samples"] = [scale * 1000 * (1 + n) / (1 + at) + k for k in range(9)]
                row["value"] = row["samples"][4]
                document["measurements"].append(row)
    document["images"] = [{**document["images"][0], "id": i, "dataset": dataset, "bytes": b}
                          for i, b in SIZES.items()]  # fmt: skip
    return run_of(document)


class DeclaredFigures(unittest.TestCase):
    def setUp(self):
        self.enterContext(style.context())
        self.figures = declared_figures.load()

    def test_each_kind_is_there(self):
        self.assertEqual({f.kind for f in self.figures}, {"curve", "scatter", "parts", "distribution"})

    def test_each_is_drawn_with_its_texts_inside_and_apart(self):
        for figure in self.figures:
            run = with_rows(figure)
            drawn = figure.draw(run, style.looks(run.filesystems))
            self.assertIsNotNone(drawn, figure.id)
            width, height = drawn.bbox.width, drawn.bbox.height
            boxes = placed_texts(drawn)
            for i, (text, box) in enumerate(boxes):
                inside = (box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5
                          and box.y1 <= height + 0.5)  # fmt: skip
                self.assertTrue(inside, f"{figure.id}: {text!r} at {box}")
                for other, b in boxes[:i]:
                    across = min(box.x1, b.x1) - max(box.x0, b.x0)
                    down = min(box.y1, b.y1) - max(box.y0, b.y0)
                    self.assertFalse(across > 1 and down > 2.5, f"{figure.id}: {text!r} over {other!r}")

    def test_a_number_that_changes_moves_what_is_drawn(self):
        for figure in self.figures:
            shown = []
            for scale in (1.0, 3.0):
                run = with_rows(figure, scale)
                drawn = figure.draw(run, style.looks(run.filesystems))
                axes = drawn.axes[1]
                lines = [tuple(map(tuple, line.get_xydata())) for line in axes.get_lines()]
                shown.append((lines, [(p.get_x(), p.get_width()) for p in axes.patches]))
            self.assertNotEqual(shown[0], shown[1], figure.id)

    def test_without_its_rows_there_is_no_figure(self):
        run = run_of(synthetic_results.build_document())
        for figure in self.figures:
            self.assertIsNone(figure.draw(run, {}), figure.id)

    def test_what_they_name_is_declared(self):
        def ids(folder):
            found = set()
            for file in (WORKLOADS / folder).glob("*.toml"):
                document = tomllib.loads(file.read_text())
                found |= {w["id"] for w in document.get("workload", [document])}
            return found

        metrics = tomllib.loads((WORKLOADS / "metrics.toml").read_text()).keys()
        for figure in self.figures:
            self.assertLessEqual({w for w, _ in figure.order}, ids(f"{figure.by}s"), figure.id)
            for field in ("experiment", "dataset", "workload"):
                if field in figure.rows:
                    self.assertIn(figure.rows[field], ids(f"{field}s"), figure.id)
            wanted = set(figure.metrics) | ({figure.rows["metric"]} if "metric" in figure.rows else set())
            self.assertLessEqual(wanted, metrics, figure.id)

    def test_a_wrong_declaration_is_named(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for text, expected in (
            ('[[figure]]\nid = "x"\n', "figure x: expected id, kind, title, rows"),
            ('[[figure]]\nid = "x"\nkind = "pie"\ntitle = "t"\nrows = {}\n', "got pie"),
            ('[[figure]]\nid = "x"\nkind = "parts"\ntitle = "t"\nrows = { colour = 1 }\n', "got colour"),
        ):
            (folder / "f.toml").write_text(text)
            with self.assertRaisesRegex(declared_figures.DeclarationError, expected):
                declared_figures.load(folder / "f.toml")


if __name__ == "__main__":
    unittest.main()
