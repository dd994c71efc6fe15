"""The distributions a parameter can have: each maps its values to the unit interval and back.

`from_unit` takes any number: it is clipped to [0, 1] and snapped to a value inside the bounds. Continuous values are
snapped to `DIGITS` digits, so that what a float loses on the way to the axis and back never shows:
`from_unit(to_unit(v)) == v` for the bounds, for all that `from_unit` gives, and for every value with no more digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeptui.core.distributions.base import OPTIONAL, Distribution, jsonable
from sweeptui.core.distributions.continuous import Logit, LogUniform, Uniform
from sweeptui.core.distributions.discrete import Choice, Constant, Integer, LogInteger, PowerOfTwo, WeightedChoice
from sweeptui.core.distributions.quantiles import Beta, Normal, UnboundedLogNormal
from sweeptui.core.distributions.steps import QBeta, QLogNormal, QLogUniform, QNormal, QUniform
from sweeptui.core.errors import FieldError, hint, shown

__all__ = [
    "DISTRIBUTIONS", "Beta", "Choice", "Constant", "Distribution", "Integer", "LogInteger", "LogUniform", "Logit",
    "Normal", "PowerOfTwo", "QBeta", "QLogNormal", "QLogUniform", "QNormal", "QUniform", "UnboundedLogNormal",
    "Uniform", "WeightedChoice", "distribution_from", "jsonable",
]  # fmt: skip

DISTRIBUTIONS: dict[str, type[Distribution]] = {
    each.name: each
    for each in (
        Uniform, Integer, LogInteger, LogUniform, PowerOfTwo, Logit, Choice, Constant,
        WeightedChoice, Normal, UnboundedLogNormal, Beta, QUniform, QLogUniform, QNormal, QLogNormal, QBeta,
    )
}  # fmt: skip
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


def _implied(arguments: Mapping[str, Any]) -> str:
    if "values" in arguments:
        return Choice.name
    if "value" in arguments:
        return Constant.name
    whole = all(isinstance(arguments.get(name), int) for name in ("min", "max"))
    return Integer.name if whole else Uniform.name
