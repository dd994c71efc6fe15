"""What all distributions have in common."""

from __future__ import annotations

import json
import math
import sys
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from sweeptui.core.errors import FieldError, shown

Kind = Literal["continuous", "integer", "categorical", "constant"]
Scale = float | Literal["auto", "time"]

AUTO_SCALE = 0.5
OPTIONAL = ("mean", "scale")


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

    def place(self, index: int) -> float:
        """Where the value with that index lies, from 0; only where there is a `cardinality`."""
        raise TypeError(f"{self!r} has no {index}th value")

    def index(self, value: Any) -> int:
        """Which of the values it is, from 0. Raises `ValueError` for a value that is not one of this distribution."""
        raise TypeError(f"{self!r} has no end of values, of which {value!r} is one")

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
        return isinstance(other, Distribution) and json_text(self.to_json()) == json_text(other.to_json())

    def __hash__(self) -> int:
        return hash(json_text(self.to_json()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.arguments)})"

    def _refuse(self, value: Any) -> ValueError:
        return ValueError(f"{shown(value)} is no value of {self!r}")


class Range(Distribution):
    """What lies between two bounds, both included."""

    arguments = ("min", "max", *OPTIONAL)

    def __init__(self, min: float, max: float, mean: float | None = None, scale: Scale = "auto") -> None:  # noqa: A002
        self.min, self.max = finite_number("min", min), finite_number("max", max)
        if self.min >= self.max:
            raise FieldError("min", f"is {min!r} and max is {max!r}; min must be below max")
        self._check_bounds()
        self.mean = None if mean is None else finite_number("mean", mean)
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
        radius = finite_number("scale", scale)
        if radius <= 0:
            raise FieldError("scale", f"is {scale!r}; it must be above 0")
        return radius

    @property
    def center(self) -> float:
        return 0.5 if self.mean is None else self._place(self.mean)

    @abstractmethod
    def _place(self, value: float) -> float:
        """Where on the unit axis a number between the bounds lies."""


def jsonable(field: str, value: Any) -> Any:
    """The value as it is after a trip through JSON. Raises `FieldError` where JSON cannot hold it."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise FieldError(
            field, f"is {shown(value)}, which JSON cannot hold; use numbers, text, booleans, None, lists and mappings"
        ) from None


def finite_number(field: str, value: Any) -> float:
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


def clip(u: float) -> float:
    return min(1.0, max(0.0, u))


def json_text(value: Any) -> str:
    """Equal for values that are the same in JSON: 1, 1.0, true and "1" are four."""
    return json.dumps(value, sort_keys=True, allow_nan=False)
