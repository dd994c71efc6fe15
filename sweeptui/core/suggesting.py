"""Suggestions prepared before a slot is free, so that a slot never waits for the optimizer.

What a suggestion may know is fixed by numbers in the store and not by what happened to be finished first: the
suggestion for trial k knows every trial that had ended when trial k - ahead was created, and takes all others below k
as pending. So a sweep that is interrupted anywhere and resumed suggests what it would have suggested.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sweeptui.core.objectives import Objective, Objectives, values_of
from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial, Suggestion
from sweeptui.core.trial import FailureKind, Observation, Trial, TrialStatus
from sweeptui.core.underway import KNOWN_REPORTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.config import SweepTool
    from sweeptui.core.curves import Curves
    from sweeptui.core.optimizers.service import OptimizerService
    from sweeptui.core.state import SweepState
    from sweeptui.core.underway import Underway

T = TypeVar("T")
Fidelity = Callable[[Trial], float]
"""The share of a whole training that a trial has had."""

ONE = (Objective("score", "maximize"),)
"""Where there is one, its name and goal have no say in what a history holds."""

CONFIGURATION_FAILURES = frozenset(
    {
        FailureKind.CRASHED,
        FailureKind.TIMEOUT,
        FailureKind.OUT_OF_MEMORY,
        FailureKind.NO_METRIC,
        FailureKind.INVALID_METRIC,
    }
)
"""The kinds that say something about the parameters; a lost machine does not."""


class _Lazy(Sequence[T]):
    """A sequence made when it is first looked at: random search never looks, and 10,000 trials take time to list."""

    def __init__(self, make: Callable[[], list[T]]) -> None:
        self._make = make
        self._items: list[T] | None = None

    def _list(self) -> list[T]:
        if self._items is None:
            self._items = self._make()
        return self._items

    def __len__(self) -> int:
        return len(self._list())

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self._list()[index]


def reported_share(trial: Trial) -> float:
    """Of a stopped trial, the share of its steps that it did; 1 where it did not say of how many, and of any other."""
    if trial.status is TrialStatus.STOPPED and trial.step is not None and trial.total_steps:
        return min(1.0, trial.step / trial.total_steps)
    return 1.0


def observation(
    trial: Trial, cost: float, fidelity: Fidelity = reported_share, objectives: Objectives = ONE
) -> Observation | None:
    """What `trial` teaches, or None where it has no score to teach, or not that of every objective."""
    if trial.status not in (TrialStatus.COMPLETED, TrialStatus.STOPPED):
        return None
    if trial.score is None or not math.isfinite(trial.score):
        return None
    if len(objectives) == 1:
        return Observation(trial.number, trial.params, trial.score, cost, fidelity(trial))
    scores = values_of(trial, objectives)
    return None if scores is None else Observation(trial.number, trial.params, scores[0], cost, fidelity(trial), scores)


def history(
    trials: Mapping[int, Trial],
    before: int,
    known: int,
    prepared: Sequence[PendingTrial] = (),
    fits: Callable[[Trial], bool] | None = None,
    prior: Sequence[Observation] = (),
    fidelity: Fidelity = reported_share,
    curves: Curves | None = None,
    objectives: Objectives = ONE,
    underway: Underway | None = None,
    reports: int = 0,
) -> History:
    """What the suggestion for trial number `before` may know: the first `known` trials to end.

    `prepared` are suggestions below `before` that no trial was made of yet. Trials that `fits` refuses are left out,
    and so are replicates: they would make one configuration look searched often, and say nothing of another. A trial
    without a cost is taken to cost the median of the others, 1 where none has any. `prior` are another sweep's;
    `curves` are read where some trial is not complete. Of the trials that had not ended, those reports are known that
    are numbered up to `reports`, where there is an `underway`.
    """

    def ended(trial: Trial) -> bool:
        # A trial that was queued again keeps the order of its last end until the next one.
        return trial.status.terminal and trial.end_order is not None and trial.end_order <= known

    def relevant() -> list[Trial]:
        earlier = (trials[number] for number in sorted(trials) if number < before)
        return [trial for trial in earlier if not trial.is_replicate and (fits is None or fits(trial))]

    def learnt() -> list[tuple[Trial, Observation]]:
        done = [trial for trial in relevant() if ended(trial)]
        costs = [trial.cost for trial in done if trial.cost is not None and trial.cost > 0]
        typical = statistics.median(costs) if costs else 1.0
        found = (
            (trial, observation(trial, trial.cost if trial.cost and trial.cost > 0 else typical, fidelity, objectives))
            for trial in done
        )
        return [(trial, item) for trial, item in found if item is not None]

    ended_well = _Lazy(learnt)

    def observations() -> list[Observation]:
        return [item for _, item in ended_well]

    def failures() -> list[FailedTrial]:
        return [
            FailedTrial(trial.number, trial.params, trial.failure.value)
            for trial in relevant()
            if ended(trial) and trial.failure in CONFIGURATION_FAILURES and trial.failure is not None
        ]

    def pending() -> list[PendingTrial]:
        return [PendingTrial(trial.number, trial.params) for trial in relevant() if not ended(trial)] + list(prepared)

    def running() -> list[Observation]:
        if underway is None or not reports:
            return []
        wholes = [item.cost / item.fidelity for _, item in ended_well if item.fidelity > 0]
        waiting = [trial for trial in relevant() if not ended(trial)]
        return underway.observations(waiting, reports, statistics.median(wholes) if wholes else 1.0)

    points = _Lazy(lambda: [] if curves is None else curves.of(ended_well))
    return History(_Lazy(observations), _Lazy(failures), _Lazy(pending), points, prior, _Lazy(running))


class Suggestions:
    """The queue between the optimizer and the scheduler. Holds nothing that is not computed again after a restart."""

    def __init__(
        self,
        service: OptimizerService,
        *,
        ahead: int,
        fits: Callable[[Trial], bool] | None = None,
        prior: Sequence[Observation] = (),
        fidelity: Fidelity = reported_share,
        curves: Curves | None = None,
        objectives: Objectives = ONE,
        underway: Underway | None = None,
    ) -> None:
        self._service = service
        self._prior = prior
        self._curves = curves
        self._underway = underway
        self._ahead = ahead
        self._fits = fits
        self._objectives = objectives
        self._fidelity = fidelity
        self._ready: list[tuple[int, Suggestion]] = []
        self._requested: int | None = None
        self._outdated = False
        """What is being computed does not hold any more."""
        self.exhausted = False
        self.error = ""

    @property
    def waiting(self) -> bool:
        """A suggestion is being computed."""
        return self._requested is not None

    def collect(self) -> bool:
        """Take in what the optimizer has finished; True if there was anything."""
        result = self._service.poll()
        if result is None:
            return False
        self._requested = None
        if self._outdated:
            self._outdated = False
            return True
        self.exhausted = result.exhausted
        self.error = result.error
        self._ready += [(result.first_number + i, item) for i, item in enumerate(result.suggestions)]
        return True

    def supply(self, state: SweepState, limit: int, wanted: bool) -> None:
        """Ask for what may be asked for. What is made in this process is there at once, and so the next one is due."""
        self.prepare(state.trials, state.ended, state.last_trial, limit, wanted)
        while self.collect():
            self.prepare(state.trials, state.ended, state.last_trial, limit, wanted)

    def prepare(self, trials: Mapping[int, Trial], ended: int, last: int, limit: int, wanted: bool) -> None:
        """Ask for the next suggestion, if one may be asked for.

        `ended`: how many trials have ended; `last`: the highest trial number; `limit`: the highest number the budget
        allows; `wanted`: a slot is free for it now (which is what `ahead` = 0 waits for).
        """
        number = last + len(self._ready) + 1
        if self._requested is not None or self.exhausted or self.error or number > limit:
            return
        if self._ahead == 0:
            if not wanted or self._ready:
                return
            known = ended
            reports = self._underway.last if self._underway is not None else 0
        else:
            basis = number - self._ahead
            if basis > last:
                return
            known = trials[basis].known_ends if basis in trials else 0
            reports = self._underway.known_to(trials, basis) if self._underway is not None else 0
        prepared = [PendingTrial(n, item.params) for n, item in self._ready]
        self._requested = number
        told = history(
            trials,
            number,
            known,
            prepared,
            self._fits,
            self._prior,
            self._fidelity,
            self._curves,
            self._objectives,
            self._underway,
            reports,
        )
        self._service.request(told, number, 1)

    def next(self, number: int) -> Suggestion | None:
        """The suggestion for trial `number` if it is ready; it stays until `taken`."""
        return next((item for n, item in self._ready if n == number), None)

    def provenance(self, suggestion: Suggestion) -> dict[str, Any]:
        """What is stored with the trial that is made of it now: with what later suggestions may know."""
        known = {} if self._underway is None else {KNOWN_REPORTS: self._underway.last}
        return {**suggestion.provenance, **known}

    def configure(self, ahead: int) -> None:
        """Prepare so many from now on, as a sweep that is resumed now would."""
        if ahead != self._ahead:
            self._ahead = ahead
            self.reconsider()

    def reconsider(self) -> None:
        """Something else happened to the trials than that they ran: what was prepared did not know of it.

        It is all computed again, for the numbers that are next now, and is then what a resumed sweep would suggest.
        """
        self._ready.clear()
        self._outdated = self._requested is not None

    def taken(self, last: int) -> None:
        """Forget suggestions that trials were made of, up to number `last`."""
        self._ready = [(n, item) for n, item in self._ready if n > last]


def fitting(tool: SweepTool, config: Mapping[str, Any]) -> Callable[[Trial], bool] | None:
    """Which trials the optimizer may know of, where the search was changed after some had run; None is all."""
    launch = config.get("launch", {})
    forget, mixed, space = launch.get("forget_trials_up_to", 0), launch.get("mixed", False), tool.space
    if not (forget or mixed):
        return None
    return lambda trial: trial.number > forget and (not mixed or space.contains(trial.params))
