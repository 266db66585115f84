#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tables, the terminal's text and the report."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from support import SCHEMA, Folder, called, run_of

import latex
import report
import show
import synthetic_results
import tables
import terminal
import validate


class Tables(unittest.TestCase):
    def setUp(self):
        self.document = synthetic_results.document()

    def outcomes(self, outcome):
        return {(v.key.workload, v.rival.filesystem)
                for v in tables.verdicts(run_of(self.document)) if v.outcome == outcome}  # fmt: skip

    def test_rival_wins_are_found_whatever_the_direction(self):
        self.assertEqual(self.outcomes(tables.Outcome.WORSE), {("walk-cold", "tmpfs")})
        for m in self.document["measurements"]:
            if m["workload"] == "walk-cold":
                m["metric"] = "iops"
        self.assertEqual(self.outcomes(tables.Outcome.WORSE), {("walk-cold", "erofs")},
                         "more operations per second are better")  # fmt: skip

    def test_what_is_apart_by_less_than_the_margin_is_equal(self):
        equal = {("open-close", "ramfs"), ("stat", "ramfs"), ("read-all", "erofs-dax")}
        self.assertEqual(self.outcomes(tables.Outcome.EQUAL), equal)
        for metric in self.document["metrics"]:
            metric["margin"] = 0.0
        self.assertIn(("stat", "ramfs"), self.outcomes(tables.Outcome.WORSE))

    def test_the_margin_is_one_of_equivalence_only(self):
        by_id = {metric["id"]: metric for metric in self.document["metrics"]}
        by_id["cost_per_op"]["margin"] = 0.5
        self.assertNotIn(("walk-cold", "tmpfs"), self.outcomes(tables.Outcome.WORSE))
        self.assertIn(("mmap-touch-random", "tmpfs"), self.outcomes(tables.Outcome.BETTER))

    def test_descriptions_are_not_judged(self):
        judged = {v.key.metric for v in tables.verdicts(run_of(self.document))}
        self.assertNotIn("rss_bytes", judged)
        self.assertNotIn("frames_pmem_bytes", judged)
        self.assertIn("duplication_factor", judged)

    def test_cells_of_a_table(self):
        run = run_of(self.document)
        key = next(k for k in run.guest_rows if k.workload == "read-4k-random")
        row = run.guest_rows[key]
        base = row["daxfs"]
        self.assertEqual(tables.figure(run, base, base), "1,297 (exact)")
        self.assertEqual(tables.figure(run, row["erofs-dax"], base), "1,997 (exact), 1.54×")

    def test_one_sample_has_no_spread(self):
        run = run_of(synthetic_results.document(repetitions=1))
        key = next(k for k in run.guest_rows if k.workload == "read-4k-random")
        base = run.guest_rows[key]["daxfs"]
        self.assertEqual(tables.figure(run, base, base), "1,297")

    def test_faults_are_per_operation(self):
        run = run_of(self.document)
        keys = [k for k in run.guest_rows if k.workload == "open-mmap-touch-close"]
        lines = tables.faults_per_operation(run, keys, ["erofs-dax", "daxfs"])
        self.assertIn("| 7.50 |", lines[-1])
        self.assertIn("| open-mmap-touch-close | warm | rootfs | op |", lines[-1])
        # None were counted for fio; for programs they are a metric.
        keys = [k for k in run.guest_rows if k.experiment in ("fio", "program-start")]
        self.assertEqual(tables.faults_per_operation(run, keys, []), [])

    def test_pipes_and_newlines_stay_in_their_cell(self):
        self.assertEqual(tables.markdown(["a"], [["x|y\nz"]])[-1], "| x\\|y z |")


class Terminal(Folder):
    def text(self, document):
        return "\n".join(terminal.lines(run_of(document)))

    def test_it_says_what_the_report_says(self):
        document = synthetic_results.document()
        words = tables.verdict_words(run_of(document), tables.verdicts(run_of(document)))
        self.assertIn(words, self.text(document))
        self.assertIn(words, report.compose(run_of(document), []))

    def test_best_figures_are_marked(self):
        text = self.text(synthetic_results.document())
        row = next(line for line in text.splitlines() if line.startswith("rootfs walk-cold cold /op"))
        self.assertEqual(row.split()[-5:], ["7,480", "10,493", "45,077", "5,492*", "5,552"])
        self.assertIn("worse: rootfs walk-cold cold cost per operation: 7,480 against 5,492 of tmpfs", text)

    def test_what_is_missing_is_named(self):
        text = self.text(synthetic_results.document())
        self.assertIn("failed", text)
        self.assertIn("latency/weights/ramfs/n1: expected hello within 30 s", text)
        self.assertIn("met          first touch: 9.50, at most 60", text)
        self.assertIn("not measured walk: not measured, at most 7,500", text)

    def test_without_a_subject_nothing_is_judged(self):
        document = synthetic_results.document()
        document["run"]["subject"] = ""
        self.assertNotIn("against the best", self.text(document))
        self.assertIn("nothing is judged", report.compose(run_of(document), []))

    def test_the_program_prints_it(self):
        folder = self.write("run", synthetic_results.document())
        status, out, _ = called(report.main, folder, "--table")
        self.assertEqual(status, 0)
        self.assertEqual(out.rstrip("\n"), self.text(synthetic_results.document()))


class Programs(Folder):
    def test_one_whose_reader_has_gone_says_nothing(self):
        folder = self.write("run", synthetic_results.document())
        show_py = Path(show.__file__)
        with subprocess.Popen([sys.executable, show_py, folder], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:  # fmt: skip
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(process.returncode, -signal.SIGPIPE)


class Show(Folder):
    def setUp(self):
        super().setUp()
        self.run_folder = self.write("run", synthetic_results.document())

    def shown(self, *options):
        status, out, err = called(show.main, self.run_folder, *options)
        self.assertEqual((status, err), (0, ""))
        return out

    def test_patterns_choose(self):
        out = self.shown("--workload", "stat", "--filesystem", "erofs*")
        self.assertEqual(out.splitlines()[0].split()[-2:], ["erofs-dax", "erofs"])
        self.assertEqual(out.splitlines()[1].split()[-2:], ["5,578", "5,576"])

    def test_records_hold_what_was_measured(self):
        document = synthetic_results.document(jitter=0.01)
        self.run_folder = self.write("run", document)
        choice = ("--workload", "stat", "--filesystem", "ramfs")
        record, = json.loads(self.shown(*choice, "--format", "json"))
        m = next(m for m in document["measurements"]
                 if (m["workload"], m["filesystem"]) == ("stat", "ramfs"))  # fmt: skip
        self.assertEqual(record, {key: m[key] for key in record})
        row, = csv.DictReader(io.StringIO(self.shown(*choice, "--format", "csv")))
        self.assertEqual([float(s) for s in row["samples"].split()], m["samples"])
        self.assertEqual(float(row["value"]), m["value"])

    def test_latex_is_escaped(self):
        self.assertEqual(latex.escape("50% of a_b & c\\"), r"50\% of a\_b \& c\textbackslash{}")
        out = self.shown("--workload", "stat", "--format", "latex")
        self.assertIn(r"\begin{tabular}{llllllrrrrr}", out)
        self.assertIn(r"5,570 & 5,578 & 5,576 & 5,621 & 5,563 \\", out)
        self.assertEqual(latex.macro_name("erofs-dax-2m", "stat"), "ErofsDaxTwoMStat")

    def test_nothing_that_matches_says_what_there_is(self):
        status, out, err = called(show.main, self.run_folder, "--workload", "stit")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("mmap-touch-seq", err)
        self.assertEqual(len(err.splitlines()), 1)


class Report(Folder):
    def test_equal_results_give_equal_bytes(self):
        document = synthetic_results.document(repetitions=5, jitter=0.02)
        made = []
        for name in ("a", "b"):
            folder = self.write(name, document)
            self.assertEqual(called(report.main, folder)[0], 0)
            files = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*")
                     if p.is_file()}  # fmt: skip
            made.append(files)
        self.assertEqual(made[0].keys(), made[1].keys())
        for name, content in made[0].items():
            self.assertEqual(content, made[1][name], name)
        names = {str(p) for p in made[0]}
        for stem in ("cost-latency-rootfs-warm", "cost-latency-rootfs-cold", "copies-duplication",
                     "cost-fio-fio-verify-warm", "cost-program-start-rootfs-cold",
                     "frames-rss-rootfs"):  # fmt: skip
            self.assertIn(f"figures/{stem}.svg", names)
            self.assertIn(f"figures/{stem}.png", names)
        text = made[0][Path("report.md")].decode()
        for name in names:
            if name.endswith(".svg"):
                self.assertIn(f"]({name})", text)

    def test_old_figures_go(self):
        folder = self.write("run", synthetic_results.document())
        old = folder / "figures" / "old.svg"
        old.parent.mkdir()
        old.write_text("old")
        report.report(folder)
        self.assertFalse(old.exists())

    def test_what_it_says(self):
        text = report.compose(run_of(synthetic_results.document()), [])
        lost, won = text.index("## Rows where a rival wins"), text.index("## Rows where daxfs wins")
        self.assertLess(lost, won)
        self.assertIn("better in 56, equal in 5, worse in 1.", text)
        for wanted in (
            "| latency/weights/ramfs/n1 | failed | expected hello within 30 s",
            "| duplication/rootfs/ramfs/n3 | skipped | 3 guests",
            "| rootfs | daxfs | 375,390,208 | 1.008× | 0.61 s | mkdaxfs 0.1.0 |",
            "not measured: failed",
            "slab per guest",
            "host PSS",
            "counters cycles: the guest has no PMU",
            "tcg (no /dev/kvm)",
            "Not cold: tmpfs, ramfs",
            "Page faults, on the base of the cost",
        ):
            self.assertIn(wanted, text)
        self.assertNotIn("## image-build", text)

    def test_a_run_on_the_host(self):
        document = synthetic_results.build_document()
        schema = validate.load_json(SCHEMA)
        self.assertEqual(validate.problems(document, schema), [])
        text = report.compose(run_of(document), [])
        for wanted in (
            "| build | cold | rootfs | build time | seconds | 1.22 s (exact) |",
            "2.33×",
            "CPU time, user and system",
            "natively (SYNTHETIC CPU, kernel 6.1.0)",
            "Cold: drop_caches: data, names and inodes.",
            "around the cells: 0.5 to 2.5",
            "different images in: build/rootfs/erofs-4k/n1",
            "| clock | host wall clock |",
        ):
            self.assertIn(wanted, text)
        for absent in ("icount", "Duplication factor", "emulat", "## Images"):
            self.assertNotIn(absent, text)

    def test_a_subject_without_rivals_is_not_judged(self):
        document = synthetic_results.document()
        document["measurements"] = [m for m in document["measurements"] if m["filesystem"] == "daxfs"]
        text = report.compose(run_of(document), [])
        self.assertIn("No row has both daxfs and a rival: nothing is judged.", text)
        self.assertNotIn("against the best of", text)

    def test_a_run_without_measurements(self):
        document = synthetic_results.document()
        document.update(measurements=[], images=[])
        document["environment"]["module"] = None
        folder = self.write("run", document)
        self.assertEqual(called(report.main, folder)[0], 0)
        self.assertEqual(list((folder / "figures").iterdir()), [])

    def test_failure_is_one_line(self):
        (self.folder / "results.json").write_text("{")
        status, _, err = called(report.main, self.folder)
        self.assertEqual(status, 1)
        self.assertEqual(len(err.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
