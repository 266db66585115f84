# SPDX-License-Identifier: Apache-2.0
"""How a figure grows with a size: constant, logarithmic, linear, or by a power, whichever fits the points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONSTANT_WITHIN = 0.05  # largest over smallest, less one: what moves by less does not grow
FITS_WITHIN = 0.25  # the worst relative error of a model that is believed


@dataclass(frozen=True)
class Growth:
    """`model`: "constant", "logarithmic", "linear" or "power"; `error`: the worst relative one of a point."""

    model: str
    error: float
    exponent: float  # of the power law through the points (log-log)

    def __str__(self) -> str:
        if self.model == "power":
            return f"as n^{self.exponent:.2f}"
        return f"{self.model} (±{100 * self.error:.0f} %)" if self.error >= 0.005 else self.model


def fit(sizes: Sequence[float], values: Sequence[float]) -> Growth:
    """Of three points or more, sizes above 0. Least squares of relative errors, since both span decades."""
    if len(sizes) != len(values) or len(sizes) < 3 or min(sizes) <= 0:
        raise ValueError(f"expected three sizes above 0 or more, with a value each, got {list(sizes)} and"
                         f" {list(values)}")  # fmt: skip
    if min(values) <= 0:
        low, high = min(values), max(values)
        return Growth("constant" if low == high else "power", 0.0, 0.0 if low == high else math.nan)
    exponent = _slope([math.log(n) for n in sizes], [math.log(v) for v in values])
    if max(values) / min(values) - 1 <= CONSTANT_WITHIN:
        middle = (max(values) + min(values)) / 2
        return Growth("constant", max(abs(v - middle) / v for v in values), exponent)
    models = {"logarithmic": _errors(sizes, values, math.log), "linear": _errors(sizes, values, float)}
    name, errors = min(models.items(), key=lambda item: sum(e * e for e in item[1]))
    worst = max(errors)
    return Growth(name if worst <= FITS_WITHIN else "power", worst, exponent)


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


def _errors(sizes: Sequence[float], values: Sequence[float], shape: Callable[[float], float]) -> list[float]:
    """Relative errors of a + b·shape(n), fitted with weights 1/value²; of what falls, all of the value."""
    xs = [shape(n) for n in sizes]
    weights = [1 / (v * v) for v in values]
    total = sum(weights)
    x = sum(w * a for w, a in zip(weights, xs)) / total
    y = sum(w * v for w, v in zip(weights, values)) / total
    slope = (sum(w * (a - x) * (v - y) for w, a, v in zip(weights, xs, values))
             / sum(w * (a - x) ** 2 for w, a in zip(weights, xs)))  # fmt: skip
    if slope < 0:
        return [1.0] * len(values)
    return [abs(y + slope * (a - x) - v) / v for a, v in zip(xs, values)]
