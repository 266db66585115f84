#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of growth.fit(): each shape is told from the others."""

from __future__ import annotations

import math
import unittest

import support  # noqa: F401  (the path to what is tested)
import growth

SIZES = [10, 1000, 100_000, 1_000_000]


class Fit(unittest.TestCase):
    def test_what_moves_little_is_constant(self):
        found = growth.fit(SIZES, [7000, 7010, 7100, 6990])
        self.assertEqual(found.model, "constant")
        self.assertEqual(str(found), "constant (±1 %)")

    def test_a_logarithm(self):
        found = growth.fit(SIZES, [100 + 50 * math.log(n) for n in SIZES])
        self.assertEqual((found.model, str(found)), ("logarithmic", "logarithmic"))

    def test_a_line_with_a_foot_is_linear(self):
        found = growth.fit(SIZES, [5000 + 3 * n for n in SIZES])
        self.assertEqual(found.model, "linear")
        self.assertLess(found.error, 1e-6)

    def test_a_square_root_is_neither(self):
        found = growth.fit(SIZES, [math.sqrt(n) for n in SIZES])
        self.assertEqual((found.model, str(found)), ("power", "as n^0.50"))

    def test_what_falls_is_not_said_to_grow(self):
        found = growth.fit(SIZES, [1000, 500, 200, 100])
        self.assertEqual(found.model, "power")
        self.assertLess(found.exponent, 0)

    def test_nothing_at_all_is_constant(self):
        self.assertEqual(growth.fit(SIZES, [0, 0, 0, 0]).model, "constant")

    def test_two_points_are_refused(self):
        with self.assertRaisesRegex(ValueError, "three sizes"):
            growth.fit([1, 2], [1, 2])


if __name__ == "__main__":
    unittest.main()
