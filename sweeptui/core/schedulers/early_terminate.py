"""`early_terminate: hyperband` of a W&B sweep file, counted as W&B's own engine counts.

That engine compares at bands: numbers of logged values of the metric. At band b it takes a run's value with index b,
counted from 0, and ends a run that is beyond the value at place int(n / eta) of the n runs that came so far, best
first. It looks again and again: a run that had passed is ended at the same band once enough better ones have come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from sweeptui.core.errors import UserError, explain
from sweeptui.core.fields import AtLeastOne, Real, mistakes
from sweeptui.core.schedulers.base import Action, Scheduler, Stop, View, launches
from sweeptui.core.schedulers.rungs import Plan, Resource
from sweeptui.core.trial import Trial

MAX_BANDS = 100


class EarlyTerminateScheduler(Scheduler):
    """Fills slots at once and ends runs at bands: `min_iter`, `min_iter * eta`, ... or `max_iter / eta`, ... down."""

    name: ClassVar[str] = "early_terminate"

    min_iter: AtLeastOne | None = None
    max_iter: AtLeastOne | None = None
    s: AtLeastOne | None = None
    """How many bands are counted down from max_iter."""
    eta: Real = Field(default=3.0, gt=1)
    strict: bool | None = None
    """Taken, as W&B takes it, and without effect, as in its engine."""

    @model_validator(mode="after")
    def _bands_can_be_counted(self) -> Self:
        text = ""
        if self.max_iter is None and self.min_iter is None:
            text = "is missing; give min_iter, or max_iter and s"
            place = "min_iter"
        elif self.max_iter is not None and self.s is None:
            text, place = "is missing; max_iter needs the number of bands", "s"
        elif not self.bands:
            text, place = (
                f"is {self.max_iter}, which is less than eta ({self.eta:g}): no band is left",
                "max_iter",
            )
        if text:
            raise mistakes(type(self).__name__, [((place,), text, None)])
        return self

    @cached_property
    def bands(self) -> tuple[int, ...]:
        """Ascending; where both are given, max_iter counts."""
        found: set[int] = set()
        if self.max_iter is not None:
            band: float = self.max_iter
            for _ in range(self.s or 0):
                band /= self.eta
                if band < 1:
                    break
                found.add(int(band))
        elif self.min_iter is not None:
            band = self.min_iter
            for _ in range(MAX_BANDS):
                found.add(int(band))
                band *= self.eta
        return tuple(sorted(found))

    @cached_property
    def _levels(self) -> tuple[float, ...]:
        # The value with index b is the (b + 1)-th.
        return tuple(float(band + 1) for band in self.bands)

    def plan(self, goal: str) -> Plan:
        del goal
        return Plan(Resource.REPORTS, self._levels_of, lambda count: count)

    def decide(self, view: View) -> list[Action]:
        assert view.rungs is not None
        stops: list[Action] = []
        for trial in view.training():
            entry = view.rungs.highest(trial)
            rung = None if entry is None else view.rungs.rung(0, entry.rung)
            if entry is None or rung is None:
                continue
            cut = rung.losses[int(1.0 / self.eta * len(rung.losses))]
            if entry.loss > cut:
                band, shown = self.bands[entry.rung], view.rungs.score(cut)
                stops.append(
                    Stop(trial.number, f"stopped at band {band}: {entry.score:.4g} against threshold {shown:.4g}")
                )
        return [*stops, *launches(view)]

    def _levels_of(self, trial: Trial) -> tuple[int, Sequence[float]]:
        del trial
        return 0, self._levels


def from_early_terminate(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The `scheduler` of a `SweepTool` for the `early_terminate` of a W&B sweep file, its `type` included.

    Keys that the type does not know are ignored, as W&B ignores them. Raises `UserError`.
    """
    kind = settings.get("type")
    if kind != "hyperband":
        raise UserError(f"early_terminate.type is {kind!r}; it must be 'hyperband'")
    known = {key: value for key, value in settings.items() if key in EarlyTerminateScheduler.model_fields}
    try:
        EarlyTerminateScheduler.model_validate(known)
    except ValidationError as error:
        raise UserError(f"early_terminate: {explain(error)}") from None
    return {"name": EarlyTerminateScheduler.name, **known}
