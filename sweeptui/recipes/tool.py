"""The base class of training tools that are built in Python and configured by overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeptui.recipes.settings import apply_setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class TrainTool:
    """One training run, made by a recipe's factory: the trial's values are set on it, then it is invoked.

    A subclass keeps its configuration in fields (plain objects, dictionaries, dataclasses or pydantic models, nested
    as it likes) and trains in `invoke`.
    """

    def override(self, path: str, value: Any) -> None:
        """Set the field that a dot path names. Raises `UserError` for an unknown path or a value it does not take."""
        apply_setting(self, path, value)

    def invoke(self, args: dict[str, Any]) -> int:
        """Train, and return the exit code. `args` are the arguments that the factory did not take."""
        raise NotImplementedError(f"{type(self).__name__} must define invoke()")

    def evaluate(self, simulations: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
        """Evaluate what `invoke` has trained: the sweep's `evaluation_simulations` to metrics, which are reported."""
        raise NotImplementedError(f"{type(self).__name__} must define evaluate(), because the sweep has simulations")
