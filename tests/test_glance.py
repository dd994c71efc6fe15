"""The first look at a large sweep says what reading all of it says."""

from __future__ import annotations

import math
from contextlib import closing

import pytest
from app_sweep import Sweep, frame, until

from sweeptui.app import opening
from sweeptui.app.cockpit import Cockpit
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.stores.base import StoreMissingError
from sweeptui.core.stores.glance import glance
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, TrialStatus

SCORES = (3.0, math.nan, 7.5, math.inf, 7.5, -math.inf, -2.0, 7.5, 0.0, None, -2.0, 5.0)
COSTS = (1.0, 1.0, 9.0, 1.0, 4.0, 1.0, 6.0, 4.0, 1.0, 1.0, None, 2.0)


def sweep_of(tmp_path, goal: str) -> Sweep:
    sweep = Sweep(tmp_path)
    with sweep.store.transaction() as tx:
        config = dict(sweep.store.state.config)
        tx.set_sweep(config={**config, "protein_config": {**config["protein_config"], "goal": goal}})
    for score, cost in zip(SCORES, COSTS, strict=True):
        number = sweep.trial()
        sweep.start(number)
        if score is None:
            sweep.end(number, failure=FailureKind.CRASHED)
        else:
            sweep.end(number, score)
            sweep.set(number, TrialStatus.COMPLETED, cost=cost, spent=1.5)
    killed = sweep.trial()
    sweep.set(killed, TrialStatus.KILLED, score=99.0)
    sweep.start(sweep.trial())
    sweep.trial()
    return sweep


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("newest", [1, 4, 1000])
def test_a_glance_says_what_the_whole_says(tmp_path, goal, newest):
    path = sweep_of(tmp_path, goal).folder / "sweep.db"
    found = glance(path, newest, many=5)
    with closing(SqliteStore.open(path, readonly=True)) as store:
        state = store.state
    trials = [state.trials[number] for number in sorted(state.trials)]
    assert repr(list(found.state.trials.values())) == repr(trials[-newest:])
    assert found.older == max(0, len(trials) - newest)
    assert found.state.counts == state.counts
    assert found.state.running_jobs == state.running_jobs
    assert found.best == tuple(item.trial for item in ranked(trials, goal)[:2])
    assert found.spent == pytest.approx(sum(trial.spent for trial in trials))
    assert glance(path, newest, many=len(trials)).older == 0


def test_a_glance_at_nothing(tmp_path):
    with pytest.raises(StoreMissingError):
        glance(tmp_path / "sweep.db", 1, 1)


async def test_the_newest_are_shown_first_and_then_all(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "FEW", 5)
    monkeypatch.setattr(opening, "NEWEST", 4)
    monkeypatch.setattr(opening, "PAINTED_S", 60.0)
    monkeypatch.setattr(opening, "FRAME_S", 60.0)
    sweep = sweep_of(tmp_path, "maximize")
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock)
    painted, app._watcher.opening.painted = app._watcher.opening.painted, lambda: None
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: any("queued" in line for line in frame(app)), "the newest trial")
        assert [trial.number for trial in app.snapshot.trials] == [12, 13, 14, 15]
        assert any("Trials 15" in line for line in frame(app))
        assert any("7.5" in line and "#5" in line for line in frame(app)[:3])  # the best of all
        assert app.table.cursor == 15
        painted()
        await until(pilot, lambda: len(app.snapshot.trials) == 15, "all trials")
        assert app.snapshot.older == 0
        assert app.table.cursor == 15
