"""Points of learning curves: which reports stand for a trial, and when they are looked at."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import pytest

from sweeptui.core.curves import MOST_TRIALS, Curves, points
from sweeptui.core.stores.rows import ScoreRow
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.suggesting import history
from sweeptui.core.trial import Observation, Report, Stage, Trial, TrialStatus


def trial(number: int = 1, step: float | None = 100.0, status: TrialStatus = TrialStatus.COMPLETED) -> Trial:
    return Trial(
        number, {"x": 0.5}, 0, 0.0, status=status, score=1.0, cost=8.0, step=step, total_steps=100.0, end_order=number
    )


def reported(*steps: float, job: int = 1) -> list[ScoreRow]:
    return [ScoreRow(k, job, 0.0, step, step / 100) for k, step in enumerate(steps)]


def complete(share: float = 1.0) -> Observation:
    return Observation(1, {"x": 0.5}, 1.0, 8.0, share)


def test_a_curve_is_looked_at_in_few_places_by_the_nearest_reports() -> None:
    found = points(trial(), complete(), reported(*range(1, 101)))
    assert [(p.fidelity, p.score, p.cost) for p in found] == [(0.13, 0.13, 1.04), (0.25, 0.25, 2.0), (0.5, 0.5, 4.0)]
    assert {(p.number, p.params["x"]) for p in found} == {(1, 0.5)}


def test_of_a_stopped_trial_the_shares_are_of_a_whole_training() -> None:
    found = points(trial(step=40.0, status=TrialStatus.STOPPED), complete(0.4), reported(*range(1, 41)))
    assert [p.fidelity for p in found] == pytest.approx([0.13, 0.25])
    assert points(trial(step=10.0), complete(0.1), reported(*range(1, 11))) == []


@pytest.mark.parametrize(
    "rows", [[], reported(1, 2), [ScoreRow(1, 1, 0.0, None, 3.0)], [ScoreRow(1, 1, 0.0, 25.0, math.nan)]]
)
def test_what_is_nowhere_near_or_no_number_is_no_point(rows: list[ScoreRow]) -> None:
    assert points(trial(), complete(), rows) == []
    assert points(trial(step=None), complete(), reported(25)) == []


def test_an_attempt_goes_on_with_the_curve_or_starts_it_again() -> None:
    resumed = [*reported(13, 24, 50), ScoreRow(9, 2, 0.0, 48.0, 7.0)]
    assert [p.score for p in points(trial(), complete(), resumed)] == [0.13, 0.24, 7.0]
    afresh = [*reported(10, 25, 50), *reported(9, 26, job=2)]
    assert [p.score for p in points(trial(), complete(), afresh)] == [0.09, 0.26]


def test_curves_are_read_once_and_only_where_a_trial_was_stopped() -> None:
    read: list[int] = []

    def rows(number: int) -> list[ScoreRow]:
        read.append(number)
        return reported(25)

    curves = Curves(rows)
    trials = {n: trial(n) for n in range(1, MOST_TRIALS + 11)}
    assert list(history(trials, 99, 99, curves=curves).curves) == []
    assert read == []
    trials[3] = trial(3, step=30.0, status=TrialStatus.STOPPED)
    for _ in range(2):
        assert len(history(trials, 99, 99, curves=curves).curves) == MOST_TRIALS
    assert read == list(range(11, MOST_TRIALS + 11))


def test_they_are_those_of_the_store(tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore.create(tmp_path / "sweep.db", "s", {})) as store:
        with store.transaction() as tx:
            tx.create_trial({"x": 0.5}, 0, {})
            job = tx.create_job(1, Stage.TRAIN, ["true"])
            tx.add_reports([Report(1, job.id, Stage.TRAIN, 0.0, step=s, score=s / 100) for s in (25.0, 50.0, 100.0)])
        curves = Curves(lambda number: store.scores(number, Stage.TRAIN))
        stopped = trial(2, step=30.0, status=TrialStatus.STOPPED)
        found = curves.of([(trial(), complete()), (stopped, Observation(2, {"x": 0.5}, 0.1, 1.0, 0.3))])
    assert [(p.number, p.fidelity, p.score) for p in found] == [(1, 0.25, 0.25), (1, 0.5, 0.5)]
