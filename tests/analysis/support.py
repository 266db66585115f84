# SPDX-License-Identifier: Apache-2.0
"""What the tests of the analysis share. Importing it puts analysis/ on the path."""

from __future__ import annotations

import contextlib
import copy
import io
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "analysis"))

import metrics  # noqa: E402
import results  # noqa: E402
import synthetic_results  # noqa: E402

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
