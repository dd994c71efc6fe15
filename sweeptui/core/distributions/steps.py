"""Distributions whose values are rounded to multiples of `q`: the q_ ones of W&B's sweep files.

X is drawn from a continuum, and round(X / q) * q is tried. So the first and the last multiple may lie half a step
outside of the bounds of X, and have a smaller share of the axis. Where q is a whole number, so are the values.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from sweeptui.core.distributions.base import Range, finite_number
from sweeptui.core.distributions.continuous import LogUniform, Uniform
from sweeptui.core.distributions.discrete import Cells
from sweeptui.core.distributions.quantiles import Beta, Normal, Quantile, UnboundedLogNormal
from sweeptui.core.errors import FieldError

MAX_STEPS = 10**6
"""More, and the values would be nearer to each other than what their places can tell."""
DIGITS = 12


class Steps(Cells):
    """The multiples of `q` that a continuum reaches, in order."""

    kind = "integer"
    of: ClassVar[type[Range | Quantile]]
    """The continuum that is rounded."""

    def __init__(self, *, q: float, **shape: Any) -> None:
        step = finite_number("q", q)
        if step <= 0:
            raise FieldError("q", f"is {q!r}; it must be above 0")
        self.q = q
        self._continuum: Range | Quantile = self.of(**shape)
        for field in shape:
            setattr(self, field, getattr(self._continuum, field))
        low, high = self._continuum.min / step, self._continuum.max / step
        if high - low > MAX_STEPS:
            raise FieldError("q", f"is {q!r}, which makes more than {MAX_STEPS:,} values; choose a larger one")
        self._first = round(low)
        self.count = round(high) - self._first + 1

    def _value(self, index: int) -> float:
        multiple = (self._first + index) * self.q
        if isinstance(self.q, int) or multiple == 0:
            return multiple + 0
        return round(multiple, DIGITS - math.floor(math.log10(abs(multiple))))

    def _index(self, value: Any) -> int | None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return None
        index = round(value / self.q) - self._first
        return index if 0 <= index < self.count and self._value(index) == value else None

    def to_unit(self, value: Any) -> float:
        index = self._index(value)
        if index is None:
            raise self._refuse(value)
        middle = self._first + index
        return (self._edge((middle - 0.5) * self.q) + self._edge((middle + 0.5) * self.q)) / 2

    def _edge(self, x: float) -> float:
        """The place of a number of the continuum; of one beyond its ends, that end."""
        if x <= self._continuum.min:
            return 0.0
        return 1.0 if x >= self._continuum.max else self._continuum.to_unit(x)

    def from_unit(self, u: float) -> float:
        index = round(self._continuum.from_unit(u) / self.q) - self._first
        return self._value(min(self.count - 1, max(0, index)))


class QUniform(Steps):
    name = "q_uniform"
    arguments = ("min", "max", "q")
    of = Uniform


class QLogUniform(Steps):
    """`min` and `max` are values, not exponents."""

    name = "q_log_uniform_values"
    arguments = ("min", "max", "q")
    of = LogUniform


class QNormal(Steps):
    name = "q_normal"
    arguments = ("mu", "sigma", "q")
    of = Normal


class QLogNormal(Steps):
    name = "q_log_normal"
    arguments = ("mu", "sigma", "q")
    of = UnboundedLogNormal


class QBeta(Steps):
    name = "q_beta"
    arguments = ("a", "b", "q")
    of = Beta
