# SPDX-License-Identifier: Apache-2.0
"""LaTeX from figures: tables by booktabs, and macros, so that no number is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
            "×": r"$\times$", "÷": r"$\div$", "–": "--", "→": r"$\rightarrow$"}  # fmt: skip
_SPECIAL |= {c: "\\" + c for c in "&%$#_{}"}
_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_SPECIAL.get(c, c) for c in text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: int) -> list[str]:
    """A tabular with booktabs' rules; the last `right` columns are set flush right."""
    plain = len(heads) - right
    lines = [r"\begin{tabular}{" + "l" * plain + "r" * right + "}", r"\toprule"]
    lines += [" & ".join(escape(h) for h in heads) + r" \\", r"\midrule"]
    lines += [" & ".join(escape(cell) for cell in row) + r" \\" for row in rows]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def macro_name(*words: str) -> str:
    r"""Letters only, as \newcommand wants: ("erofs-dax-2m", "stat") gives ErofsDaxTwoMStat."""
    text = "-".join(words)
    text = re.sub(r"[0-9]", lambda m: f"-{_DIGITS[int(m[0])]}-", text)
    return "".join(w[:1].upper() + w[1:] for w in re.split(r"[^A-Za-z]+", text) if w)


def macro(name: str, value: str) -> str:
    return rf"\newcommand{{\{name}}}{{{escape(value)}}}"
