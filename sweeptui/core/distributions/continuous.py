"""Numbers that fill a range."""

from __future__ import annotations

import math
import sys
from abc import abstractmethod
from typing import Any

from sweeptui.core.distributions.base import Range, Scale
from sweeptui.core.errors import FieldError

ABOVE_ZERO, BELOW_ONE = sys.float_info.min, 1 - 2**-53
DIGITS = 12


class _Continuous(Range):
    kind = "continuous"

    def contains(self, value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.min <= value <= self.max

    def to_unit(self, value: Any) -> float:
        if not self.contains(value):
            raise self._refuse(value)
        return self._place(float(value))

    def _place(self, value: float) -> float:
        if value in (self.min, self.max):
            return float(value == self.max)
        # 0 and 1 themselves stand for the bounds, however near to one a value lies.
        return min(BELOW_ONE, max(ABOVE_ZERO, self._forward(value)))

    def from_unit(self, u: float) -> float:
        if not 0 < u < 1:
            return self.max if u >= 1 else self.min
        return min(self.max, max(self.min, self._backward(u)))

    @abstractmethod
    def _forward(self, value: float) -> float:
        """Increasing: 0 at `min` and 1 at `max`, but for rounding."""

    @abstractmethod
    def _backward(self, u: float) -> float:
        """The inverse of `_forward`, snapped."""


class Uniform(_Continuous):
    """A float, evenly spread."""

    name = "uniform"

    def _check_bounds(self) -> None:
        if not math.isfinite(self.max - self.min):
            raise FieldError("max", f"is {self.max:g} and min is {self.min:g}; they are too far apart for a float")

    def _forward(self, value: float) -> float:
        return (value - self.min) / (self.max - self.min)

    def _backward(self, u: float) -> float:
        span = self.max - self.min
        # Adding 0.0 makes 0.0 of -0.0.
        return round(self.min + u * span, DIGITS - math.floor(math.log10(span))) + 0.0


class LogUniform(_Continuous):
    """A float, evenly spread over orders of magnitude: for learning rates and the like."""

    name = "log_normal"

    def _check_bounds(self) -> None:
        if self.min <= 0:
            raise FieldError("min", f"is {self.min:g}, which has no logarithm; it must be above 0")
        if not math.isfinite(self.max / self.min):
            raise FieldError("max", f"is {self.max:g} and min is {self.min:g}; they are too far apart for a float")

    def _radius(self, scale: Scale) -> float:
        if scale == "time":
            return 1 / (math.log2(self.max) - math.log2(self.min))
        return super()._radius(scale)

    def _forward(self, value: float) -> float:
        return math.log(value / self.min) / math.log(self.max / self.min)

    def _backward(self, u: float) -> float:
        return _significant(self.min * math.exp(u * math.log(self.max / self.min)))


class Logit(_Continuous):
    """A float strictly between 0 and 1, evenly spread over log(p / (1 - p)): fine near 0 and near 1."""

    name = "logit_normal"

    def _check_bounds(self) -> None:
        for field, value in (("min", self.min), ("max", self.max)):
            if not 0 < value < 1:
                raise FieldError(field, f"is {value:g}; it must lie strictly between 0 and 1")

    def _forward(self, value: float) -> float:
        low = _logit(self.min)
        return (_logit(value) - low) / (_logit(self.max) - low)

    def _backward(self, u: float) -> float:
        low = _logit(self.min)
        t = low + u * (_logit(self.max) - low)
        odds = math.exp(-abs(t))
        smaller = odds / (1 + odds)
        if t < 0:
            return _significant(smaller)
        # Near 1 it is the distance to 1 that counts.
        return round(1 - smaller, DIGITS - 1 - math.floor(math.log10(smaller)))


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
