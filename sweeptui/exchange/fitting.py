"""Trials from elsewhere brought into a search space, by one policy for every source.

A value that the search space does not have is outside of it. What becomes of its trial is said by the user:

- "refuse": nothing is taken over; one sentence names the trial, the parameter and the value.
- "drop": the trial is left out.
- "clip": the value becomes the nearest one that there is; where none is near, the trial is left out.
- "widen": the new sweep's search space is made as wide as the trials need.
- "keep": the trial is taken as it is and shown, but tells the optimizer nothing.

A trial that lacks a searched parameter is refused or left out; one that the recipe fixes need not be there. Parameters
that are not searched are left off, as a warm start leaves them off. Whatever is left out or changed is counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweeptui.core.distributions import Distribution

Policy = Literal["refuse", "drop", "clip", "widen", "keep"]
POLICIES: tuple[Policy, ...] = ("refuse", "drop", "clip", "widen", "keep")
MISSING = object()
CHOOSE = "say what becomes of such trials with --outside drop, clip, widen or keep"


@dataclass
class Report:
    """What became of the trials of a source."""

    sweep: str
    said: str
    found: int = 0
    completed: int = 0
    failed: int = 0
    """Without a score, stopped and killed ones too."""
    counts: Counter[str] = field(default_factory=Counter)
    """Why trials were left out or changed -> how many."""

    @property
    def taken(self) -> int:
        return self.completed + self.failed

    def lines(self) -> list[str]:
        said = [
            f"{self.found} trials of {self.said}: {self.completed} with a score and {self.failed} without were taken"
        ]
        return said + [f"{count} {what}" for what, count in sorted(self.counts.items())]


class Fitter:
    """Brings parameters into the space of `tool`, one trial at a time, and counts what it does in a report."""

    def __init__(self, tool: SweepTool, policy: Policy, report: Report) -> None:
        self._space = tool.space
        self._nested = tool.wandb.nested if tool.wandb else {}
        self._policy = policy
        self._report = report

    def fit(self, who: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The parameters as the space has them; None where the trial is left out. Raises `UserError` to refuse it."""
        counts = self._report.counts
        params = self._space.existing(self._params(given))
        missing = next((name for name, each in params.items() if each is MISSING), None)
        if missing is not None:
            if self._policy == "refuse":
                raise UserError(f"{who} has no {missing}, which the search space needs; {CHOOSE}: they are left out")
            counts[f"were left out: they have no {missing}"] += 1
            return None
        for name in sorted(given.keys() - params.keys()):
            if name not in self._space.distributions and not isinstance(given[name], Mapping):
                counts[f"have {name}, which is not searched and was left off"] += 1
        outside = [name for name, each in params.items() if not self._space.distributions[name].contains(each)]
        return self._policed(who, params, outside) if outside else params

    def _policed(self, who: str, params: dict[str, Any], outside: Sequence[str]) -> dict[str, Any] | None:
        counts, first = self._report.counts, outside[0]
        match self._policy:
            case "clip":
                near = {name: nearest(self._space.distributions[name], params[name]) for name in outside}
                impossible = next((name for name, each in near.items() if each is MISSING), None)
                if impossible is not None:
                    counts[f"were left out: nothing is near their {impossible}"] += 1
                    return None
                counts["had values outside of the space, which were moved to the nearest inside"] += 1
                return {**params, **near}
            case "drop":
                counts[f"were left out: their {first} is outside of the space"] += 1
                return None
            case "keep":
                counts["lie outside of the space: they are shown, and tell the optimizer nothing"] += 1
                return params
        where = told(self._space.distributions[first])
        fix = CHOOSE if self._policy == "refuse" else "it cannot be made so wide; choose another --outside"
        raise UserError(f"{who} has {first} = {shown(params[first])}, outside of the search space ({where}); {fix}")

    def _params(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The searched parameters, as the space writes them where it can; `MISSING` for those that are not there."""
        params: dict[str, Any] = {}
        for name, distribution in self._space.distributions.items():
            value = given[name] if name in given else _inside(given, self._nested.get(name) or name.split("."))
            if value is MISSING and distribution.kind == "constant":
                value = distribution.from_unit(0.5)
            params[name] = plain_value(distribution, value)
        return params


def told(distribution: Distribution) -> str:
    """The values of a distribution, in a few words."""
    fields = distribution.to_json()
    if "min" in fields:
        return f"{fields['distribution']}, {fields['min']} to {fields['max']}"
    return ", ".join(f"{name} {shown(value)}" for name, value in fields.items() if name != "distribution")


def _inside(given: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(given, Mapping) or key not in given:
            return MISSING
        given = given[key]
    return given


def plain_value(distribution: Distribution, value: Any) -> Any:
    """3.0 is 3 where whole numbers are searched, and 3 is 3.0 where any are: other formats keep no difference."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if distribution.kind == "continuous":
        return float(value)
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return next((each for each in (value, whole, float(value)) if distribution.contains(each)), value)


def nearest(distribution: Distribution, value: Any) -> Any:
    """The nearest value that there is; `MISSING` where nothing says which."""
    if distribution.kind == "constant":
        return distribution.from_unit(0.5)
    if distribution.kind == "categorical" or not is_number(value):
        return MISSING
    low, high = distribution.from_unit(0.0), distribution.from_unit(1.0)
    if not low < value < high:
        return low if value <= low else high
    # Between two values that there are: halve the axis until it is one of them.
    left, right = 0.0, 1.0
    for _ in range(64):
        middle = (left + right) / 2
        if distribution.from_unit(middle) < value:
            left = middle
        else:
            right = middle
    return min((distribution.from_unit(left), distribution.from_unit(right)), key=lambda each: abs(each - value))


def is_number(value: Any) -> bool:
    """Whether it is a finite number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def widened(tool: SweepTool, trials: Iterable[tuple[str, Mapping[str, Any]]]) -> SweepTool:
    """`tool` with a search space that has the trials' values. Raises `UserError` where a parameter cannot have one."""
    tree = tool.to_json()
    parameters = tree["protein_config"]["parameters"]
    fitter = Fitter(tool, "keep", Report("", ""))
    changed = False
    for who, given in trials:
        params = fitter.fit(who, given) or {}
        for name, value in params.items():
            if tool.space.distributions[name].contains(value):
                continue
            fields = parameters[name]
            if "min" in fields and is_number(value):
                fields |= {"min": min(fields["min"], value), "max": max(fields["max"], value)}
            elif "values" in fields and "probabilities" not in fields:
                fields["values"] += [value] if value not in fields["values"] else []
            else:
                where = told(tool.space.distributions[name])
                raise UserError(
                    f"{who} has {name} = {shown(value)}, and that search ({where}) cannot be widened to have it; "
                    "choose another --outside"
                )
            changed = True
    return SweepTool.from_json(tree) if changed else tool
