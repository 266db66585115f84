#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Functions in C files, and the lines of those that ran."""

from __future__ import annotations

import unittest

import support  # noqa: F401

import source_lines

TEXT = '''
#include <linux/fs.h>
#define TWICE(x) ({ \\
    (x) + (x); })

static const struct ops ops = {
    .open = f,
};

struct s { int a; };

/* A comment with a brace { in it. */
static inline int helper(int a)
{
    return a + '{';    // }
}

__printf(1, 2) static int
f(struct s *a, int (*call)(int))
{
    /* nothing
       here */
    if (a) {
        say("}{");

        return helper(a->a);
    }
    return 0;
}

int g(void) { return f(0, 0); }
'''


class Functions(unittest.TestCase):
    def test_extents(self) -> None:
        found = source_lines.functions_in(TEXT)
        self.assertEqual({name: f.lines for name, f in found.items()}, {"helper": 4, "f": 9, "g": 1})

    def test_what_was_inlined_counts(self) -> None:
        known = source_lines.functions_in(TEXT)
        counted = source_lines.count({"f", "elsewhere"}, {"f", "g"}, known)
        self.assertEqual((counted.functions, counted.inlined, counted.lines), (1, 1, 13))
        self.assertEqual(counted.missing, ["elsewhere"])

    def test_what_has_a_symbol_was_not_inlined(self) -> None:
        known = source_lines.functions_in(TEXT)
        self.assertEqual(source_lines.count({"g"}, {"f", "g"}, known).lines, 1)


if __name__ == "__main__":
    unittest.main()
