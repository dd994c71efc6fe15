"""The parameters of a W&B sweep file, each with W&B's own meaning.

What is allowed and what it means follows the JSON schema and the sampling code of github.com/wandb/sweeps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeptui.core.distributions import distribution_from
from sweeptui.core.distributions.base import finite_number
from sweeptui.core.errors import FieldError, hint, shown

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
MAX_EXPONENT = 700.0
"""Of e: what floats reach."""

Fields = dict[str, Any]


@dataclass
class Parameters:
    """The search space of a sweep file."""

    flat: dict[str, Fields] = field(default_factory=dict)
    """By dotted name: what `distribution_from` takes."""
    nested: dict[str, list[str]] = field(default_factory=dict)
    """The groups of those that are nested, and their own name."""


def read_parameters(data: Any) -> Parameters:
    """The parameters of a file. Raises `FieldError`, its path leading through the file."""
    found = Parameters()
    for path, keys, spec in _walk(("parameters",), (), data):
        name = ".".join(keys)
        if name in found.flat:
            raise FieldError(path, f"is a second parameter called {name!r}; rename one of the two")
        try:
            found.flat[name] = _translate(spec)
        except FieldError as error:
            raise FieldError((*path, *error.path), error.problem) from None
        if len(keys) > 1:
            found.nested[name] = list(keys)
    return found


def _walk(
    path: tuple[str, ...], keys: tuple[str, ...], group: Any
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], Mapping[str, Any]]]:
    if not isinstance(group, Mapping) or not group:
        raise FieldError(path, f"is {shown(group)}; it must name at least one parameter, with min and max, or values")
    for key, spec in group.items():
        if not isinstance(key, str) or not NAME.fullmatch(key) or key.endswith(".") or ".." in key:
            raise FieldError(
                (*path, str(key)), f"cannot be a parameter's name ({key!r}); use letters, digits, _, - and ."
            )
        here = (*path, key)
        if not isinstance(spec, Mapping):
            raise FieldError(here, f"is {shown(spec)}; it must be a mapping with min and max, or values, or value")
        if "parameters" in spec:
            for other in spec:
                if other != "parameters":
                    raise FieldError(
                        (*here, str(other)), "stands beside parameters, which takes nothing else; remove it"
                    )
            yield from _walk((*here, "parameters"), (*keys, key), spec["parameters"])
        else:
            yield here, (*keys, key), spec


def _translate(spec: Mapping[str, Any]) -> Fields:
    given = dict(spec)
    name = given.pop("distribution", None)
    if name is None:
        name = _implied(given)
    if not isinstance(name, str) or name not in _DISTRIBUTIONS:
        raise FieldError("distribution", f"is {shown(name)}; {hint(str(name), _DISTRIBUTIONS)}")
    required, optional, make = _DISTRIBUTIONS[name]
    for key in given:
        if key not in required and key not in optional:
            known = [*required, *optional, "distribution"]
            raise FieldError(str(key), f"is not a key of {name}; {hint(str(key), known)}")
    for key in required:
        if key not in given:
            raise FieldError(key, f"is missing; {name} needs {' and '.join(required)}")
    for key, value in given.items():
        if key not in ("value", "values") and isinstance(value, str):
            raise FieldError(key, f"is {value!r}, which is text{_in_yaml(value)}; it must be a number")
    fields = make({**optional, **given})
    distribution_from(fields)
    return fields


def _in_yaml(text: str) -> str:
    """Why YAML takes for text what looks like a number."""
    try:
        float(text)
    except ValueError:
        return ""
    return " in YAML, where 1e-5 has to be written 1.0e-5"


def _implied(given: Mapping[str, Any]) -> str:
    if "probabilities" in given:
        return "categorical_w_probabilities"
    if "values" in given:
        return "categorical"
    if "value" in given:
        return "constant"
    if "min" not in given and "max" not in given:
        raise FieldError("distribution", "is missing, and nothing tells it; give min and max, or values, or value")
    bounds = [given.get("min"), given.get("max")]
    whole = all(isinstance(bound, int) and not isinstance(bound, bool) for bound in bounds)
    return "int_uniform" if whole else "uniform"


def _as(name: str) -> Callable[[Fields], Fields]:
    """The same arguments under one of our own distributions' names."""
    return lambda given: {"distribution": name, **given}


def _exponents(make: Callable[[Fields], Fields]) -> Callable[[Fields], Fields]:
    def raised(given: Fields) -> Fields:
        for key in ("min", "max"):
            exponent = finite_number(key, given[key])
            if abs(exponent) > MAX_EXPONENT:
                raise FieldError(key, f"is {given[key]!r}, an exponent of e beyond all floats; *_values takes values")
        if given["min"] >= given["max"]:
            raise FieldError("min", f"is {given['min']!r} and max is {given['max']!r}; min must be below max")
        return make({**given, "min": math.exp(given["min"]), "max": math.exp(given["max"])})

    return raised


def _inverse_exponents(given: Fields) -> Fields:
    # log(1/X) is uniform from min to max, so log(X) is from -max to -min.
    low, high = (finite_number(key, given[key]) for key in ("min", "max"))
    try:
        return _exponents(_as("log_normal"))({"min": -high, "max": -low})
    except FieldError as error:
        other = {"min": "max", "max": "min"}[error.path[0]]
        raise FieldError(other, f"is {given[other]!r}, and log(1/X) lies between the two; {error.problem}") from None


_MU_SIGMA = {"mu": 0.0, "sigma": 1.0}
_A_B = {"a": 1.0, "b": 1.0}
_Q = {"q": 1}
_BOUNDS = ("min", "max")

_DISTRIBUTIONS: dict[str, tuple[tuple[str, ...], Fields, Callable[[Fields], Fields]]] = {
    "constant": (("value",), {}, _as("constant")),
    "categorical": (("values",), {}, _as("categorical")),
    "categorical_w_probabilities": (("values", "probabilities"), {}, _as("categorical_w_probabilities")),
    "int_uniform": (_BOUNDS, {}, _as("int_uniform")),
    "uniform": (_BOUNDS, {}, _as("uniform")),
    "q_uniform": (_BOUNDS, _Q, _as("q_uniform")),
    "log_uniform": (_BOUNDS, {}, _exponents(_as("log_normal"))),
    "log_uniform_values": (_BOUNDS, {}, _as("log_normal")),
    "q_log_uniform": (_BOUNDS, _Q, _exponents(_as("q_log_uniform_values"))),
    "q_log_uniform_values": (_BOUNDS, _Q, _as("q_log_uniform_values")),
    "inv_log_uniform": (_BOUNDS, {}, _inverse_exponents),
    # log(1/X) is uniform between log(1/max) and log(1/min): so is log(X) between log(min) and log(max).
    "inv_log_uniform_values": (_BOUNDS, {}, _as("log_normal")),
    "normal": ((), _MU_SIGMA, _as("normal")),
    "q_normal": ((), {**_MU_SIGMA, **_Q}, _as("q_normal")),
    "log_normal": ((), _MU_SIGMA, _as("unbounded_log_normal")),
    "q_log_normal": ((), {**_MU_SIGMA, **_Q}, _as("q_log_normal")),
    "beta": ((), _A_B, _as("beta")),
    "q_beta": ((), {**_A_B, **_Q}, _as("q_beta")),
}
"""W&B's name -> (what it needs, what it may have besides and then has, what it is to us)."""
