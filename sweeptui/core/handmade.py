"""Configurations made by hand: as a user writes them, checked against the search space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeptui.core.distributions import Integer
from sweeptui.core.errors import UserError, hint, shown
from sweeptui.core.values import parse_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sweeptui.core.space import Distribution, Space
    from sweeptui.core.trial import Params

CENTER = "center"
BEST = "best"
MAX_LISTED = 12


def allowed(distribution: Distribution) -> str:
    """The values that a parameter can have, to go on after "it must be"."""
    fields = distribution.to_json()
    if distribution.kind == "constant":
        return f"{_plain(fields['value'])}, which is fixed"
    if distribution.kind == "continuous":
        return f"a number from {_plain(distribution.from_unit(0))} to {_plain(distribution.from_unit(1))}"
    if isinstance(distribution, Integer):
        return f"a whole number from {fields['min']} to {fields['max']}"
    values = choices(distribution)
    more = (distribution.cardinality or 0) - len(values)
    return f"one of {', '.join(map(_plain, values))}" + (f" and {more} more" if more else "")


def choices(distribution: Distribution) -> list[Any]:
    """The values of a parameter that has only some, in order; of many only the first."""
    count = distribution.cardinality
    if count is None:
        return []
    return [distribution.from_unit(distribution.place(index)) for index in range(min(count, MAX_LISTED))]


def problem(distribution: Distribution, value: Any) -> str:
    """Why a parameter cannot have this value, to go on after its name; empty where it can."""
    return "" if distribution.contains(value) else f"is {shown(value)}; it must be {allowed(distribution)}"


def read(distribution: Distribution, text: str) -> Any:
    """The value that was typed: JSON, or else the text; 1e3 is a whole number. `problem` says whether it may be."""
    value = parse_value(text)
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return next((each for each in (value, whole, text) if distribution.contains(each)), value)


def find_name(space: Space, name: str) -> str:
    """The parameter that is meant: by its whole path, or the end of it where only one ends so. Raises `UserError`."""
    if name in space.distributions:
        return name
    found = [path for path in space.names if path.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{name} is no parameter's whole name; it may be {' or '.join(found)}")
    last = [path.rpartition(".")[2] for path in space.names]
    near = hint(name, last if "." not in name else space.names)
    raise UserError(f"{name} is not a parameter of this sweep; {near}")


def read_settings(space: Space, words: Iterable[str]) -> dict[str, Any]:
    """`["lr=0.01", ...]` as checked values by whole path. Raises `UserError`."""
    edits: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise UserError(f"{word!r} is not a setting; write parameter=value")
        path = find_name(space, name)
        if path in edits:
            raise UserError(f"{path} is given twice; give it once")
        edits[path] = checked(space, path, read(space.distributions[path], text))
    return edits


def checked(space: Space, name: str, value: Any) -> Any:
    """The value as the search would write it: 0.0 for 0 where any number is searched. Raises `UserError`."""
    distribution = space.distributions[name]
    if wrong := problem(distribution, value):
        raise UserError(f"{name} {wrong}")
    if distribution.kind == "continuous":
        return float(value)
    return distribution.from_unit(distribution.to_unit(value))


def complete(space: Space, base: Params, edits: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A configuration from `edits` and, for what they leave out, `base`; `source` is what a message calls that.

    Raises `UserError` for an unknown parameter, a value outside of the space, a parameter that neither has, and a
    constraint that does not hold. A parameter that does not exist, by its condition, is left out.
    """
    named = {find_name(space, name): value for name, value in edits.items()}
    params: dict[str, Any] = {}
    absent: list[str] = []
    for name, distribution in space.distributions.items():
        if name in named:
            params[name] = checked(space, name, named[name])
        elif distribution.kind == "constant":
            params[name] = distribution.from_unit(0.5)
        elif name not in base and name in space.conditions.of:
            absent.append(name)
        elif name not in base:
            raise UserError(f"{name} is missing{f' in {source}' if source else ''}; give it {allowed(distribution)}")
        elif wrong := problem(distribution, base[name]):
            raise UserError(f"{name} {wrong} (it is taken from {source}); give it another value")
        else:
            params[name] = base[name]
    for name in absent:
        if name in space.existing({**params, **dict.fromkeys(absent)}):
            when, needed = space.conditions.of[name].text, allowed(space.distributions[name])
            raise UserError(f"{name} is missing, and there is one when {when}; give it {needed}")
    params = space.existing(params)
    for constraint in space.constraints:
        if all(name in params for name in constraint.names) and not constraint.holds(params):
            values = ", ".join(f"{name}={_plain(params[name])}" for name in constraint.names)
            raise UserError(f"{constraint.text} does not hold for {values}; change one of them")
    return params


def _plain(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)
