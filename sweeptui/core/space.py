"""The search space: named distributions, and the unit cube that optimizers work in."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sweeptui.core.constraints import Constraint
from sweeptui.core.distributions import (
    Choice,
    Constant,
    Distribution,
    Integer,
    LogUniform,
    Uniform,
    distribution_from,
)
from sweeptui.core.errors import FieldError, hint, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sweeptui.core.trial import Params

__all__ = ["Choice", "Constant", "Distribution", "Integer", "LogUniform", "Space", "Uniform", "leaves"]

FIELDS = (
    "distribution", "min", "max", "mean", "scale", "values", "value", "mu", "sigma", "a", "b", "q", "probabilities",
)  # fmt: skip
"""What a parameter may have."""
_TELLING = ("distribution", "min", "max", "values", "value")
"""The fields that make a mapping a parameter and not a group of them."""
CENTER_DRAWS = 256
MAX_DRAWS = 20_000
_CONSTRAINTS = "=constraints"
"""Among a space's parameters in JSON; no parameter can be called so."""
_NAME = re.compile(r"[^\s=.{}-][^\s=.{}]*(\.[^\s=.{}-][^\s=.{}]*)*")


@runtime_checkable
class Describes(Protocol):
    """What stands for a distribution, such as a `ParameterConfig`."""

    def to_distribution(self) -> Distribution: ...


class Space:
    """An ordered mapping from parameter names to distributions.

    Each parameter but the constants has one axis of the unit cube, in order.
    """

    def __init__(self, distributions: Mapping[str, Distribution], constraints: Iterable[str] = ()) -> None:
        """`constraints`: conditions such as "a < b" that every suggestion satisfies. Raises `UserError` for others."""
        self.distributions = dict(distributions)
        self.constraints = tuple(Constraint(text, list(self.distributions)) for text in constraints)
        self._axes = {name: each for name, each in self.distributions.items() if not isinstance(each, Constant)}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], constraints: Iterable[str] = ()) -> Space:
        """A space from flat or nested parameters: distributions, `ParameterConfig`s, or mappings of their fields.

        Raises `FieldError`, and `UserError` for constraints.
        """
        return cls({".".join(path): _distribution(path, leaf) for path, leaf in leaves(parameters)}, constraints)

    @property
    def names(self) -> list[str]:
        """All parameters, the constants too."""
        return list(self.distributions)

    @property
    def axes(self) -> list[str]:
        """The parameters that have an axis, in the order of a point's coordinates."""
        return list(self._axes)

    @property
    def cardinality(self) -> int | None:
        """How many configurations there are, whatever the constraints; None for a continuum."""
        sizes = [each.cardinality for each in self.distributions.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def encode(self, params: Params) -> list[float]:
        """The point of the unit cube for `params`.

        Raises `KeyError` for a parameter that is missing, and `ValueError` for a value outside of the space.
        """
        return [each.to_unit(params[name]) for name, each in self._axes.items()]

    def decode(self, point: Sequence[float]) -> dict[str, Any]:
        """The parameters at a point, snapped to values that can be. One coordinate for each of `axes`."""
        if len(point) != len(self._axes):
            raise ValueError(f"a point of {len(point)} coordinates in a space of {len(self._axes)} axes")
        coordinates = dict(zip(self._axes, point, strict=True))
        return {name: each.from_unit(coordinates.get(name, 0.0)) for name, each in self.distributions.items()}

    def center(self) -> dict[str, Any]:
        """Where the search starts: each parameter's mean, or the middle of its axis.

        Where the constraints forbid that, what is nearest to it of `CENTER_DRAWS` random points that they allow.
        """
        middle = [each.center for each in self._axes.values()]
        params = self.decode(middle)
        if self.allows(params):
            return params
        rng = random.Random(0)  # noqa: S311 - not cryptography
        drawn = [self.sample(rng) for _ in range(CENTER_DRAWS)]
        return min(drawn, key=lambda each: math.dist(self.encode(each), middle))

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """A point drawn uniformly from the part of the cube that the constraints allow.

        Raises `RuntimeError` where they allow so little that it cannot be found by chance.
        """
        for _ in range(MAX_DRAWS if self.constraints else 1):
            params = self.decode([rng.random() for _ in self._axes])
            if self.allows(params):
                return params
        raise RuntimeError(f"none of {MAX_DRAWS:,} random configurations satisfies the constraints")

    def allows(self, params: Params) -> bool:
        """Whether all constraints hold. Observations for which they do not are still observations."""
        return all(constraint.holds(params) for constraint in self.constraints)

    def contains(self, params: Params) -> bool:
        """Whether `params` has a value inside the bounds for each parameter, and nothing else. Asks no constraint."""
        return params.keys() == self.distributions.keys() and all(
            each.contains(params[name]) for name, each in self.distributions.items()
        )

    def to_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {name: each.to_json() for name, each in self.distributions.items()}
        return fields | ({_CONSTRAINTS: [each.text for each in self.constraints]} if self.constraints else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        distributions = {name: distribution_from(fields) for name, fields in data.items() if name != _CONSTRAINTS}
        return cls(distributions, data.get(_CONSTRAINTS, ()))

    def diff(self, other: Space) -> list[str]:
        """How `other` differs from this one, a readable line for each parameter."""
        return list(self._differences(other))

    def _differences(self, other: Space) -> Iterator[str]:
        for name, old in self.distributions.items():
            new = other.distributions.get(name)
            if new is None:
                yield f"{name} was removed"
            elif new != old:
                before, after = old.to_json(), new.to_json()
                changed = [field for field in FIELDS if before.get(field) != after.get(field)]
                words = (f"{field} {_word(before, field)} -> {_word(after, field)}" for field in changed)
                yield f"{name}: {', '.join(words)}"
        for name in other.distributions:
            if name not in self.distributions:
                yield f"{name} was added"
        for constraint in self.constraints:
            if constraint not in other.constraints:
                yield f"the constraint {constraint.text!r} was removed"
        for constraint in other.constraints:
            if constraint not in self.constraints:
                yield f"the constraint {constraint.text!r} was added"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Space)
            and list(self.distributions.items()) == list(other.distributions.items())
            and self.constraints == other.constraints
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Space({self.distributions!r})"


def leaves(parameters: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """The parameters of flat or nested ones, each with the keys that lead to it; joined by dots they are its name.

    Raises `FieldError` for a name that cannot be or that is given twice, and for what is neither parameter nor group.
    """
    found: list[tuple[tuple[str, ...], Any]] = list(_walk((), parameters))
    names: set[str] = set()
    for path, _ in found:
        name = ".".join(path)
        if name in names:
            raise FieldError(path, "is given twice, flat and nested; remove one of the two")
        names.add(name)
    return found


def _walk(path: tuple[str, ...], node: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in node.items():
        here = (*path, str(key))
        if not isinstance(key, str) or not _NAME.fullmatch(key):
            raise FieldError(here, f"cannot be a parameter's name ({key!r}); use words joined by dots, no spaces, no =")
        if _is_leaf(value):
            yield here, value
        elif not isinstance(value, Mapping):
            near = hint(key, FIELDS)
            fix = near if near.startswith("did") else "give it min and max, or values, or value"
            raise FieldError(here, f"is {shown(value)}, which is no parameter; {fix}")
        elif not value:
            raise FieldError(here, "is an empty group; remove it, or give it min and max, or values, or value")
        else:
            yield from _walk(here, value)


def _is_leaf(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(
            field in value and not isinstance(value[field], Mapping | Distribution | Describes) for field in _TELLING
        )
    return isinstance(value, Distribution | Describes)


def _distribution(path: tuple[str, ...], leaf: Any) -> Distribution:
    if isinstance(leaf, Distribution):
        return leaf
    if isinstance(leaf, Describes):
        return leaf.to_distribution()
    try:
        return distribution_from(leaf)
    except FieldError as error:
        raise FieldError((*path, *error.path), error.problem) from None


def _word(fields: Mapping[str, Any], field: str) -> str:
    return str(fields[field]) if field in fields else "(none)"
