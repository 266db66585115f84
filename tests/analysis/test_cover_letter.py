#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Figures in letters: those of the run, at the places that the letter names, in lines that fit."""

from __future__ import annotations

import contextlib
import io
import unittest
from pathlib import Path

import synthetic_results
from support import Folder, run_of  # noqa: I001  (puts analysis/ on the path)

import cover_letter
import shares
import units

PLACES = [shares.Place("erofs-dax", "6.1"), shares.Place("daxfs", "7.3")]
UPSTREAM = Path(__file__).resolve().parents[2] / "upstream"


class CoverLetter(Folder):
    def setUp(self):
        super().setUp()
        self.run = run_of(synthetic_results.axis_document())

    def test_each_figure_is_the_runs(self):
        text = cover_letter.table(self.run, PLACES)
        rows = [(key, row) for key, row in self.run.guest_rows.items() if key.kernel == "7.3"]
        self.assertGreater(len(rows), 3)
        for key, row in rows:
            if self.run.metric(key.metric).better < 0 and "daxfs" in row:
                self.assertIn(units.quantity(row["daxfs"].value, key.unit), text)

    def test_lines_fit_into_a_mail(self):
        for line in cover_letter.table(self.run, PLACES).splitlines():
            self.assertLessEqual(len(line), cover_letter.WIDTH)

    def test_places_that_the_run_has_not_are_an_error(self):
        with self.assertRaisesRegex(cover_letter.LetterError, "expected rows of .*no-such on 7.3, found"):
            cover_letter.table(self.run, [*PLACES, shares.Place("no-such", "7.3")])

    def test_a_letter_that_asks_for_nothing_is_an_error(self):
        with self.assertRaisesRegex(cover_letter.LetterError, "expected a line @FIGURES"):
            cover_letter.filled(self.run, "Subject: nothing\n")

    def test_letters_of_the_tree_get_theirs_from_the_reference(self):
        reference = UPSTREAM.parent / "results/reference/why-not-erofs-7.3.json"
        for letter in UPSTREAM.glob("*/cover-letter.txt"):
            with self.subTest(letter.parent.name), contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(cover_letter.main([str(reference), str(letter)]), 0)
                self.assertNotIn("@FIGURES", out.getvalue())
                self.assertLessEqual(max(map(len, out.getvalue().splitlines())), cover_letter.WIDTH)


if __name__ == "__main__":
    unittest.main()
