"""A sweep at one moment, immutable: all that the widgets may look at."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.summary import goal
from sweeptui.core.objectives import Objectives, objectives_of
from sweeptui.core.stagewords import Doing, doing
from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import RUNNING, Job, Trial, TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.plot.series import Series
    from sweeptui.app.travel import Moment
    from sweeptui.core.state import SweepState
    from sweeptui.core.stores.base import Lease
    from sweeptui.core.stores.wandb.book import Standing

RECENT = 30
"""So many of the newest finished trials say how long the next ones will take."""

LOGARITHMIC = frozenset({"log_normal", "uniform_pow2"})

Curve = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Focus:
    """What is known in depth of the one trial that is selected."""

    trial: int
    jobs: tuple[Job, ...]
    """Every attempt, oldest first."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    at: float
    """Epoch seconds."""
    name: str
    label: str
    """The sweep's state in one word, as `truth` has it."""
    status: SweepStatus
    reason: str
    trials: tuple[Trial, ...]
    """By number."""
    counts: Mapping[TrialStatus, int]
    running: Mapping[int, Job]
    """The unfinished job of each trial that has one."""
    best: Trial | None
    goal: str
    metric: str
    cost_unit: str
    max_trials: int
    slots: int
    spent: float
    """In the cost unit, all attempts of all trials."""
    params: tuple[str, ...]
    """The swept parameters, by their full paths."""
    eta_s: float | None = None
    holder: Lease | None = None
    """Who runs the sweep now."""
    curves: Mapping[int, Curve] = field(default_factory=dict)
    """The learning curves of the trials on screen."""
    series: Mapping[int, Series] = field(default_factory=dict)
    """The learning curves of the trials that are plotted."""
    log_params: frozenset[str] = frozenset()
    """Those of the swept parameters that are searched on a logarithmic scale."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The search space, as the configuration has it."""
    focus: Focus | None = None
    older: int = 0
    """So many trials that came before these are still being read."""
    replicates: int = 0
    """So many trials search nothing and do not count to `max_trials`."""
    runner_up: Trial | None = None
    """The best of all but the best."""
    center: Mapping[str, Any] = field(default_factory=dict)
    """Where the search began; empty where that is not known."""
    mirror: Standing | None = None
    """How the sweep's mirror in W&B stands; None where it has none."""
    objectives: Objectives = ()
    """What is searched for, where it is more than one metric; `metric` and `goal` are the first one's."""
    past: Moment | None = None
    """Which moment of the past it is; None for now."""
    stages: Doing = field(default_factory=Doing)
    """What trials are said to do in the stages that the recipe adds, and between two of them."""
    leading: tuple[str, ...] = ()
    """The parameters that the trials tell of, the most important first."""
    disk: str = ""
    """Why nothing is launched for want of disk space."""

    @property
    def over(self) -> bool:
        """Nothing more happens unless somebody asks for it."""
        return self.status in (SweepStatus.FINISHED, SweepStatus.STOPPED, SweepStatus.BROKEN)

    @property
    def made(self) -> int:
        """How many trials there are, read or not."""
        return len(self.trials) + self.older

    @property
    def searched(self) -> int:
        """How many of those count to `max_trials`."""
        return self.made - self.replicates

    @property
    def total(self) -> int:
        """How many trials there will be."""
        return max(self.max_trials, self.searched) + self.replicates

    @property
    def done(self) -> int:
        return sum(count for status, count in self.counts.items() if status.terminal)

    @property
    def active(self) -> int:
        return sum(count for status, count in self.counts.items() if status in RUNNING)

    def index(self, number: int) -> int:
        """Where the trial stands in `trials`; of one that is not there, where it would."""
        return bisect_left(self.trials, number, key=_number)

    def trial(self, number: int | None) -> Trial | None:
        if number is None:
            return None
        index = self.index(number)
        found = self.trials[index] if index < len(self.trials) else None
        return found if found is not None and found.number == number else None


def _number(trial: Trial) -> int:
    return trial.number


def snapshot(
    state: SweepState,
    *,
    at: float,
    label: str,
    best: Trial | None,
    trials: tuple[Trial, ...],
    spent: float,
    jobs: Callable[[int], Sequence[Job]] = lambda _: (),
) -> Snapshot:
    """What `state` says. `best`, `trials` and `spent` follow from it, and are kept by the caller while they hold.

    `jobs` gives all jobs of a trial; without it, a trial between two of its stages is just said to be trained.
    """
    config = state.config
    protein = config.get("protein_config", {})
    slots = int(config.get("max_parallel_jobs", 1))
    max_trials = int(config.get("max_trials", len(trials)))
    return Snapshot(
        at=at,
        name=state.name,
        label=label,
        status=state.status,
        reason=state.reason,
        trials=trials,
        counts=dict(state.counts),
        running=dict(state.running_jobs),
        best=best,
        goal=goal(state),
        metric=objectives_of(config)[0].name,
        cost_unit=str(config.get("cost_unit", "seconds")),
        max_trials=max_trials,
        slots=slots,
        spent=spent,
        params=_swept(protein.get("parameters", {}), trials),
        parameters=protein.get("parameters", {}),
        log_params=frozenset(
            name for name, how in protein.get("parameters", {}).items() if how.get("distribution") in LOGARITHMIC
        ),
        objectives=objectives_of(config) if len(objectives_of(config)) > 1 else (),
        replicates=len(state.replicates),
        stages=doing(config, state.active, jobs),
        eta_s=_eta(trials, state, max_trials, slots, at) if label == "running" else None,
    )


def _swept(parameters: Mapping[str, Mapping[str, object]], trials: tuple[Trial, ...]) -> tuple[str, ...]:
    if not trials:
        return tuple(parameters)
    if any(how.get("when") for how in parameters.values()):
        # A trial has some of them; all are shown.
        return tuple(name for name, how in parameters.items() if how.get("distribution") != "constant")
    return tuple(name for name in trials[-1].params if parameters.get(name, {}).get("distribution", "") != "constant")


def _median(values: list[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return (ordered[half] + ordered[-1 - half]) / 2


def _eta(trials: tuple[Trial, ...], state: SweepState, max_trials: int, slots: int, at: float) -> float | None:
    """Seconds to the end: what is left, at the pace of the newest trials, on all slots."""
    took = []
    for trial in reversed(trials):
        if trial.status is TrialStatus.COMPLETED and trial.started_at is not None and trial.ended_at is not None:
            took.append(trial.ended_at - trial.started_at)
            if len(took) == RECENT:
                break
    if not took:
        return None
    each = _median(took)
    made, over = sum(state.counts.values()), sum(n for status, n in state.counts.items() if status.terminal)
    left = (max(max_trials + len(state.replicates), made) - over) * each
    left -= sum(min(each, at - trial.started_at) for trial in state.active if trial.started_at is not None)
    return max(0.0, left / max(1, slots))
