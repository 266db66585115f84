#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of what is made for a paper."""

from __future__ import annotations

import copy
import re
import unittest

from support import Folder, called, measurement, run_of

import paper
import synthetic_results


class Paper(Folder):
    def setUp(self):
        super().setUp()
        self.document = synthetic_results.document()

    def test_what_is_made(self):
        folder = self.write("run", self.document)
        status, out, _ = called(paper.main, folder)
        self.assertEqual((status, out), (0, f"{folder / 'paper'}\n"))
        made = folder / "paper"
        sample = (made / "sample.tex").read_text(encoding="utf-8")
        for kind, name in re.findall(r"\{(figures|tables)/([^}]+)\}", sample):
            self.assertTrue((made / kind / name).is_file(), name)
        names = {path.stem for path in (made / "figures").iterdir()}
        self.assertIn("overview", names)
        for name in names:
            kinds = {path.suffix for path in (made / "figures").glob(f"{name}.*")}
            self.assertEqual(kinds, {".pdf", ".svg", ".png"}, name)
        pdf = (made / "figures" / "overview.pdf").read_bytes()
        self.assertIn(b"/FontFile2", pdf, "its fonts are embedded, as TrueType")
        self.assertNotIn(b"/Type3", pdf)

    def test_macros_are_names_that_latex_takes_and_each_is_one(self):
        lines = paper.macros(run_of(self.document))[1:]
        names = [re.fullmatch(r"\\newcommand\{\\([A-Za-z]+)\}\{.*\}", line)[1] for line in lines]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn(r"\newcommand{\RowsWorse}{1}", lines)
        self.assertIn(r"\newcommand{\LatencyRootfsStatWarmTmpfs}{5,621}", lines)
        self.assertIn(r"\newcommand{\RatioLatencyRootfsWalkColdCold}{0.73$\times$}", lines)

    def test_a_changed_number_changes_its_macros_and_table_only(self):
        changed = copy.deepcopy(self.document)
        m = measurement(changed, experiment="latency", workload="stat", filesystem="tmpfs", dataset="rootfs")
        m["value"], m["samples"] = 9999.0, [9999.0] * 3
        before, after = run_of(self.document), run_of(changed)
        moved = [(a, b) for a, b in zip(paper.macros(before), paper.macros(after), strict=True) if a != b]
        self.assertEqual(moved, [(r"\newcommand{\LatencyRootfsStatWarmTmpfs}{5,621}",
                                  r"\newcommand{\LatencyRootfsStatWarmTmpfs}{9,999}")])  # fmt: skip
        tables_before, tables_after = paper.experiment_tables(before), paper.experiment_tables(after)
        self.assertEqual([name for name in tables_before if tables_before[name] != tables_after[name]],
                         ["latency.tex"])  # fmt: skip

    def test_failure_is_one_line(self):
        status, out, err = called(paper.main, self.folder / "absent")
        self.assertEqual((status, out, len(err.splitlines())), (1, "", 1))


if __name__ == "__main__":
    unittest.main()
