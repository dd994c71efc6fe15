"""Protein's settings, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACQUISITIONS = ("ei", "naive", "ucb")


@dataclass(frozen=True, slots=True)
class ProteinOptions:
    """What `ProteinSettings` of the configuration becomes inside the optimizer; same names, same defaults."""

    num_random_samples: int = 5
    """Sobol points before the model takes over."""
    max_suggestion_cost: float | None = None
    """Configurations predicted to cost more are taken only where nothing cheaper is left."""
    resample_frequency: int = 0
    """Every k-th trial runs a configuration of the Pareto front again, to learn its noise; 0 for never."""
    global_search_scale: float = 1.0
    """Factor on every parameter's `scale`, the reach of a search around a good configuration."""
    random_suggestions: int = 1024
    """Candidates drawn from the whole space."""
    suggestions_per_pareto: int = 256
    """Candidates drawn around each good configuration."""
    expansion_rate: float = 0.25
    """`naive` aims at costs up to this share beyond the dearest of the front."""
    seed_with_search_center: bool = True
    """The first trial is the centre of the space (each parameter's `mean`)."""
    acquisition: str = "ei"
    ucb_beta: float = 2.0
    """Standard deviations that `ucb` adds to the mean."""
    randomize_acquisition: bool = False
    """Each trial draws anew how much it explores."""

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> ProteinOptions:
        """Raises `UserError` naming the field, its value and what would do."""
        given = dict(settings)
        if "acquisition_fn" in given:
            given.setdefault("acquisition", given.pop("acquisition_fn"))
        known = {field.name for field in fields(cls)}
        for name in given:
            if name not in known:
                raise UserError(f"settings.{name} is no setting of Protein; known are {', '.join(sorted(known))}")
        options = cls(**given)
        options._check()
        return options

    def _check(self) -> None:
        for name in ("num_random_samples", "resample_frequency", "random_suggestions", "suggestions_per_pareto"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise UserError(f"settings.{name} is {value!r}; it must be a whole number, 0 or more")
        for name, lowest in (
            ("global_search_scale", "positive"),
            ("expansion_rate", "0 or more"),
            ("ucb_beta", "0 or more"),
        ):
            value = getattr(self, name)
            if not _is_number(value) or value < 0 or (lowest == "positive" and value == 0):
                raise UserError(f"settings.{name} is {value!r}; it must be a finite number, {lowest}")
        cap = self.max_suggestion_cost
        if cap is not None and (not _is_number(cap) or cap <= 0):
            raise UserError(
                f"settings.max_suggestion_cost is {cap!r}; it must be a positive number, or null for no limit"
            )
        for name in ("seed_with_search_center", "randomize_acquisition"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise UserError(f"settings.{name} is {value!r}; it must be true or false")
        if self.acquisition not in ACQUISITIONS:
            raise UserError(
                f"settings.acquisition is {self.acquisition!r}; it must be one of {', '.join(ACQUISITIONS)}"
            )
        if self.resample_frequency == 1:
            raise UserError(
                "settings.resample_frequency is 1, so nothing new would ever be tried; give 0 or at least 2"
            )
        if self.random_suggestions == 0 and self.suggestions_per_pareto == 0:
            raise UserError(
                "settings.random_suggestions and settings.suggestions_per_pareto are both 0, so there is nothing to"
                " choose from; make one of them positive"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
