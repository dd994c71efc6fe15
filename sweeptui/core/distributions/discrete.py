"""A finite number of values: whole numbers, powers of two, choices, and one value alone."""

from __future__ import annotations

import bisect
import copy
import itertools
import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from sweeptui.core.distributions.base import Distribution, Range, clip, finite_number, json_text, jsonable
from sweeptui.core.errors import FieldError, shown

MAX_INTEGERS = 2**50
"""More cells than that, and a double could not tell their middles apart."""
MAX_LOG_INTEGER = 2**40
"""Larger ones would not survive the way to a logarithm and back."""


class Cells(Distribution):
    """A finite number of values, each with a share of the axis (an equal one) and its place in the middle."""

    count: int

    @abstractmethod
    def _index(self, value: Any) -> int | None:
        """Which of the values it is; None for none."""

    @abstractmethod
    def _value(self, index: int) -> Any: ...

    @property
    def cardinality(self) -> int:
        return self.count

    def places(self) -> list[float]:
        return [self.place(index) for index in range(self.count)]

    def place(self, index: int) -> float:
        return self.to_unit(self._value(index))

    def index(self, value: Any) -> int:
        index = self._index(value)
        if index is None:
            raise self._refuse(value)
        return index

    def contains(self, value: Any) -> bool:
        return self._index(value) is not None

    def to_unit(self, value: Any) -> float:
        index = self._index(value)
        if index is None:
            raise self._refuse(value)
        return (index + 0.5) / self.count

    def from_unit(self, u: float) -> Any:
        return self._value(min(self.count - 1, int(clip(u) * self.count)))


class Integer(Cells, Range):
    """A whole number, both bounds included."""

    name = "int_uniform"
    kind = "integer"

    def _check_bounds(self) -> None:
        for field, value in (("min", self.min), ("max", self.max)):
            if value != int(value):
                raise FieldError(field, f"is {value:g}; int_uniform needs whole numbers, uniform takes any")
        self.min, self.max = int(self.min), int(self.max)
        self.count = self.max - self.min + 1
        if self.count > MAX_INTEGERS:
            raise FieldError("max", f"is {self.max} and min is {self.min}; use log_normal for a range as wide as that")

    def _place(self, value: float) -> float:
        return clip((value - self.min + 0.5) / self.count)

    def _index(self, value: Any) -> int | None:
        if not isinstance(value, int) or isinstance(value, bool) or not self.min <= value <= self.max:
            return None
        return value - int(self.min)

    def _value(self, index: int) -> int:
        return int(self.min) + index


class LogInteger(Integer):
    """A whole number, evenly spread over orders of magnitude: for layer widths, batch sizes and epochs."""

    name = "int_log_normal"

    def _check_bounds(self) -> None:
        super()._check_bounds()
        if self.min < 1:
            raise FieldError("min", f"is {self.min}, which has no logarithm; it must be at least 1")
        if self.max > MAX_LOG_INTEGER:
            raise FieldError("max", f"is {self.max}, which is too wide for int_log_normal; use log_normal")
        # Half a step beyond each bound, so that the bounds get a whole cell as every other number does.
        self._low, self._span = math.log(self.min - 0.5), math.log((self.max + 0.5) / (self.min - 0.5))

    def _place(self, value: float) -> float:
        return clip((math.log(value) - self._low) / self._span)

    def to_unit(self, value: Any) -> float:
        if self._index(value) is None:
            raise self._refuse(value)
        return self._place(value)

    def from_unit(self, u: float) -> Any:
        nearest = round(math.exp(self._low + clip(u) * self._span))
        return int(min(self.max, max(self.min, nearest)))


class PowerOfTwo(Cells, Range):
    """A power of two inside the bounds, which need not be powers of two themselves."""

    name = "uniform_pow2"
    kind = "integer"

    def _check_bounds(self) -> None:
        if self.min <= 0:
            raise FieldError("min", f"is {self.min:g}; it must be above 0")
        mantissa, exponent = math.frexp(self.min)
        self._first = exponent - 1 if mantissa == 0.5 else exponent
        self.count = math.frexp(self.max)[1] - self._first
        if self.count < 1:
            raise FieldError("min", f"is {self.min:g} and max is {self.max:g}; there is no power of two between them")

    def _place(self, value: float) -> float:
        return clip((math.log2(value) - self._first + 0.5) / self.count)

    def _index(self, value: Any) -> int | None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.min <= value <= self.max:
            return None
        mantissa, exponent = math.frexp(value)
        return exponent - 1 - self._first if mantissa == 0.5 else None

    def _value(self, index: int) -> int | float:
        value: int | float = 2 ** (self._first + index)
        return value


class Choice(Cells):
    """One of some JSON values that have no order."""

    name = "categorical"
    kind = "categorical"
    arguments: ClassVar[tuple[str, ...]] = ("values",)

    def __init__(self, values: Iterable[Any]) -> None:
        if isinstance(values, str | bytes | dict) or not hasattr(values, "__iter__"):
            raise FieldError("values", f"is {shown(values)}; it must be a list")
        self.values = [jsonable("values", value) for value in values]
        self.count = len(self.values)
        self._indices = {json_text(value): index for index, value in enumerate(self.values)}
        if not self.values:
            raise FieldError("values", "is empty; give it at least one value")
        if len(self._indices) < self.count:
            raise FieldError("values", f"is {shown(self.values)}, which has a value twice; name each once")

    def _index(self, value: Any) -> int | None:
        try:
            return self._indices.get(json_text(value))
        except (TypeError, ValueError):
            return None

    def _value(self, index: int) -> Any:
        return copy.deepcopy(self.values[index])


class WeightedChoice(Choice):
    """One of some JSON values that have no order, each with its own share of the axis; a value without one is left out.

    Only what draws at random heeds the shares.
    """

    name = "categorical_w_probabilities"
    arguments = ("values", "probabilities")

    def __init__(self, values: Iterable[Any], probabilities: Iterable[float]) -> None:
        super().__init__(values)
        if isinstance(probabilities, str | bytes | dict) or not hasattr(probabilities, "__iter__"):
            raise FieldError("probabilities", f"is {shown(probabilities)}; it must be a list of numbers")
        self.probabilities = [finite_number("probabilities", each) for each in probabilities]
        if len(self.probabilities) != len(self.values):
            raise FieldError(
                "probabilities",
                f"has {len(self.probabilities)} numbers for {len(self.values)} values; give one each",
            )
        if min(self.probabilities) < 0 or not math.isclose(sum(self.probabilities), 1, abs_tol=1e-6):
            raise FieldError(
                "probabilities", f"is {shown(self.probabilities)}; they must not be negative, and their sum must be 1"
            )
        self._possible = [place for place, share in enumerate(self.probabilities) if share > 0]
        self._indices = {json_text(self.values[place]): index for index, place in enumerate(self._possible)}
        self.count = len(self._possible)
        shares = [self.probabilities[place] for place in self._possible]
        self._edges = [end / sum(shares) for end in itertools.accumulate(shares, initial=0.0)]

    def _value(self, index: int) -> Any:
        return super()._value(self._possible[index])

    def to_unit(self, value: Any) -> float:
        index = self.index(value)
        return (self._edges[index] + self._edges[index + 1]) / 2

    def from_unit(self, u: float) -> Any:
        return self._value(min(self.count, bisect.bisect_right(self._edges, clip(u))) - 1)


class Constant(Distribution):
    """Always the same JSON value: it is handed to every trial and takes no axis."""

    name = "constant"
    kind = "constant"
    arguments = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = jsonable("value", value)

    @property
    def cardinality(self) -> int:
        return 1

    def contains(self, value: Any) -> bool:
        try:
            return json_text(value) == json_text(self.value)
        except (TypeError, ValueError):
            return False

    def to_unit(self, value: Any) -> float:
        if not self.contains(value):
            raise self._refuse(value)
        return 0.5

    def from_unit(self, u: float) -> Any:
        del u
        return copy.deepcopy(self.value)
