"""What a sweep's trials tell of its search space: observations, failures, and what is left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError
from sweeptui.core.objectives import objectives_of
from sweeptui.core.suggesting import history

if TYPE_CHECKING:
    from sweeptui.core.optimizers.base import FailedTrial
    from sweeptui.core.space import Space
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Observation


class TooFewTrialsError(UserError):
    """There is nothing to learn from yet: one sentence."""

    def __init__(self, trials: int, needed: int, why: str = "") -> None:
        has = "1 trial has" if trials == 1 else f"{trials or 'no'} trials have"
        super().__init__(why or f"{has} a score inside the search space; this takes at least {needed}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One objective's scores, in the user's sign, ordered by trial number."""

    metric: str
    goal: str
    observations: Sequence[Observation]
    failures: Sequence[FailedTrial] = ()
    notes: Sequence[str] = ()
    """What was left out, a sentence each."""

    @property
    def complete(self) -> list[Observation]:
        """Those whose training was not stopped early."""
        return [each for each in self.observations if each.fidelity >= 1]


def evidence_of(state: SweepState, space: Space, which: int = 0) -> Evidence:
    """What a sweep says of its objective number `which`. Trials outside of the space (it was changed) are left out."""
    objectives = objectives_of(state.config)
    goal = objectives[which]
    known = history(state.trials, state.last_trial + 1, state.ended, objectives=objectives)
    seen = [each if not each.scores else replace(each, score=each.scores[which]) for each in known.observations]
    inside = [each for each in seen if space.covers(each.params)]
    notes = []
    if outside := len(seen) - len(inside):
        notes.append(f"{_trials(outside)} lie outside of the search space and are left out")
    failures = [each for each in known.failures if space.covers(each.params)]
    if failures:
        notes.append(f"{_trials(len(failures))} failed and have no score")
    return Evidence(goal.name, goal.goal, inside, failures, notes)


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"
