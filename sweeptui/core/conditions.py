"""Parameters that exist only under a condition on others: `when: optimizer == "sgd"`."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from sweeptui.core.constraints import Constraint
from sweeptui.core.errors import FieldError, UserError

if TYPE_CHECKING:
    from sweeptui.core.trial import Params

WHEN = "when"
"""The field of a parameter that holds its condition."""


class Conditions:
    """Which parameters exist, given the others. A condition that names one that does not exist does not hold."""

    def __init__(self, texts: Mapping[str, str], names: list[str]) -> None:
        """`texts`: the conditions by the parameters that they are of; `names`: all parameters.

        Raises `FieldError` for what is no condition, for a parameter that would depend on itself, and for cycles.
        """
        self.of: dict[str, Constraint] = {}
        for name, text in texts.items():
            try:
                condition = Constraint(text, names)
            except UserError as error:
                raise FieldError((name, WHEN), f"cannot be used: {error}") from None
            if name in condition.names:
                raise FieldError((name, WHEN), f"is {text!r}, which names {name} itself; name other parameters")
            self.of[name] = condition
        try:
            graph = TopologicalSorter({name: condition.names for name, condition in self.of.items()})
            self.order = [name for name in graph.static_order() if name in self.of]
            """The parameters with a condition, each after those that its condition names."""
        except CycleError as error:
            [*cycle, _] = error.args[1]
            raise FieldError(
                (cycle[0], WHEN), f"goes round in a circle ({' -> '.join([*cycle, cycle[0]])}); remove one of them"
            ) from None
        self.deciding = list(dict.fromkeys(name for each in self.of.values() for name in each.names))
        """The parameters that conditions name."""

    def __bool__(self) -> bool:
        return bool(self.of)

    def restricted(self, values: Params) -> dict[str, Any]:
        """The values of those parameters that exist, in the order of `values`. All names must be in `values`."""
        if not self.of:
            return dict(values)
        there = dict(values)
        for name in self.order:
            condition = self.of[name]
            if not all(other in there for other in condition.names) or not condition.holds(there):
                there.pop(name, None)
        return there

    def texts(self) -> dict[str, str]:
        return {name: condition.text for name, condition in self.of.items()}
