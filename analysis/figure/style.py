# SPDX-License-Identifier: Apache-2.0
"""How figures look: colours, sizes, and saving them so that equal input gives equal bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import NullLocator

# One column of a two-column paper, in inches: figures are drawn at the size they are read at.
COLUMN = 3.45
TALLEST = 9.0
TEXT = 6.5
TITLE = 8.0
# Heights of a line of text and of the title, and the margin of a figure, in inches.
LINE = 0.125
TITLE_LINE = 0.145
MARGIN = 0.06
FONT = "DejaVu Sans"
INK = "#222222"
QUIET = "#666666"

# Okabe and Ito: eight colours that the common colour blindnesses tell apart.
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
    "#808080", "#882255", "#999933", "#332288",
)  # fmt: skip
_MARKERS = "osD^vPX*<>hd"
_HATCHES = ("", "////", "....", "xxxx")

PARAMETERS = {
    "font.family": FONT,
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "hatch.linewidth": 0.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.hashsalt": "daxbench",
    "pdf.fonttype": 42,  # TrueType, embedded: type 3 is what conferences refuse
    "figure.dpi": 100,
    "savefig.dpi": 300,
}


@contextmanager
def context() -> Iterator[None]:
    """Everything that is drawn or saved must be so in here: texts take their size from it."""
    with matplotlib.rc_context(PARAMETERS):
        yield


@dataclass(frozen=True)
class Look:
    """What one filesystem looks like in every figure of a run."""

    colour: str
    marker: str
    hatch: str


def looks(filesystems: Sequence[str]) -> dict[str, Look]:
    """By position alone; beyond eight, hatch and marker tell equal colours apart."""
    return {
        name: Look(
            _COLOURS[i % len(_COLOURS)],
            _MARKERS[(i + i // len(_COLOURS)) % len(_MARKERS)],
            _HATCHES[i // len(_COLOURS) % len(_HATCHES)],
        )
        for i, name in enumerate(filesystems)
    }


@dataclass(frozen=True)
class Panel:
    """One set of axes: its heading ("" for none) and its height in inches."""

    title: str
    height: float


@cache
def width(text: str, points: float = TEXT, weight: str = "normal", slant: str = "normal") -> float:
    """Inches that `text` takes."""
    font = FontProperties(family=FONT, weight=weight, style=slant)
    font.set_size(points)
    across, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(across) / 72


def _wrapped(text: str, room: float, points: float, weight: str = "normal") -> list[str]:
    """`text` in lines of at most `room` inches; a word that is longer stands alone."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width(longer, points, weight) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


# A panel that is less wide than this, in inches, shows nothing.
NARROWEST = 1.2


def foot(figure: Figure, text: str) -> None:
    """Adds a line below everything."""
    height: float = figure.get_figheight()
    more = LINE
    figure.set_figheight(height + more)

    def moved(y: float) -> float:
        return (y * height + more) / (height + more)

    for axes in figure.axes:
        box = axes.get_position()
        axes.set_position((box.x0, moved(box.y0), box.width, box.height * height / (height + more)))
    for label in figure.texts:
        label.set_y(moved(label.get_position()[1]))
    figure.text(0.995, 0.03 / (height + more), text, ha="right", va="bottom", color=QUIET)


def page(
    title: str, notes: Sequence[str], panels: Sequence[Panel], left: float, bottom: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure with a title, notes below it, and panels in one column, or two when too tall.

    In one as wide as two where their labels leave the panels too little of a column.

    `left` is the room for labels left of each panel, `bottom` for those below it, in inches.
    """
    gap = 0.10 + bottom
    heights = [p.height + gap + (LINE + 0.03 if p.title else 0) for p in panels]
    columns = 1 if sum(heights) < TALLEST - 0.7 else 2
    across = COLUMN * columns
    if columns == 2 and COLUMN - left - MARGIN < NARROWEST:
        columns = 1
    each = across / columns
    titles = _wrapped(title, across - 2 * MARGIN, TITLE, "bold")
    lines = [line for note in notes for line in _wrapped(note, across - 2 * MARGIN, TEXT)]
    top = MARGIN + len(titles) * TITLE_LINE + len(lines) * LINE + 0.12
    split = _split(heights, columns)
    down = top + max(sum(heights[:split]), sum(heights[split:]))
    figure = Figure(figsize=(across, down), facecolor="white")

    def write(x: float, y: float, text: str, **how: object) -> None:
        figure.text(x / across, y / down, text, va="top", **how)

    y = down - MARGIN
    for line in titles:
        write(MARGIN, y, line, size=TITLE, weight="bold")
        y -= TITLE_LINE
    y -= 0.02
    for line in lines:
        write(MARGIN, y, line, color=QUIET)
        y -= LINE

    axes = []
    for column, shown in enumerate((panels[:split], panels[split:])):
        start, y = column * each, down - top
        for panel in shown:
            if panel.title:
                write(start + MARGIN, y, panel.title, weight="bold")
                y -= LINE + 0.03
            y -= panel.height
            box = (start + left, y, each - left - MARGIN, panel.height)
            axes.append(figure.add_axes((
                box[0] / across, box[1] / down, box[2] / across, box[3] / down
            )))  # fmt: skip
            y -= gap
    return figure, axes


def _split(heights: Sequence[float], columns: int) -> int:
    if columns == 1:
        return len(heights)
    return min(
        range(1, len(heights) + 1), key=lambda i: max(sum(heights[:i]), sum(heights[i:]))
    )


def label_room(names: Sequence[str]) -> float:
    """Inches for the longest of `names` left of an axis."""
    return 0.12 + max((width(name) for name in names), default=0.0)


# Inches of a legend's column left of its name: the point and the gaps around it.
_POINT = 0.17


def _per_line(names: Sequence[str]) -> int:
    """How many of `names`, one of them bold, stand beside each other in a legend."""
    widest = max((width(name, weight="bold") for name in names), default=0.0)
    return max(1, int((COLUMN - 2 * MARGIN) / (widest + _POINT)))


def legend_height(names: Sequence[str]) -> float:
    """Inches that legend() needs."""
    return math.ceil(len(names) / _per_line(names)) * LINE


def marks(shown: Mapping[str, Look]) -> dict[str, dict[str, object]]:
    """How axes.plot() draws one point of each."""
    return {name: {"marker": look.marker, "color": look.colour, "ls": "", "ms": 4, "mec": "white",
                   "mew": 0.4, "clip_on": False} for name, look in shown.items()}  # fmt: skip


def legend(
    axes: Axes,
    names: Sequence[str],
    points: Mapping[str, Mapping[str, object]],
    bold: str = "",
    down: float = 0.05,
) -> None:
    """A panel of its own with a point for each name, over the whole column; `points` as marks() has them.

    `down`: inches that it moves towards the next panel, as nothing is written below it.
    """
    per_line = _per_line(names)
    box = axes.get_position()
    across, high = axes.figure.get_size_inches()
    wide = (COLUMN - 2 * MARGIN) / across
    axes.set_position((box.x1 - wide, box.y0 - down / high, wide, box.height))
    axes.axis("off")
    axes.set_xlim(0, per_line)
    axes.set_ylim(math.ceil(len(names) / per_line) - 0.5, -0.5)
    for i, name in enumerate(names):
        x, y = i % per_line, i // per_line
        axes.plot([x + 0.05], [y], **points[name])
        axes.text(x + 0.05 + 0.07 * per_line / (COLUMN - 2 * MARGIN), y, name, va="center_baseline",
                  weight="bold" if name == bold else "normal")  # fmt: skip


def value_axis(axes: Axes, log: bool, unit: str = "") -> None:
    """Up: from 0, or logarithmic with numbers within what is drawn; bytes in steps of a power of two."""
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks(log_ticks(*axes.get_ylim()))
        return
    axes.set_ylim(bottom=0)
    high = axes.get_ylim()[1]
    if unit == "bytes" and high > 4:
        step = 2.0 ** (math.floor(math.log2(high)) - 2)
        axes.set_yticks([step * i for i in range(int(high / step) + 1)])


def log_ticks(low: float, high: float) -> list[float]:
    """Numbers within the limits of a logarithmic axis: powers of ten, or 1, 2 and 5 of each when few."""
    first = math.floor(math.log10(low))
    powers = range(first, math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
    return [step * 10.0**p for p in powers for step in steps if low <= step * 10.0**p <= high]


def bare(axes: Axes) -> None:
    """Only the line that bars stand on: their figures are written at them."""
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, pad=2)


# Without dates or versions in them.
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure, stem: Path, kinds: Sequence[str] = ("svg", "png")) -> None:
    """`stem`.KIND for each of "svg", "png", "pdf"."""
    for kind in kinds:
        figure.savefig(stem.with_name(f"{stem.name}.{kind}"), metadata=_METADATA[kind])
