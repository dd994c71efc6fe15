"""Every scheduler that comes with sweeptui keeps the contract that plug-ins are tested against."""

from __future__ import annotations

from typing import ClassVar

from sweeptui.core.schedulers import (
    ASHAScheduler,
    CostQuantileScheduler,
    EarlyTerminateScheduler,
    HyperbandScheduler,
    OptimizingScheduler,
    PBTScheduler,
    Scheduler,
    SequentialScheduler,
    SynchronousBatchScheduler,
)
from sweeptui.core.trial import Trial
from sweeptui.testing import SchedulerContract


class TestOptimizing(SchedulerContract):
    def make(self) -> Scheduler:
        return OptimizingScheduler()


class TestSequential(SchedulerContract):
    def make(self) -> Scheduler:
        return SequentialScheduler()


class TestBatch(SchedulerContract):
    def make(self) -> Scheduler:
        return SynchronousBatchScheduler(batch_size=4)


class TestBatchThatLeavesStragglers(SchedulerContract):
    def make(self) -> Scheduler:
        return SynchronousBatchScheduler(batch_size=4, stragglers="leave", enough=0.5)


class TestBatchThatStopsStragglers(SchedulerContract):
    def make(self) -> Scheduler:
        return SynchronousBatchScheduler(batch_size=4, stragglers="stop", enough=0.75)


class TestASHA(SchedulerContract):
    def make(self) -> Scheduler:
        return ASHAScheduler(max_epochs=27, grace_period=3)


class TestASHAWithBrackets(SchedulerContract):
    def make(self) -> Scheduler:
        return ASHAScheduler(max_epochs=27, grace_period=1, brackets=3, resource="step")


class TestASHAWithPromotion(SchedulerContract):
    def make(self) -> Scheduler:
        return ASHAScheduler(max_epochs=27, grace_period=3, variant="promotion")


class TestHyperband(SchedulerContract):
    max_trials: ClassVar[int] = 40

    def make(self) -> Scheduler:
        return HyperbandScheduler(max_epochs=27, grace_period=1)


class TestCostQuantile(SchedulerContract):
    def make(self) -> Scheduler:
        return CostQuantileScheduler(quantile=0.4, min_trials=4)


class TestEarlyTerminate(SchedulerContract):
    def make(self) -> Scheduler:
        return EarlyTerminateScheduler(min_iter=2, eta=2)


class TestPBT(SchedulerContract):
    max_trials: ClassVar[int] = 30

    def make(self) -> Scheduler:
        return PBTScheduler(population_size=6, num_generations=5)


class TestPBTWithTournaments(SchedulerContract):
    def make(self) -> Scheduler:
        return PBTScheduler(
            population_size=5, num_generations=6, exploit_method="binary_tournament", explore_method="resample"
        )


class TestPB2(SchedulerContract):
    def make(self) -> Scheduler:
        return PBTScheduler(population_size=5, num_generations=6, explore_method="pb2", truncation=0.4)


class Impatient(Scheduler):
    """What a user writes."""

    def should_stop(self, trial: Trial) -> bool:
        return trial.params["x"] < 0.2 and (trial.step or 0) >= 5


class TestOneOfAUser(SchedulerContract):
    def make(self) -> Scheduler:
        return Impatient()
