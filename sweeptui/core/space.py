"""The search space: named distributions, and the unit cube that optimizers work in."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sweeptui.core.conditions import WHEN, Conditions
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
    "when",
)  # fmt: skip
"""What a parameter may have."""
_TELLING = ("distribution", "min", "max", "values", "value")
"""The fields that make a mapping a parameter and not a group of them."""
MAX_COUNTED = 20_000
"""Values of deciding parameters that are gone through to count the configurations."""
CENTER_DRAWS = 256
_NOTHING = object()
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

    Each parameter but the constants has one axis of the unit cube, in order. A parameter that does not exist, by its
    condition, stands at the centre of its axis, so that all configurations without it are one point.
    """

    def __init__(
        self,
        distributions: Mapping[str, Distribution],
        constraints: Iterable[str] = (),
        conditions: Mapping[str, str] | None = None,
    ) -> None:
        """`constraints`: conditions such as "a < b" that every suggestion satisfies; `conditions`: under which a
        parameter exists. Raises `UserError` for others, and `FieldError` for conditions that cannot be."""
        self.distributions = dict(distributions)
        self.conditions = Conditions(conditions or {}, list(self.distributions))
        self.constraints = tuple(Constraint(text, list(self.distributions)) for text in constraints)
        self._cardinality: tuple[int | None] | None = None
        self._axes = {name: each for name, each in self.distributions.items() if not isinstance(each, Constant)}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], constraints: Iterable[str] = ()) -> Space:
        """A space from flat or nested parameters: distributions, `ParameterConfig`s, or mappings of their fields.

        Raises `FieldError`, and `UserError` for constraints.
        """
        found = leaves(parameters)
        conditions = {".".join(path): text for path, leaf in found if (text := _condition(leaf))}
        return cls({".".join(path): _distribution(path, leaf) for path, leaf in found}, constraints, conditions)

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
        """How many configurations there are, whatever the constraints; None for a continuum.

        Those that differ only in what does not exist are one. Where the deciding parameters have very many values it
        is a bound from above.
        """
        if self._cardinality is None:
            sizes = [each.cardinality for each in self.distributions.values()]
            whole = None if None in sizes else math.prod(size for size in sizes if size is not None)
            self._cardinality = (whole if whole is None or not self.conditions else self._counted(whole),)
        return self._cardinality[0]

    def _counted(self, whole: int) -> int:
        deciding = {name: self.distributions[name] for name in self.conditions.deciding}
        if math.prod(each.cardinality or 1 for each in deciding.values()) > MAX_COUNTED:
            return whole
        places = [[each.from_unit(u) for u in each.places() or [0.5]] for each in deciding.values()]
        center = {name: each.from_unit(each.center) for name, each in self.distributions.items()}
        counts: dict[str, int] = {}
        for values in itertools.product(*places):
            there = self.existing({**center, **dict(zip(deciding, values, strict=True))})
            decided = json.dumps([[name, there[name]] for name in deciding if name in there], sort_keys=True)
            counts[decided] = math.prod(
                self.distributions[name].cardinality or 1 for name in there if name not in deciding
            )
        return sum(counts.values())

    def encode(self, params: Params) -> list[float]:
        """The point of the unit cube for `params`.

        Raises `KeyError` for a parameter that is missing, and `ValueError` for a value outside of the space.
        """
        if not self.conditions:
            return [each.to_unit(params[name]) for name, each in self._axes.items()]
        there = self.full(self.existing(params))
        return [each.to_unit(there[name]) for name, each in self._axes.items()]

    def existing(self, params: Params) -> dict[str, Any]:
        """Those of `params` that exist under the conditions. What a condition names and `params` lacks does not."""
        return self.conditions.restricted(params)

    def full(self, params: Params) -> dict[str, Any]:
        """`params`, and for each parameter that does not exist the value that stands for it.

        Raises `KeyError` for a parameter that always exists and is missing.
        """
        absent = {
            name: self.distributions[name].from_unit(self.distributions[name].center)
            for name in self.conditions.of
            if name not in params
        }
        return {name: absent[name] if name in absent else params[name] for name in self.distributions}

    def decode(self, point: Sequence[float]) -> dict[str, Any]:
        """The parameters at a point, snapped to values that can be. One coordinate for each of `axes`."""
        if len(point) != len(self._axes):
            raise ValueError(f"a point of {len(point)} coordinates in a space of {len(self._axes)} axes")
        coordinates = dict(zip(self._axes, point, strict=True))
        return self.existing(
            {name: each.from_unit(coordinates.get(name, 0.0)) for name, each in self.distributions.items()}
        )

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
        """Whether all constraints hold. Observations for which they do not are still observations.

        A constraint that names a parameter that does not exist says nothing.
        """
        return all(
            constraint.holds(params)
            for constraint in self.constraints
            if not self.conditions or all(name in params for name in constraint.names)
        )

    def contains(self, params: Params) -> bool:
        """Whether `params` has a value inside the bounds for each parameter that exists, and nothing else.

        Asks no constraint.
        """
        there = self.existing({name: params.get(name, _NOTHING) for name in self.distributions})
        return there.keys() == params.keys() and self.covers(params)

    def covers(self, params: Params) -> bool:
        """Whether `params` has a value inside the bounds for each parameter that exists, whatever else it has."""
        there = self.existing({name: params.get(name, _NOTHING) for name in self.distributions})
        return all(value is not _NOTHING and self.distributions[name].contains(value) for name, value in there.items())

    def to_json(self) -> dict[str, Any]:
        whens = self.conditions.texts()
        fields: dict[str, Any] = {
            name: each.to_json() | ({WHEN: whens[name]} if name in whens else {})
            for name, each in self.distributions.items()
        }
        return fields | ({_CONSTRAINTS: [each.text for each in self.constraints]} if self.constraints else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        given = {name: dict(fields) for name, fields in data.items() if name != _CONSTRAINTS}
        conditions = {name: fields.pop(WHEN) for name, fields in given.items() if WHEN in fields}
        distributions = {name: distribution_from(fields) for name, fields in given.items()}
        return cls(distributions, data.get(_CONSTRAINTS, ()), conditions)

    def diff(self, other: Space) -> list[str]:
        """How `other` differs from this one, a readable line for each parameter."""
        return list(self._differences(other))

    def _differences(self, other: Space) -> Iterator[str]:
        mine, theirs = self.to_json(), other.to_json()
        for name, old in self.distributions.items():
            new = other.distributions.get(name)
            if new is None:
                yield f"{name} was removed"
            elif new != old or mine[name].get(WHEN) != theirs[name].get(WHEN):
                before, after = mine[name], theirs[name]
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
            and self.conditions.texts() == other.conditions.texts()
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


def _condition(leaf: Any) -> str:
    if isinstance(leaf, Distribution):
        return ""
    return str((leaf.get(WHEN) if isinstance(leaf, Mapping) else getattr(leaf, WHEN, None)) or "")


def _distribution(path: tuple[str, ...], leaf: Any) -> Distribution:
    if isinstance(leaf, Distribution):
        return leaf
    if isinstance(leaf, Describes):
        return leaf.to_distribution()
    try:
        return distribution_from({field: value for field, value in leaf.items() if field != WHEN})
    except FieldError as error:
        raise FieldError((*path, *error.path), error.problem) from None


def _word(fields: Mapping[str, Any], field: str) -> str:
    return str(fields[field]) if field in fields else "(none)"
