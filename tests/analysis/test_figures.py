#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of figures: what they show, and that their texts are legible."""

from __future__ import annotations

import unittest

from support import placed_texts, run_of, texts, with_all_kinds_of_frames

import synthetic_results
import units
from figure import (
    bars,
    cost as figure_cost,
    frames as figure_frames,
    lines as figure_lines,
    overview as figure_overview,
    style,
)


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
        yield figure_overview.draw(run, figure_overview.rows(run), self.looks)
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

    def test_what_cannot_be_cold_is_named(self):
        groups = figure_cost.groups(self.run_)
        cold, warm = (groups[("latency", "rootfs", 1, cache)] for cache in ("cold", "warm"))
        self.assertEqual(self.run_.cold_notes(warm), [])
        (note,) = self.run_.cold_notes(cold)
        self.assertTrue(note.startswith("Not cold: tmpfs, ramfs, whose data"), note)
        shown = texts(figure_cost.draw(self.run_, cold, self.looks))
        self.assertIn("Not cold: tmpfs, ramfs", " ".join(shown))

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


if __name__ == "__main__":
    unittest.main()
