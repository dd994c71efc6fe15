"""What a suggestion may know of trainings that have not ended: told from the store alone, and used by Protein."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from engine_support import Sweep

from sweeptui import launch
from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial
from sweeptui.core.optimizers.messages import history_from_json, request_line
from sweeptui.core.optimizers.protein.optimizer import ProteinOptimizer
from sweeptui.core.schedulers import OptimizingScheduler, resolve
from sweeptui.core.space import Space
from sweeptui.core.state import Change, SweepState
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.suggesting import history
from sweeptui.core.trial import Observation, Point, Report, Stage, Trial, TrialStatus
from sweeptui.core.underway import KNOWN_REPORTS, Underway

ASHA = {"max_epochs": 9, "grace_period": 1}
SPACE = Space.from_parameters({"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}})


def trial(number: int, **fields: Any) -> Trial:
    return Trial(number, {"x": number / 10}, 0, 0.0, **{"status": TrialStatus.TRAINING, **fields})


def point(order: int, number: int, step: float | None, score: float = 0.5, **fields: Any) -> Point:
    return Point(
        order, number, fields.pop("job", number), step, fields.pop("total", 9.0), score, fields.pop("cost", None)
    )


def underway(*points: Point, **options: Any) -> Underway:
    def newest(number: int, up_to: int) -> Point | None:
        return next((each for each in reversed(points) if each.trial == number and each.order <= up_to), None)

    return Underway(newest, resolve("asha", {**ASHA, **options}).share, lambda: len(points))


@pytest.mark.parametrize(
    ("step", "total", "options", "share"),
    [
        (3.0, 9.0, {}, 1 / 3),
        (30.0, 90.0, {}, 1 / 3),
        (3.0, None, {}, 1 / 3),
        (3.0, 90.0, {"resource": "step"}, 1 / 3),
        (12.0, None, {}, 1.0),
        (2.9, 9.0, {"grace_period": 3}, None),
        (None, None, {}, None),
    ],
)
def test_a_report_is_known_at_the_share_that_asha_counts(
    step: float | None, total: float | None, options: dict[str, Any], share: float | None
) -> None:
    found = underway(point(1, 1, step, total=total), **options).observations([trial(1)], 1, whole_cost=6.0)
    assert [each.fidelity for each in found] == ([] if share is None else [pytest.approx(share)])
    assert [each.cost for each in found] == ([] if share is None else [pytest.approx(6.0 * share)])


def test_only_reports_of_its_time_are_known() -> None:
    reports = (point(1, 1, 1.0, 0.1, cost=2.0), point(2, 2, 2.0, math.nan), point(3, 1, 4.0, 0.4), point(4, 3, 5.0))
    known = underway(*reports)
    trials = {n: trial(n) for n in (1, 2, 3, 4)}
    trials[3] = trial(3, requeued_after_job=3)
    told = [history(trials, 5, 0, underway=known, reports=up_to).running for up_to in (0, 1, 2, 3, 4)]
    assert [[(each.number, each.score) for each in found] for found in told] == [
        [],
        [(1, 0.1)],
        [(1, 0.1)],
        [(1, 0.4)],
        [(1, 0.4)],
    ], "no number, and what is of the time before it was queued again, is left out"
    assert told[1][0].cost == 2.0
    trials[1] = trial(1, status=TrialStatus.STOPPED, end_order=1, score=0.4, step=4.0, total_steps=9.0)
    assert [each.number for each in history(trials, 5, 1, underway=known, reports=4).running] == []
    assert [each.number for each in history(trials, 5, 0, underway=known, reports=4).running] == [1], (
        "not ended yet then"
    )
    assert [each.number for each in history(trials, 5, 0, underway=known, reports=4).pending] == [1, 2, 3, 4]


def test_how_much_was_known_is_told_by_the_trials() -> None:
    trials = {1: trial(1, provenance={KNOWN_REPORTS: 3}), 2: trial(2), 4: trial(4, provenance={KNOWN_REPORTS: 9})}
    assert [underway().known_to(trials, number) for number in range(5)] == [0, 3, 3, 3, 9]


def test_schedulers_that_compare_nothing_know_of_no_report() -> None:
    assert OptimizingScheduler().share(trial(1), point(1, 1, 3.0)) is None


def test_the_newest_score_is_found_in_the_store(tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore.create(tmp_path / "sweep.db", "s", {})) as store:
        with store.transaction() as tx:
            for number, stage in ((1, Stage.TRAIN), (2, Stage.EVAL)):
                tx.create_trial({"x": 0.5}, 0, {})
                job = tx.create_job(number, stage, ["true"])
                scores = (0.1, 0.2, None) if number == 1 else (0.3,)
                tx.add_reports([Report(number, job.id, stage, 0.0, step=k, score=s) for k, s in enumerate(scores)])
        assert [getattr(store.newest_point(1, up_to), "score", None) for up_to in (0, 1, 2, 9)] == [None, 0.1, 0.2, 0.2]
        assert store.newest_point(2, 9) is None, "an evaluation is no training"


def told(running: bool) -> History:
    """Ten trials that train, the best of which are near 0.7."""
    xs = [k / 10 + 0.03 for k in range(10)]
    part = [Observation(k, {"x": x}, 0.5 - abs(x - 0.7), 1.0, 1 / 3) for k, x in enumerate(xs, 1)]
    pending = [PendingTrial(each.number, each.params) for each in part]
    return History(pending=pending, failures=[FailedTrial(11, {"x": 0.99}, "lost")], running=part if running else ())


def test_protein_learns_from_trainings_that_run() -> None:
    optimizer = ProteinOptimizer(SPACE, goal="maximize", settings={}, seed=0)
    [blind] = optimizer.suggest(told(running=False), 12)
    assert blind.provenance["method"] == "sobol", "nothing is known yet"
    found = optimizer.suggest(told(running=True), 12, 3)
    assert {each.provenance["method"] for each in found} == {"protein"}
    assert {each.provenance["n_observations"] for each in found} == {10}
    assert all(abs(each.params["x"] - 0.7) < 0.15 for each in found)


def test_what_runs_goes_to_the_process_of_the_optimizer() -> None:
    given = told(running=True)
    assert history_from_json(json.loads(request_line(1, given, 12, 1))["history"]).running == tuple(given.running)


TRAIN = (
    'for e in 1 2 3; do echo "{{\\"step\\": $e, \\"total_steps\\": 9, \\"score\\": $1}}" >> "$SWEEPTUI_REPORT"; done; '
    'until [ -e "$SIGNS/$SWEEPTUI_JOB.go" ]; do sleep 0.02; done; '
    'echo "{{\\"step\\": 9, \\"total_steps\\": 9, \\"score\\": $1}}" >> "$SWEEPTUI_REPORT"; '
)


def test_what_was_suggested_follows_from_the_store(tmp_path: Path) -> None:
    """Each suggestion is computed again once the sweep is over: from what the store says that it could know."""
    trials = 5
    sweep = Sweep(tmp_path)
    tool = sweep.tool(
        TRAIN,
        method="bayes",
        settings={"num_random_samples": 1},
        scheduler="asha",
        # Of trainings without checkpoints it ends none.
        scheduler_options={"max_epochs": 9, "grace_period": 1, "variant": "promotion"},
        max_trials=trials,
        max_parallel_jobs=2,
        suggest_ahead=1,
    )

    def listener(_: list[Change], state: SweepState) -> None:
        # A training ends once the next one's reports are known; so there always is one that has reported and runs.
        for number, each in state.trials.items():
            if each.step is not None and each.step >= 3:
                sweep.go(f"trial_{number - 1:04d}.train.1")
                if number == trials:
                    sweep.go(f"trial_{number:04d}.train.1")

    assert launch.prepare("test", tool, sweep.root).run(listener).exit_code == 0
    optimizer = ProteinOptimizer(tool.space, goal="maximize", settings={"num_random_samples": 1}, seed=tool.seed)
    with sweep.store() as store:
        known = Underway(store.newest_point, resolve("asha", tool.scheduler_options).share, lambda: 0)
        state: Mapping[int, Trial] = store.state.trials
        learnt = []
        for number in range(2, trials + 1):
            basis = state[number - 1]
            reports = known.known_to(state, number - 1)
            could_know = history(state, number, basis.known_ends, underway=known, reports=reports)
            [again] = optimizer.suggest(could_know, number)
            stored = {name: value for name, value in state[number].provenance.items() if name != KNOWN_REPORTS}
            assert (again.params, dict(again.provenance)) == (state[number].params, stored)
            learnt += [each.number for each in could_know.running]
        assert learnt, "otherwise this would prove nothing"
        assert {each.provenance["method"] for each in state.values()} >= {"protein"}
