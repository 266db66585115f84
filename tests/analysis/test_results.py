#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of units, statistics, validation, loading and comparing of results."""

from __future__ import annotations

import copy
import math
import re
import unittest

from support import ROOT, SCHEMA, Folder, called, measurement, run_of

import compare
import reference
import report
import results
import stats
import synthetic_results
import units
import validate


class Units(unittest.TestCase):
    def test_numbers(self):
        for value, text in ((1260244, "1,260,244"), (547, "547"), (15.154, "15.15"), (0, "0"),
                            (0.00195, "0.00195"), (213.94, "213.9")):  # fmt: skip
            self.assertEqual(units.number(value), text)

    def test_sizes(self):
        self.assertEqual(units.size(0), "0 B")
        self.assertEqual(units.size(372 << 20), "372 MiB")
        self.assertEqual(units.size(-(3 << 19)), "-1.50 MiB")
        self.assertEqual(units.sizes([49 << 20, 0, 3 << 19]), "49.0 + 0 + 1.50 MiB")
        self.assertEqual(units.sizes([0, 0]), "0 + 0 B")
        self.assertEqual(units.sizes([5 << 20, 4096]), "5 + <0.01 MiB")

    def test_ratios(self):
        for ratio, text in ((1.0, "1.000×"), (0.987, "0.987×"), (2.494, "2.49×"), (331.2, "331×"),
                            (math.inf, "–")):  # fmt: skip
            self.assertEqual(units.times(ratio), text)


class Statistics(unittest.TestCase):
    def test_relative_difference(self):
        self.assertEqual(stats.relative_difference(5, 5), 0)
        self.assertEqual(stats.relative_difference(0, 0), 0)
        self.assertEqual(stats.relative_difference(0, 1), math.inf)
        self.assertAlmostEqual(stats.relative_difference(1000, 1001), 0.001)
        self.assertEqual(stats.relative_difference(10, 11), stats.relative_difference(11, 10))

    def test_ratio_interval(self):
        self.assertEqual(stats.ratio_interval([4, 4], [2, 2]), stats.Interval(2, 2, "exact"))
        self.assertEqual(stats.ratio_interval([4], [2, 2]), stats.Interval(2, 2, "single"))
        self.assertEqual(stats.ratio_interval([4, 6], [2, 2]), stats.Interval(2, 3, "range"))
        self.assertIsNone(stats.ratio_interval([4], [0]))

    def test_bootstrap_is_repeatable_and_holds_the_ratio(self):
        top, bottom = [20, 21, 22, 23, 24, 25, 26], [10, 10.5, 11, 11.5, 12, 12.5, 13]
        interval = stats.ratio_interval(top, bottom)
        self.assertEqual(interval.method, "bootstrap")
        self.assertEqual(interval, stats.ratio_interval(top, bottom))
        self.assertLess(interval.low, 2)
        self.assertGreater(interval.high, 2)
        self.assertGreater(interval.low, 20 / 13)


class Schema(Folder):
    def setUp(self):
        super().setUp()
        self.document = synthetic_results.document()

    def check(self, document) -> tuple[int, list[str]]:
        path = self.write("run", document) / results.FILE_NAME
        status, out, _ = called(validate.main, path, SCHEMA)
        return status, out.splitlines()

    def test_synthetic_results_keep_the_schema(self):
        self.assertEqual(self.check(self.document), (0, []))

    def test_one_line_names_each_problem(self):
        self.document["cells"][1]["status"] = "fine"
        del self.document["measurements"][10]["unit"]
        self.document["measurements"][2]["operations"] = -1
        status, lines = self.check(self.document)
        self.assertEqual(status, 1)
        self.assertEqual(len(lines), 3, lines)
        self.assertIn("$.cells[1].status: 'fine'", lines[0])
        self.assertIn("$.measurements[2].operations: -1 is less", lines[1])
        self.assertIn("$.measurements[10]: 'unit' is a required", lines[2])

    def test_nan_and_unreadable_files(self):
        path = self.folder / "nan.json"
        path.write_text('{"value": NaN}')
        for file in (path, self.folder / "absent.json"):
            status, out, _ = called(validate.main, file, SCHEMA)
            self.assertEqual(status, 1)
            self.assertEqual(len(out.splitlines()), 1)
        self.assertIn("NaN is not JSON", called(validate.main, path, SCHEMA)[1])

    def test_a_broken_schema_is_told(self):
        schema = self.folder / "schema.json"
        schema.write_text('{"type": "thing"}')
        status, out, _ = called(validate.main, self.write("run", self.document) / "results.json",
                                schema)  # fmt: skip
        self.assertEqual(status, 1)
        self.assertIn("expected a JSON schema", out)


class Loading(Folder):
    def test_order_comes_from_the_cells_and_the_subject_is_declared(self):
        document = synthetic_results.document()
        self.assertEqual(run_of(document).filesystems, synthetic_results.FILESYSTEMS)
        document["cells"].reverse()
        run = run_of(document)
        self.assertEqual(run.subject, synthetic_results.FILESYSTEMS[0])
        self.assertEqual(run.rivals, synthetic_results.FILESYSTEMS[:0:-1])

    def test_a_subject_that_was_not_measured_is_none(self):
        document = synthetic_results.document()
        document["run"]["subject"] = "elsewhere"
        self.assertEqual(run_of(document).subject, "")

    def test_variants_of_the_subject_are_no_rivals(self):
        document = synthetic_results.document()
        variant, *others = reversed(synthetic_results.FILESYSTEMS[1:])
        for row in document["filesystems"]:
            if row["id"] == variant:
                row["variant_of"] = document["run"]["subject"]
        run = run_of(document)
        self.assertEqual(run.variants, [variant])
        self.assertEqual(run.rivals, others[::-1])

    def test_images_named_like_filesystems_are_no_experiment(self):
        run = run_of(synthetic_results.document())
        self.assertIn("image-build", {key.experiment for key in run.rows})
        self.assertNotIn("image-build", run.experiments)

    def test_why_a_figure_is_missing(self):
        run = run_of(synthetic_results.document())

        def why(experiment, dataset, instances, filesystem):
            key = next(k for k in run.guest_rows if (k.experiment, k.dataset, k.instances)
                       == (experiment, dataset, instances))  # fmt: skip
            return run.missing_because(key, filesystem)

        self.assertEqual(why("latency", "weights", 1, "ramfs"), "not measured: failed")
        self.assertEqual(why("duplication", "rootfs", 3, "ramfs"), "not measured: skipped")
        self.assertEqual(why("latency", "rootfs", 1, "tmpfs"), "not measured")

    def test_a_workload_without_a_figure_is_not_a_measurement(self):
        document = synthetic_results.document()
        broken = copy.deepcopy(document["measurements"][0])
        broken.update(workload="lost", value=None, samples=[], error="expected a file,\ngot none")
        document["measurements"].append(broken)
        run = run_of(document)
        self.assertEqual([u.error for u in run.unmeasured], ["expected a file, got none"])
        self.assertNotIn("lost", {key.workload for key in run.rows})
        text = report.compose(run, [])
        self.assertIn("- latency/rootfs/daxfs/n1, lost: expected a file, got none", text)

    def test_doubts(self):
        document = synthetic_results.document()
        self.assertEqual(run_of(document).doubts, [])
        document["measurements"][0]["value"] *= 1.01
        document["measurements"].append(document["measurements"][5])
        doubts = run_of(document).doubts
        self.assertEqual(len(doubts), 2, doubts)
        self.assertIn("is not the median", doubts[0])
        self.assertIn("measured twice", doubts[1])

    def test_errors_are_one_line(self):
        document = synthetic_results.document()
        newer = {**document, "schema_version": 3}
        lacking = copy.deepcopy(document)
        del lacking["measurements"][0]["metric"]
        for content, wanted in ((newer, "expected schema_version 2, got 3"), ([], "got None"),
                                (lacking, "not as results/schema.json has it")):  # fmt: skip
            folder = self.write("run", content)
            with self.assertRaisesRegex(results.ResultsError, wanted) as caught:
                results.load(folder)
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaises(results.ResultsError):
            results.load(self.folder / "absent")


class Compare(Folder):
    def setUp(self):
        super().setUp()
        self.document = synthetic_results.document()
        self.a = self.write("a", self.document)
        self.changed = copy.deepcopy(self.document)

    def against(self, *options) -> tuple[int, str]:
        status, out, err = called(compare.main, self.a, self.write("b", self.changed), *options)
        self.assertEqual(err, "")
        return status, out

    def scale(self, factor, **wanted):
        m = measurement(self.changed, **wanted)
        m["value"] *= factor
        m["samples"] = [s * factor for s in m["samples"]]

    def test_equal_runs(self):
        status, out = self.against()
        self.assertEqual(status, 0)
        self.assertRegex(out, r"^\d+ rows compared: 0 worse, 0 better, 0 descriptions changed, 0 lost")

    STAT = dict(experiment="latency", workload="stat", filesystem="erofs", dataset="rootfs")

    def test_the_tolerance_decides(self):
        self.scale(1.002, **self.STAT)
        status, out = self.against()
        self.assertEqual(status, 1)
        self.assertTrue(out.startswith("worse: latency/stat/warm/rootfs/n1/cost_per_op erofs: "), out)
        self.assertIn("+0.2000%", out.splitlines()[0])
        self.assertEqual(self.against("--fail-above", "0.21%")[0], 0)
        self.assertEqual(self.against("--fail-above", "0.0019")[0], 1)

    def test_an_improvement_does_not_fail(self):
        self.scale(0.9, **self.STAT)
        status, out = self.against()
        self.assertEqual(status, 0)
        self.assertIn("better: latency/stat", out)
        self.assertEqual(self.against("--same")[0], 1)

    def test_direction_comes_from_the_metric(self):
        for document in (self.document, self.changed):
            measurement(document, **self.STAT)["metric"] = "iops"
        self.a = self.write("a", self.document)
        self.scale(0.9, **{**self.STAT, "metric": "iops"})
        self.assertEqual(self.against()[0], 1)

    def test_descriptions_fail_only_where_all_must_be_the_same(self):
        self.scale(2, metric="host_pss_bytes", filesystem="tmpfs", instances=2)
        status, out = self.against()
        self.assertEqual(status, 0)
        self.assertIn("changed: duplication", out)
        self.assertEqual(self.against("--same")[0], 1)

    def test_unit_and_pattern_choose_rows(self):
        self.scale(2, metric="host_pss_data_bytes", filesystem="tmpfs", instances=2)
        self.assertEqual(self.against()[0], 1)
        self.assertEqual(self.against("--unit", "instructions")[0], 0)
        self.assertEqual(self.against("--only", "latency/*")[0], 0)
        self.assertEqual(self.against("--only", "duplication/* tmpfs")[0], 1)

    def test_a_lost_row_fails_and_a_new_one_does_not(self):
        lost = self.changed["measurements"].pop(0)
        status, out = self.against()
        self.assertEqual(status, 1)
        self.assertIn("lost: ", out)
        self.changed["measurements"].append(lost)
        self.changed["measurements"].append({**lost, "workload": "another"})
        status, out = self.against()
        self.assertEqual(status, 0)
        self.assertIn("new: ", out)

    def test_runs_unlike_each_other_are_refused(self):
        for change, word in (
            (lambda d: d["environment"]["guest"].update(kernel="7.3.4"), "kernel: 6.12.117 and 7.3.4"),
            (lambda d: d["environment"].update(clock="ns"), "clock: instructions and ns"),
            (lambda d: d["datasets"][0].update(xxh3="3" * 32), "dataset rootfs"),
            (lambda d: d["datasets"][0].update(xxh3="3" * 32, packages=["bash 5.3"]), "(bash 5.2, bash 5.3)"),
            (lambda d: d["environment"]["guest"].update(cpu_model="host"), "CPU model"),
            (lambda d: d["run"].update(profile="smoke"), "profile: default and smoke"),
        ):
            other = copy.deepcopy(self.document)
            change(other)
            b = self.write("b", other)
            status, out, err = called(compare.main, self.a, b)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(word, err)
            self.assertEqual(len(err.splitlines()), 1)
            self.assertEqual(called(compare.main, self.a, b, "--anyway")[0], 0)

    def test_other_commits_are_named(self):
        self.assertNotIn("of commits", self.against()[1])
        self.changed["environment"]["git"] = {"commit": "2" * 40, "dirty": True}
        self.assertIn("and 222222222222 with uncommitted changes\n", self.against()[1])

    def test_times_of_images_built_in_one_run_only_are_no_rows(self):
        self.changed["measurements"] = [m for m in self.changed["measurements"]
                                        if m["metric"] != "build_seconds"]  # fmt: skip
        self.assertEqual(self.against("--same")[0], 0)

    def test_ratios_may_be_of_another_kernel(self):
        self.changed["environment"]["guest"].update(kernel="7.3.4", kernel_config_sha256="11")
        b = self.write("b", self.changed)
        self.assertEqual(called(compare.main, self.a, b)[0], 2)
        options = ("--relative-to", "erofs-dax", "--unit", "instructions")
        self.assertEqual(called(compare.main, self.a, b, *options)[0], 0)

    def test_ratios_to_a_rival(self):
        for m in self.changed["measurements"]:
            if m["unit"] == "instructions":
                m["value"], m["samples"] = m["value"] * 1.5, [s * 1.5 for s in m["samples"]]
        self.assertEqual(self.against()[0], 1)
        status, out = self.against("--relative-to", "erofs-dax", "--only", "latency/*")
        self.assertEqual(status, 0, out)
        self.scale(1.1, **{**self.STAT, "filesystem": "daxfs"})
        status, out = self.against("--relative-to", "erofs-dax", "--only", "latency/*")
        self.assertEqual(status, 1)
        self.assertTrue(out.startswith("worse: latency/stat/warm/rootfs/n1/cost_per_op daxfs: "), out)

    def test_a_reference_is_a_run_without_its_machine(self):
        path = self.folder / "reference.json"
        self.assertEqual(called(reference.main, self.a, path)[0], 0)
        document = validate.load_json(path)
        self.assertEqual(validate.problems(document, validate.load_json(SCHEMA)), [])
        self.assertNotIn("SYNTHETIC CPU", path.read_text(encoding="utf-8"))
        self.assertEqual(called(compare.main, path, self.a)[0], 0)
        self.scale(1.002, **self.STAT)
        self.assertEqual(called(compare.main, path, self.write("b", self.changed))[0], 1)

    def test_nothing_in_common_is_no_comparison(self):
        self.assertEqual(called(compare.main, self.a, self.a, "--unit", "parsecs")[0], 2)

    def test_unreadable(self):
        self.assertEqual(called(compare.main, self.a, self.folder / "absent")[0], 2)


class NoNamesInCode(unittest.TestCase):
    def test_analysis_knows_no_filesystem_dataset_or_workload(self):
        document = synthetic_results.document()
        names = {c[field] for c in document["cells"] for field in ("filesystem", "dataset")}
        # One-word names of programs and system calls are also keys of results.json.
        names |= {m["workload"] for m in document["measurements"] if "-" in m["workload"]}
        for path in sorted((ROOT / "analysis").rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            for name in names:
                self.assertFalse(f'"{name}"' in text, f"{path.name} names {name}")


class EveryMetricIsDeclared(unittest.TestCase):
    def test_what_the_bench_measures_has_a_label_and_a_direction(self):
        # Fields of fio's output and of the program that measures a tool.
        names = {"cost_per_op"}
        metric = re.compile(r'"([a-z][a-z_]*_(?:bytes|seconds|faults|factor))"')
        for folder in ("guest/engines", "guest/containers", "guest/footprint", "host/measure"):
            for path in sorted((ROOT / "bench" / folder).glob("*.cpp")):
                names |= set(metric.findall(path.read_text(encoding="utf-8")))
        names -= {"io_bytes", "peak_bytes"}
        self.assertGreater(len(names), 20)
        declared = {metric["id"]: metric for metric in synthetic_results.declared_metrics()}
        self.assertEqual(sorted(names - declared.keys()), [])
        self.assertEqual({m["better"] for m in declared.values()}, {"lower", "higher", ""})
        self.assertTrue(all(m["label"] for m in declared.values()))


if __name__ == "__main__":
    unittest.main()
