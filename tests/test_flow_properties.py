"""Whatever happens to a sweep, each of its trials goes through its stages in order."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from test_engine_properties import ENDS, FAULTS, QUICK, Fault, FragileStore, SweepMachine

from sweeptui.core.flow import Flow
from sweeptui.core.trial import Job, JobOutcome, Stage, Trial, TrialStatus

COMMAND = ["stage", "{p:x}"]
STAGES = [
    {"name": "data", "command": COMMAND, "gives": {"rows": "int"}, "retries": 1},
    {"name": "warm", "command": COMMAND, "may_fail": True},
    {"name": "train", "takes": {"rows": "int"}},
    "eval",
    {"name": "export", "command": [*COMMAND, "{in:rows}"], "may_fail": True, "retries": 1},
]


class FlowMachine(SweepMachine):
    FIELDS: ClassVar[Mapping[str, Any]] = {
        "stages": STAGES,
        "evaluation_simulations": [{"name": "a/b", "command": COMMAND}, {"name": "c", "command": COMMAND}],
    }
    GIVEN: ClassVar[Mapping[str, Any]] = {"rows": 3}
    went: ClassVar[Counter[str]] = Counter()

    @precondition(lambda self: self.optional())
    @rule(fault=FAULTS)
    def what_may_fail_fails(self, fault: Fault) -> None:
        self.world.end(self.optional()[0], ENDS["crash"])
        self.turns(1, fault)

    def optional(self) -> list[str]:
        return [name for name in self.world.live() if self.world.jobs[name].spec.stage in ("warm", "export")]

    @invariant()
    def stages_come_in_order(self) -> None:
        if self.orchestrator is None:
            return
        flow = Flow.of(self.tool)
        for trial in self.store.state.trials.values():
            self._follow(flow, self.store.jobs(trial.number), trial)

    def _let_all_end(self) -> None:
        super()._let_all_end()
        with contextlib.closing(FragileStore.open(self.path, safe_mode=False)) as store:
            for trial in store.state.trials.values():
                self._follow(Flow.of(self.tool), store.jobs(trial.number), trial)

    def _follow(self, flow: Flow, jobs: Sequence[Job], trial: Trial) -> None:
        """A stage begins only where those before it are behind the trial."""
        order = [step.stage for step in flow.steps]
        behind: set[Stage] = set()
        for job in jobs:
            before = order[: order.index(job.stage)]
            assert behind.issuperset(before), f"{trial.id}: {job.stage} began after {sorted(behind)} only"
            if job.stage is Stage.TRAIN:
                # All that follows is to be done again.
                behind = set(before)
            failed = job.outcome is not None and job.outcome.failure is not None
            if job.outcome is JobOutcome.COMPLETED or (failed and flow.step(job.stage).given.may_fail):
                behind.add(job.stage)
                self.went[f"{job.stage} {'failed' if failed else 'done'}"] += 1
        if trial.status is TrialStatus.COMPLETED:
            assert behind == set(order)
            assert trial.score is not None
            assert trial.metrics["rows"] == 3
            assert "c" in trial.metrics


def test_whatever_happens_the_stages_come_in_order() -> None:
    run_state_machine_as_test(FlowMachine, settings=settings(QUICK, max_examples=20))
    assert {"warm failed", "export done", "eval-c done"} <= set(FlowMachine.went)
