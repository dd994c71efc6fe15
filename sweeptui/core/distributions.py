"""The distributions a parameter can have: each maps its values to the unit interval and back.

`from_unit` takes any number: it is clipped to [0, 1] and snapped to a value inside the bounds. Continuous values are
snapped to `DIGITS` digits, so that what a float loses on the way to the axis and back never shows:
`from_unit(to_unit(v)) == v` for the bounds, for all that `from_unit` gives, and for every value with no more digits.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sweeptui.core.errors import FieldError, hint, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = Literal["continuous", "integer", "categorical", "constant"]
Scale = float | Literal["auto", "time"]

AUTO_SCALE = 0.5
ABOVE_ZERO, BELOW_ONE = sys.float_info.min, 1 - 2**-53
DIGITS = 12
OPTIONAL = ("mean", "scale")
MAX_INTEGERS = 2**50
"""More cells than that, and a double could not tell their middles apart."""
MAX_LOG_INTEGER = 2**40
"""Larger ones would not survive the way to a logarithm and back."""


class Distribution(ABC):
    """The values of one parameter, and their places on an axis from 0 to 1. Not to be changed once made.

    Its constructor raises `FieldError` for arguments that make no sense, the argument being the field.
    """

    name: ClassVar[str]
    """How a configuration calls it."""
    kind: ClassVar[Kind]
    arguments: ClassVar[tuple[str, ...]]
    """What the constructor takes, each kept as an attribute."""

    scale: float = AUTO_SCALE
    """How far a search around a good value reaches, on an axis from -1 to 1."""

    @property
    def center(self) -> float:
        """Where the search starts, on the unit axis."""
        return 0.5

    @property
    def cardinality(self) -> int | None:
        """How many values there are; None for a continuum."""
        return None

    def places(self) -> list[float]:
        """Where each of the values lies, ascending; empty for a continuum."""
        return []

    @abstractmethod
    def contains(self, value: Any) -> bool: ...

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """The value's place, in [0, 1]. Raises `ValueError` for a value that is not one of this distribution."""

    @abstractmethod
    def from_unit(self, u: float) -> Any:
        """The value at `u`, always inside the bounds."""

    def to_json(self) -> dict[str, Any]:
        """What `distribution_from` makes an equal one of."""
        given = {name: getattr(self, name) for name in self.arguments}
        return {"distribution": self.name} | {k: v for k, v in given.items() if v is not None or k == "value"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Distribution) and _text(self.to_json()) == _text(other.to_json())

    def __hash__(self) -> int:
        return hash(_text(self.to_json()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.arguments)})"

    def _refuse(self, value: Any) -> ValueError:
        return ValueError(f"{shown(value)} is no value of {self!r}")


class _Range(Distribution):
    """What lies between two bounds, both included."""

    arguments = ("min", "max", *OPTIONAL)

    def __init__(self, min: float, max: float, mean: float | None = None, scale: Scale = "auto") -> None:  # noqa: A002
        self.min, self.max = _number("min", min), _number("max", max)
        if self.min >= self.max:
            raise FieldError("min", f"is {min!r} and max is {max!r}; min must be below max")
        self._check_bounds()
        self.mean = None if mean is None else _number("mean", mean)
        if self.mean is not None and not self.min <= self.mean <= self.max:
            raise FieldError("mean", f"is {mean!r}; it must lie between min ({min!r}) and max ({max!r})")
        self.scale = self._radius(scale)

    def _check_bounds(self) -> None:
        """Raise `FieldError` for bounds that this axis cannot have."""

    def _radius(self, scale: Scale) -> float:
        if scale == "auto":
            return AUTO_SCALE
        if scale == "time":
            raise FieldError("scale", "is 'time', which only log_normal has; use 'auto' or a number above 0")
        if isinstance(scale, str):
            raise FieldError("scale", f"is {scale!r}; it must be 'auto', 'time' or a number above 0")
        radius = _number("scale", scale)
        if radius <= 0:
            raise FieldError("scale", f"is {scale!r}; it must be above 0")
        return radius

    @property
    def center(self) -> float:
        return 0.5 if self.mean is None else self._place(self.mean)

    @abstractmethod
    def _place(self, value: float) -> float:
        """Where on the unit axis a number between the bounds lies."""


class _Continuous(_Range):
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


class _Cells(Distribution):
    """A finite number of values, each with an equal share of the axis and its own place in the middle of its share."""

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
        return [self.to_unit(self._value(index)) for index in range(self.count)]

    def contains(self, value: Any) -> bool:
        return self._index(value) is not None

    def to_unit(self, value: Any) -> float:
        index = self._index(value)
        if index is None:
            raise self._refuse(value)
        return (index + 0.5) / self.count

    def from_unit(self, u: float) -> Any:
        return self._value(min(self.count - 1, int(_clip(u) * self.count)))


class Integer(_Cells, _Range):
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
        return _clip((value - self.min + 0.5) / self.count)

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
        return _clip((math.log(value) - self._low) / self._span)

    def to_unit(self, value: Any) -> float:
        if self._index(value) is None:
            raise self._refuse(value)
        return self._place(value)

    def from_unit(self, u: float) -> Any:
        nearest = round(math.exp(self._low + _clip(u) * self._span))
        return int(min(self.max, max(self.min, nearest)))


class PowerOfTwo(_Cells, _Range):
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
        return _clip((math.log2(value) - self._first + 0.5) / self.count)

    def _index(self, value: Any) -> int | None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.min <= value <= self.max:
            return None
        mantissa, exponent = math.frexp(value)
        return exponent - 1 - self._first if mantissa == 0.5 else None

    def _value(self, index: int) -> int | float:
        value: int | float = 2 ** (self._first + index)
        return value


class Choice(_Cells):
    """One of some JSON values that have no order."""

    name = "categorical"
    kind = "categorical"
    arguments = ("values",)

    def __init__(self, values: Iterable[Any]) -> None:
        if isinstance(values, str | bytes | dict) or not hasattr(values, "__iter__"):
            raise FieldError("values", f"is {shown(values)}; it must be a list")
        self.values = [jsonable("values", value) for value in values]
        self.count = len(self.values)
        self._indices = {_text(value): index for index, value in enumerate(self.values)}
        if not self.values:
            raise FieldError("values", "is empty; give it at least one value")
        if len(self._indices) < self.count:
            raise FieldError("values", f"is {shown(self.values)}, which has a value twice; name each once")

    def _index(self, value: Any) -> int | None:
        try:
            return self._indices.get(_text(value))
        except (TypeError, ValueError):
            return None

    def _value(self, index: int) -> Any:
        return copy.deepcopy(self.values[index])


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
            return _text(value) == _text(self.value)
        except (TypeError, ValueError):
            return False

    def to_unit(self, value: Any) -> float:
        if not self.contains(value):
            raise self._refuse(value)
        return 0.5

    def from_unit(self, u: float) -> Any:
        del u
        return copy.deepcopy(self.value)


DISTRIBUTIONS: dict[str, type[Distribution]] = {
    each.name: each for each in (Uniform, Integer, LogInteger, LogUniform, PowerOfTwo, Logit, Choice, Constant)
}
"""By the name that a configuration uses. A new distribution is added here and nowhere else."""


def distribution_from(data: Mapping[str, Any]) -> Distribution:
    """The distribution that a mapping describes, guessed from its other fields where it names none.

    Raises `FieldError`.
    """
    arguments = dict(data)
    name = arguments.pop("distribution", None) or _implied(arguments)
    if not isinstance(name, str) or name not in DISTRIBUTIONS:
        raise FieldError("distribution", f"is {shown(name)}; {hint(str(name), DISTRIBUTIONS)}")
    made = DISTRIBUTIONS[name]
    for field in arguments:
        if field not in made.arguments:
            raise FieldError(field, f"is set, but {name} has only {' and '.join(made.arguments)}; remove it")
    required = [field for field in made.arguments if field not in OPTIONAL]
    for field in required:
        if field not in arguments:
            raise FieldError(field, f"is missing; {name} needs {' and '.join(required)}")
    return made(**arguments)


def jsonable(field: str, value: Any) -> Any:
    """The value as it is after a trip through JSON. Raises `FieldError` where JSON cannot hold it."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise FieldError(
            field, f"is {shown(value)}, which JSON cannot hold; use numbers, text, booleans, None, lists and mappings"
        ) from None


def _implied(arguments: Mapping[str, Any]) -> str:
    if "values" in arguments:
        return Choice.name
    if "value" in arguments:
        return Constant.name
    whole = all(isinstance(arguments.get(name), int) for name in ("min", "max"))
    return Integer.name if whole else Uniform.name


def _number(field: str, value: Any) -> float:
    if isinstance(value, str):
        raise FieldError(field, f"is {value!r}; it must be a number, not text in quotes")
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and (abs(value) > sys.float_info.max or float(value) != value)
    ):
        raise FieldError(field, f"is {shown(value)}, which is too large to be exact; use fewer than 16 digits")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(field, f"is {shown(value)}; it must be a finite number")
    return float(value)


def _clip(u: float) -> float:
    return min(1.0, max(0.0, u))


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _text(value: Any) -> str:
    """Equal for values that are the same in JSON: 1, 1.0, true and "1" are four."""
    return json.dumps(value, sort_keys=True, allow_nan=False)
