#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Differences taken apart: the shares add up, and what lacks a figure is named."""

from __future__ import annotations

import unittest
from dataclasses import replace
from unittest import mock

import synthetic_results
from support import Folder, run_of  # noqa: I001  (puts analysis/ on the path)

import report
import shares

DECLARED = shares.Shares(
    title="From one to the other", experiments=("latency",), start=shares.Place("erofs-dax", "6.1"),
    rivals=("erofs-dax",), on="7.3", worth=0.1,
    steps=(shares.Step("the patch", "a newer kernel", shares.Place("erofs-dax", "7.3")),
           shares.Step("own paths", "another filesystem", shares.Place("daxfs", "7.3")),
           shares.Step("rest", "the older kernel", shares.Place("daxfs", "6.1"))),
)  # fmt: skip


class Shares(Folder):
    def setUp(self):
        super().setUp()
        self.run = run_of(synthetic_results.axis_document())

    def test_they_add_up(self):
        found, missing = shares.rows(self.run, DECLARED)
        self.assertGreater(len(found), 5)
        self.assertEqual(missing, [])
        for row in found:
            self.assertEqual(len(row.steps), 3)
            self.assertAlmostEqual(sum(row.steps), row.figures[-1].value - row.figures[0].value)
            self.assertEqual([m.filesystem for m in row.figures], [*["erofs-dax"] * 2, *["daxfs"] * 2])
            self.assertEqual([m.kernel for m in row.figures], ["6.1.0-40", "7.3.4", "7.3.4", "6.1.0-40"])

    def test_a_row_without_a_figure_is_named(self):
        nowhere = shares.Step("rest", "", shares.Place("no-such", "7.3"))
        absent = replace(DECLARED, steps=(*DECLARED.steps[:2], nowhere))
        found, missing = shares.rows(self.run, absent)
        self.assertEqual(found, [])
        self.assertTrue(all(line.endswith("no figure of no-such on 7.3") for line in missing))

    def test_what_is_left_has_both_signs(self):
        row = shares.rows(self.run, DECLARED)[0][0]

        def left(mine, best):
            subject, rival = replace(row.subject, value=mine), replace(row.best, value=best)
            measured = replace(row, subject=subject, best=rival)
            return shares.left_over(DECLARED, measured, 0.005)

        self.assertTrue(left(50, 100).startswith("50% less: 50 against 100 of erofs-dax"))
        self.assertTrue(left(95, 100).startswith("5.0% less, too little to ask for: "))
        self.assertTrue(left(100, 100.1).startswith("nothing: "))
        self.assertTrue(left(120, 100).startswith("less than nothing, a rival is ahead: "))

    def test_the_report_has_them(self):
        with mock.patch.object(shares, "load", return_value=[DECLARED]):
            text = report.compose(self.run, [])
        self.assertIn("## From one to the other, step by step", text)
        self.assertIn("* own paths: another filesystem (daxfs on 7.3)", text)

    def test_the_file_is_read(self):
        declared = shares.load()
        self.assertEqual(declared[0].places[0], shares.Place("erofs-dax", "7.3"))
        self.assertEqual(declared[0].places[-1].filesystem, "daxfs")
        wrong = self.folder / "shares.toml"
        wrong.write_text('[[shares]]\nid = "x"\n')
        with self.assertRaisesRegex(shares.DeclarationError, "shares x: expected the keys"):
            shares.load(wrong)


if __name__ == "__main__":
    unittest.main()
