#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of analysis/: loading, statistics, validation, comparison, report and figures."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import re
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "analysis"), str(Path(__file__).resolve().parent)]

import bars  # noqa: E402
import compare  # noqa: E402
import figure_cost  # noqa: E402
import figure_frames  # noqa: E402
import figure_lines  # noqa: E402
import metrics  # noqa: E402
import report  # noqa: E402
import results  # noqa: E402
import stats  # noqa: E402
import style  # noqa: E402
import synthetic_results  # noqa: E402
import tables  # noqa: E402
import units  # noqa: E402
import validate  # noqa: E402

SCHEMA = ROOT / "results" / "schema.json"


def run_of(document) -> results.Results:
    return results.Results(document, Path("results.json"))


def called(main, *arguments) -> tuple[int, str, str]:
    """Status, standard output and standard error of a program's main."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(a) for a in arguments])
    return status, out.getvalue(), err.getvalue()


def measurement(document, **expected):
    """The one measurement of `document` whose fields are as `expected`."""
    found = [m for m in document["measurements"] if expected.items() <= m.items()]
    assert len(found) == 1, f"{expected}: {len(found)} measurements"
    return found[0]


def with_all_kinds_of_frames(document):
    """A copy of `document` in which each process has some frames of every kind."""
    document = copy.deepcopy(document)
    for m in list(document["measurements"]):
        if m["metric"] == "frames_anonymous_bytes":
            for metric in metrics.FRAMES.keys() - {m["metric"]}:
                more = {**m, "metric": metric, "value": 40960, "samples": [40960]}
                document["measurements"].insert(0, more)
    return document


def placed_texts(figure) -> list[tuple[str, Any]]:
    """All texts that a figure shows, those of its axes and legends included, and their boxes."""
    FigureCanvasAgg(figure).draw()
    found = {id(t): t for t in figure.findobj(Text) if t.get_text() and t.get_visible()}
    hidden = {id(t) for axes in figure.axes if not axes.axison
              for axis in (axes.xaxis, axes.yaxis) for t in axis.findobj(Text)}  # fmt: skip
    return [(t.get_text(), t.get_window_extent()) for at, t in found.items() if at not in hidden]


def texts(figure) -> list[str]:
    return [text for text, _ in placed_texts(figure)]


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def write(self, name, document) -> Path:
        return synthetic_results.write(self.folder / name, document).parent


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
    def test_order_and_subject_come_from_the_cells(self):
        document = synthetic_results.document()
        self.assertEqual(run_of(document).filesystems, synthetic_results.FILESYSTEMS)
        document["cells"].reverse()
        self.assertEqual(run_of(document).subject, synthetic_results.FILESYSTEMS[-1])

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
        newer = {**document, "schema_version": 2}
        lacking = copy.deepcopy(document)
        del lacking["measurements"][0]["metric"]
        for content, wanted in ((newer, "expected schema_version 1, got 2"), ([], "got None"),
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
        self.assertRegex(out, r"^\d+ rows compared, 0 beyond 0\.1000%; largest difference 0\.0000%")

    def test_the_tolerance_decides(self):
        row = dict(experiment="latency", workload="stat", filesystem="erofs", dataset="rootfs")
        self.scale(1.002, **row)
        status, out = self.against()
        self.assertEqual(status, 1)
        self.assertIn("latency/stat/warm/rootfs/n1/cost_per_op erofs: ", out.splitlines()[0])
        self.assertIn("0.2000%", out.splitlines()[0])
        self.assertEqual(self.against("--tolerance", "0.0021")[0], 0)
        self.assertEqual(self.against("--tolerance", "0.0019")[0], 1)

    def test_the_unit_chooses_rows(self):
        self.scale(2, metric="host_pss_bytes", filesystem="tmpfs", instances=2)
        self.assertEqual(self.against()[0], 1)
        self.assertEqual(self.against("--unit", "instructions")[0], 0)
        self.assertEqual(self.against("--unit", "parsecs")[0], 1)

    def test_a_lost_row_does_not_agree(self):
        del self.changed["measurements"][0]
        status, out = self.against()
        self.assertEqual(status, 1)
        self.assertIn("only in", out)

    def test_unreadable(self):
        self.assertEqual(called(compare.main, self.a, self.folder / "absent")[0], 2)


class Tables(unittest.TestCase):
    def setUp(self):
        self.document = synthetic_results.document()

    def test_rival_wins_are_found_whatever_the_direction(self):
        run = run_of(self.document)
        lost = {(v.key.workload, v.rival.filesystem) for v in tables.verdicts(run) if v.rival_wins}
        self.assertEqual(lost, {("open-close", "ramfs"), ("stat", "ramfs"), ("walk-cold", "tmpfs")})
        for m in self.document["measurements"]:
            if m["workload"] == "walk-cold":
                m["metric"] = "iops"
        lost = {v.key.workload for v in tables.verdicts(run_of(self.document)) if v.rival_wins}
        self.assertIn("walk-cold", lost, "more operations per second are better: erofs has them")

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
        self.assertEqual(tables.figure(base, base), "1,297 (exact)")
        self.assertEqual(tables.figure(row["erofs-dax"], base), "1,997 (exact), 1.54×")

    def test_one_sample_has_no_spread(self):
        run = run_of(synthetic_results.document(repetitions=1))
        key = next(k for k in run.guest_rows if k.workload == "read-4k-random")
        base = run.guest_rows[key]["daxfs"]
        self.assertEqual(tables.figure(base, base), "1,297")

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
        self.assertIn("a rival wins 3,", text)
        for wanted in (
            "| latency/weights/ramfs/n1 | failed | expected hello within 30 s",
            "| duplication/rootfs/ramfs/n3 | skipped | 3 guests",
            "| rootfs | daxfs | 375,390,208 | 1.008× | 0.61 s | mkdaxfs 0.1.0 |",
            "not measured: failed",
            "slab per guest",
            "host PSS",
            "counters cycles: the guest has no PMU",
            "tcg (no /dev/kvm)",
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


class Figures(unittest.TestCase):
    def setUp(self):
        self.enterContext(style.context())
        self.document = synthetic_results.document(jitter=0.02)
        self.run_ = run_of(self.document)
        self.looks = style.looks(self.run_.filesystems)

    def drawn(self):
        run = self.run_
        for keys in figure_cost.groups(run).values():
            yield figure_cost.draw(run, keys, self.looks)
        for keys in figure_lines.groups(run).values():
            yield figure_lines.draw(run, keys, self.looks)
        for group, panels in figure_frames.groups(run).items():
            yield figure_frames.draw(run, group, panels, self.looks)
        run = run_of(with_all_kinds_of_frames(self.document))
        for group, panels in figure_frames.groups(run).items():
            yield figure_frames.draw(run, group, panels, self.looks)

    def test_every_text_lies_within_its_figure(self):
        for figure in self.drawn():
            width, height = figure.bbox.width, figure.bbox.height
            for text, box in placed_texts(figure):
                inside = (box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5
                          and box.y1 <= height + 0.5)  # fmt: skip
                self.assertTrue(inside, f"{text!r} at {box} in {width} × {height}")

    def test_no_two_texts_overlap(self):
        for figure in self.drawn():
            boxes = placed_texts(figure)
            for i, (one, a) in enumerate(boxes):
                for other, b in boxes[:i]:
                    across = min(a.x1, b.x1) - max(a.x0, b.x0)
                    down = min(a.y1, b.y1) - max(a.y0, b.y0)
                    # Boxes reach from ascender to descender: lines may touch by a pixel or two.
                    self.assertFalse(across > 1 and down > 2.5, f"{one!r} over {other!r}")

    def test_column_width(self):
        for figure in self.drawn():
            self.assertEqual(figure.get_figwidth() % style.COLUMN, 0)
            self.assertLessEqual(figure.get_figheight(), style.TALLEST)

    def test_a_missing_cell_is_said_and_has_no_bar(self):
        groups = figure_cost.groups(self.run_)
        keys = groups[("latency", "rootfs", 1, "warm")]
        at = [k.workload for k in keys].index("read-seq-128k")
        figure = figure_cost.draw(self.run_, keys, self.looks)
        panel = figure.axes[at]
        self.assertEqual(len(panel.patches), len(self.run_.filesystems) - 1)
        self.assertIn("not measured", [t.get_text() for t in panel.texts])

    def test_every_bar_has_its_figure(self):
        keys = figure_cost.groups(self.run_)[("latency", "rootfs", 1, "warm")]
        figure = figure_cost.draw(self.run_, keys, self.looks)
        for key, panel in zip(keys, figure.axes):
            shown = " ".join(t.get_text() for t in panel.texts)
            for m in self.run_.guest_rows[key].values():
                self.assertIn(units.quantity(m.value, key.unit), shown)

    def test_bars_are_as_long_as_their_values(self):
        key = figure_cost.groups(self.run_)[("latency", "rootfs", 1, "cold")][0]
        panel = figure_cost.draw(self.run_, [key], self.looks).axes[0]
        lengths = [patch.get_width() for patch in panel.patches]
        row = self.run_.guest_rows[key]
        self.assertEqual(lengths, [row[name].value for name in self.run_.filesystems])
        self.assertEqual(panel.get_xlim()[0], 0)

    def test_the_title_says_clock_and_unit(self):
        keys = figure_cost.groups(self.run_)[("latency", "rootfs", 1, "warm")]
        self.assertIn("instructions (icount clock)", figure_cost.title(self.run_, keys))
        for m in self.document["measurements"]:
            if m["unit"] == "instructions":
                m["unit"] = m["clock"] = "ns"
        run = run_of(self.document)
        keys = figure_cost.groups(run)[("latency", "rootfs", 1, "warm")]
        self.assertIn("ns (guest CLOCK_MONOTONIC)", figure_cost.title(run, keys))
        self.assertIn("read-4k-random: ns/op", texts(figure_cost.draw(run, keys, self.looks)))

    def test_cold_and_warm_are_apart(self):
        for (_, _, _, cache), keys in figure_cost.groups(self.run_).items():
            self.assertEqual({key.cache for key in keys}, {cache})

    def test_the_ideal_and_the_gap_are_drawn(self):
        keys = figure_lines.groups(self.run_)["duplication"]
        shown = texts(figure_lines.draw(self.run_, keys, self.looks))
        self.assertIn("ideal 1.0", shown)
        self.assertIn("ramfs, N=3: not measured", shown)
        self.assertIn("ramfs 2.062 at N=2", shown)

    def test_frames_are_stacked_beside_smaps(self):
        (group,) = [g for g in figure_frames.groups(self.run_) if g[0] == "rss"]
        panels = figure_frames.groups(self.run_)[group]
        figure = figure_frames.draw(self.run_, group, panels, self.looks)
        shown = texts(figure)
        self.assertIn("49.0 + 1.20 + 0.30 MiB", shown)
        self.assertIn("Rss 1.50 MiB", shown)
        self.assertNotIn("other", shown, "nobody had any")

    def test_looks_differ_and_depend_on_position_alone(self):
        many = style.looks([f"f{i}" for i in range(24)])
        self.assertEqual(len(set(many.values())), 24)
        again = style.looks(["x", "y"])
        self.assertEqual(list(again.values()), list(many.values())[:2])

    def test_a_panel_of_zeros(self):
        figure, axes = style.page("t", [], [style.Panel("p", 0.3)], 0.5)
        bars.draw(axes[0], ["a", "b"], [bars.Bar((bars.Part(0, "#000000"),), "0"),
                                        bars.Bar((), "not measured")], 2.0)  # fmt: skip
        self.assertGreater(axes[0].get_xlim()[1], 0)


class NoNamesInCode(unittest.TestCase):
    def test_analysis_knows_no_filesystem_dataset_or_workload(self):
        document = synthetic_results.document()
        names = {c[field] for c in document["cells"] for field in ("filesystem", "dataset")}
        # One-word names of programs and system calls are also keys of results.json.
        names |= {m["workload"] for m in document["measurements"] if "-" in m["workload"]}
        for path in sorted((ROOT / "analysis").glob("*.py")):
            text = path.read_text(encoding="utf-8")
            for name in names:
                self.assertFalse(f'"{name}"' in text, f"{path.name} names {name}")


class EveryMetricIsKnown(unittest.TestCase):
    def test_what_the_bench_measures_has_a_label_and_a_direction(self):
        # Fields of fio's output and of the program that measures a tool.
        names = {"cost_per_op"}
        for folder in ("guest/engines", "host/measure"):
            for path in sorted((ROOT / "bench" / folder).glob("*.cpp")):
                names |= set(re.findall(r'"([a-z_]+_(?:bytes|seconds))"', path.read_text(encoding="utf-8")))
        names -= {"io_bytes", "peak_bytes"}
        self.assertGreater(len(names), 20)
        self.assertEqual([name for name in sorted(names) if not metrics.is_known(name)], [])


if __name__ == "__main__":
    unittest.main()
