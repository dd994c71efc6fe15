"""Several metrics in the cockpit: columns, filters, charts and the best panel."""

from __future__ import annotations

from typing import Any

import pytest

from sweeptui.app.best import _lines_of_front
from sweeptui.app.fields import Fields, Look
from sweeptui.app.plot import history, pareto
from sweeptui.app.plot.results import ended
from sweeptui.app.snapshot import Snapshot, snapshot
from sweeptui.core.config import ProteinConfig, SweepTool
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Stage, TrialStatus

VALUES = [(0.5, 5.0), (0.9, 9.0), (0.4, 6.0), (0.1, 1.0)]


@pytest.fixture
def seen(tmp_path: Any) -> Snapshot:
    metrics = [{"name": "accuracy"}, {"name": "cost", "goal": "minimize"}]
    parameters = {"k": {"values": ["a", "b"]}, "x": {"min": 0.0, "max": 1.0, "when": "k == 'a'"}}
    tool = SweepTool(protein_config=ProteinConfig(metrics=metrics, parameters=parameters), train_command=["true"])
    store = SqliteStore.create(tmp_path / "sweep.db", "s", tool.to_json())
    with store.transaction() as tx:
        for accuracy, cost in VALUES:
            number = tx.create_trial(params={"k": "b"}, seed=1, provenance={}).number
            job = tx.create_job(number, Stage.TRAIN, ["true"])
            tx.set_trial(number, status=TrialStatus.TRAINING)
            tx.set_trial(
                number, status=TrialStatus.COMPLETED, score=accuracy, metrics={"accuracy": accuracy, "cost": cost}
            )
            del job
    state = store.state
    found = snapshot(state, at=0.0, label="finished", best=state.best("maximize"), trials=tuple(state.trials.values()),
                     spent=0.0)  # fmt: skip
    store.close()
    return found


def test_each_metric_is_a_field_by_its_name(seen: Snapshot) -> None:
    fields = Fields.of(seen)
    first, second = seen.trials[:2]
    assert fields.find("accuracy") is fields.find("score")
    # The table has a column of that name already: what the trial cost.
    assert fields.metrics == ("metric.cost",)
    other = fields.find("metric.cost")
    assert [other.value(trial, Look()) for trial in (first, second)] == [5.0, 9.0]
    assert not other.descending
    assert seen.params == ("k", "x"), "a parameter has a column, whichever trials have it"


def test_the_charts_show_the_front(seen: Snapshot) -> None:
    found = ended(seen.trials)
    grown = history.chart(seen, found)
    line = next(trace for trace in grown.traces if trace.label == "front")
    assert list(line.ys) == sorted(line.ys)
    on_it = next(trace for trace in grown.traces if trace.label == "on it")
    assert list(on_it.trials) == [1, 2, 4]
    scatter = pareto.chart(seen, found)
    best = next(trace for trace in scatter.traces if trace.label == "Pareto front")
    assert list(zip(best.xs, best.ys, best.trials, strict=True)) == [(1.0, 0.1, 4), (5.0, 0.5, 1), (9.0, 0.9, 2)]


def test_the_best_panel_has_the_ends_of_the_front(seen: Snapshot) -> None:
    text = ["".join(piece for piece, _ in line) for line in _lines_of_front(seen, 60)]
    assert text[0] == "★ 3 on the front  of 4 trials"
    assert any(line.startswith("best accuracy 0.9") and "trial_0002" in line for line in text)
    assert any(line.startswith("best cost 1") and "trial_0004" in line for line in text)
    assert "with accuracy 0.1" in text
