# SPDX-License-Identifier: Apache-2.0
"""A run on several kernels: no row is judged against one of another kernel."""

from __future__ import annotations

import unittest
from unittest import mock

import synthetic_results
from support import SCHEMA, Folder, called, run_of  # noqa: I001  (puts analysis/ on the path)

import claims
import evidence
import metrics
import report
import show
import tables
import terminal
import validate


class Axis(Folder):
    def setUp(self):
        super().setUp()
        self.document = synthetic_results.axis_document()
        self.run = run_of(self.document)

    def test_is_allowed_by_the_schema(self):
        folder = self.write("run", self.document)
        self.assertEqual(called(validate.main, folder / "results.json", SCHEMA)[0], 0)

    def test_rows_are_compared_on_one_kernel(self):
        """The subject costs as much on 7.3 as twice on 6.1: the best rival is taken from the same kernel."""
        seen = 0
        for v in tables.verdicts(self.run):
            self.assertEqual(v.subject.kernel, v.rival.kernel)
            seen += v.key.workload == "stat"
        self.assertEqual(seen, 2)

    def test_parts_are_runs_of_one_kernel(self):
        old, new = self.run.by_kernel()
        self.assertEqual(evidence.kernel_of(old), "6.1.0-40")
        self.assertEqual(evidence.kernel_of(new), "7.3.4")
        self.assertEqual(len(old.cells), len(new.cells))
        self.assertEqual({m.kernel for m in new.measurements}, {"7.3.4", ""})
        alone = run_of(synthetic_results.document())
        self.assertEqual(alone.by_kernel(), [alone])

    def test_an_experiment_without_the_axis_is_of_the_runs_own_kernel(self):
        """Where the run's own kernel is one of the axis as well, its rows have no name and its cells are of
        its part alone."""
        guest = self.document["environment"]["guest"]
        guest["kernels"].append({**guest["kernels"][1], "name": ""})
        for cell in self.document["cells"]:
            if cell["experiment"] == "rss":
                cell["kernels"] = []
        self.document["measurements"] = [
            m for m in self.document["measurements"] if (m["experiment"], m["kernel"]) != ("rss", "6.1.0-40")]
        old, new = run_of(self.document).by_kernel()
        self.assertEqual({m.key.kernel for m in new.measurements if m.key.experiment == "rss"}, {""})
        self.assertEqual({m.key.kernel for m in new.measurements if m.key.experiment == "latency"}, {"7.3"})
        self.assertNotIn("rss", {cell.experiment for cell in old.cells})
        self.assertIn("rss", {cell.experiment for cell in new.cells})

    def test_claims_are_judged_on_each_kernel(self):
        stat = claims.Test("t", {"workload": "stat", "metric": metrics.COST}, 6000, (), {}, 1)
        claim = claims.Claim("c", "said", "announcement", "", "", (stat,))
        kernels = evidence.by_kernel([self.run])
        verdicts = {k: claims.judge(runs[0], [claim])[0].verdict for k, runs in kernels.items()}
        self.assertEqual(verdicts, {"6.1.0-40": claims.Verdict.HOLDS, "7.3.4": claims.Verdict.FAILS})

    def test_show_by_name_and_by_release(self):
        folder = self.write("run", self.document)
        for pattern in ("7.3", "7.3.*"):
            options = ("--kernel", pattern, "--workload", "stat", "--format", "csv")
            status, out, _ = called(show.main, folder, *options)
            self.assertEqual(status, 0)
            self.assertEqual({line.split(",")[6] for line in out.splitlines()[1:]}, {"7.3.4"})
        self.assertEqual(called(show.main, folder, "--kernel", "5.10")[0], 1)

    def test_report_and_terminal_name_the_kernel(self):
        text = report.compose(self.run, [])
        self.assertIn("| kernel |", text)
        self.assertIn("RSS on 6.1.0-40: mappings of pmem are not in it", text)
        self.assertIn("RSS on 7.3.4: mappings of pmem are in it", text)
        lines = terminal.lines(self.run)
        self.assertTrue(any("stat" in line and " 7.3 " in line for line in lines))

    def test_figures_are_drawn_of_each_kernel(self):
        with mock.patch("figure.style.save"):
            drawn = report.figures.draw_all(self.run, self.folder)
        names = {figure.name for figure in drawn}
        self.assertEqual(len(names), len(drawn))
        self.assertIn("overview-6.1.0-40", names)
        self.assertIn("overview-7.3.4", names)


class History(unittest.TestCase):
    def test_report_says_how_the_run_came_about(self):
        document = synthetic_results.document()
        document["run"] |= {"resumed": [{"at": "2000-01-01T01:00:00Z", "kept": 3}], "shard": "1/2",
                            "merged": [{"id": "a", "cells": 2}], "executor": "slurm"}  # fmt: skip
        text = report.compose(run_of(document), [])
        for words in ("Resumed 2000-01-01T01:00:00Z: 3 finished cells", "Shard 1/2", "2 cells of `a`",
                      "jobs of slurm"):  # fmt: skip
            self.assertIn(words, text)

    def test_guests_without_a_mount_are_no_rivals(self):
        document = synthetic_results.document()
        row = next(f for f in document["filesystems"] if f["id"] == "ramfs")
        row["medium"] = "none"
        self.assertNotIn("ramfs", run_of(document).rivals)


if __name__ == "__main__":
    unittest.main()
