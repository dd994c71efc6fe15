"""What every scheduler must do, whatever it is: the contract of `sweeptui.core.schedulers.base` as tests."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sweeptui.core.optimizers.random import RandomOptimizer
from sweeptui.core.schedulers.base import Create, Fork, Promote, Stop, Train
from sweeptui.core.schedulers.rungs import Rungs
from sweeptui.core.space import Space
from sweeptui.core.trial import FailureKind, TrialStatus
from sweeptui.testing.simulator import Outcome, Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.core.schedulers.base import Scheduler
    from sweeptui.core.trial import Params

EPOCHS = 27


class Curves:
    """Trainings of 27 epochs that approach what their one parameter is worth; the better ones take longer."""

    def __init__(self, goal: str = "maximize") -> None:
        self.goal = goal
        self.space = Space.from_parameters({"x": {"min": 0.0, "max": 1.0}, "kind": {"values": ["a", "b", "c"]}})

    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        sign = 1 if self.goal == "maximize" else -1
        worth, pace = 1 - abs(params["x"] - 0.7), 1 + params["x"]
        return [(sign * worth * (1 - math.exp(-epoch / 6)), epoch * pace) for epoch in range(1, EPOCHS + 1)]


class SchedulerContract:
    """Subclass it as `TestSomething`, with `make`, and what the scheduler does not do switched off."""

    max_trials: ClassVar[int] = 30
    """As many as it needs to show what it does."""
    uses_all: ClassVar[bool] = True
    """It goes on until there are `max_trials`."""
    workers: ClassVar[tuple[int, ...]] = (1, 4)

    def make(self) -> Scheduler:
        """The scheduler under test. Override it."""
        raise NotImplementedError

    def simulator(self, workers: int, goal: str = "maximize", **options: Any) -> Simulator:
        task = Curves(goal)
        optimizer = RandomOptimizer(task.space, goal=goal, settings={}, seed=3)
        return Simulator(self.make(), optimizer, task, workers=workers, max_trials=self.max_trials, **options)

    def check(self, outcome: Outcome) -> None:
        """Budgets are exact, nothing is left open, and nothing ran twice at once."""
        state = outcome.state
        assert len(state.trials) <= self.max_trials
        assert not self.uses_all or len(state.trials) == self.max_trials
        assert sorted(state.trials) == list(range(1, len(state.trials) + 1))
        assert not state.active
        assert not state.running_jobs
        for _, action in outcome.actions:
            assert isinstance(action, Create | Train | Stop | Promote | Fork)
            if isinstance(action, Stop):
                assert action.reason
        attempts = Counter((job.trial, job.attempt) for job in state.jobs.values())
        assert set(attempts.values()) <= {1}

    def test_a_sweep_comes_to_its_end_with_any_number_of_workers(self) -> None:
        for workers in self.workers:
            self.check(self.simulator(workers).run())

    def test_it_is_the_same_for_a_goal_turned_round(self) -> None:
        up, down = self.simulator(2).run(), self.simulator(2, "minimize").run()
        assert [(at, *told(action)) for at, action in up.actions] == [
            (at, *told(action)) for at, action in down.actions
        ]

    def test_it_decides_by_what_it_sees_and_nothing_else(self) -> None:
        """Made anew before every decision, from the reports alone, it does the same."""
        whole = self.simulator(3).run()
        broken = _Restarting(self)
        assert [told(action) for _, action in broken.run().actions] == [told(action) for _, action in whole.actions]

    def test_what_it_is_asked_twice_it_answers_twice(self) -> None:
        simulator = self.simulator(2)
        simulator.decide()
        while simulator.busy:
            view = simulator.view()
            assert simulator.scheduler.decide(view) == simulator.scheduler.decide(view)
            simulator.step()

    @pytest.mark.parametrize("seed", range(3))
    def test_trials_that_fail_hold_nothing_up(self, seed: int) -> None:
        simulator = self.simulator(3)
        draw = random.Random(seed)
        failed = 0
        simulator.decide()
        while simulator.busy and not simulator.outcome.reason:
            if draw.random() < 0.03 and (jobs := list(simulator.state.running_jobs.values())):
                simulator.end(draw.choice(jobs), TrialStatus.FAILED, "crashed", FailureKind.CRASHED)
                failed += 1
                simulator.decide()
            simulator.step()
        assert failed
        assert not simulator.state.running_jobs
        assert not simulator.state.active
        assert len(simulator.state.trials) <= self.max_trials

    def test_nothing_is_stopped_or_started_that_may_not_be(self) -> None:
        simulator = self.simulator(2)
        for _ in range(40):
            simulator.decide()
            simulator.step()
        view = simulator.view()
        held = simulator.scheduler.decide(replace(view, may_launch=False, may_create=False))
        assert all(isinstance(action, Stop) for action in held)
        closing = simulator.scheduler.decide(replace(view, may_create=False))
        assert not any(isinstance(action, Create | Fork) for action in closing)
        queued = [trial.number for trial in view.active if trial.status is TrialStatus.PENDING]
        for action in simulator.scheduler.decide(view):
            if isinstance(action, Train):
                assert action.trial in queued
            if isinstance(action, Promote):
                assert view.trials[action.trial].status is TrialStatus.STOPPED


class _Restarting(Simulator):
    """Forgets everything but the trials, the jobs and the reports before each decision."""

    def __init__(self, contract: SchedulerContract) -> None:
        whole = contract.simulator(3)
        super().__init__(whole.scheduler, whole.optimizer, whole.task, workers=3, max_trials=contract.max_trials)
        self._contract = contract

    def decide(self) -> None:
        self.scheduler = self._contract.make()
        plan = self.scheduler.plan(self.task.goal)
        if plan is not None:
            self.outcome.rungs = Rungs(plan, self.task.goal)
            self.outcome.rungs.add(self.points, self.state.trials)
        super().decide()


def told(action: Any) -> tuple[Any, ...]:
    """What an action does, without the words for it and without the sign of scores in them."""
    match action:
        case Stop(trial) | Promote(trial) | Train(trial):
            return (type(action).__name__, trial)
        case Fork(parent, params):
            return ("Fork", parent, tuple(params.items()))
    return (type(action).__name__, getattr(action, "n", None))
