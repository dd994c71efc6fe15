"""A sweep that learns from another one: what is taken over, what is refused, and that it helps."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from commandline import Project

from sweeptui import ParameterConfig, ProteinConfig, SweepTool
from sweeptui.core import warmstart
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.protein.optimizer import ProteinOptimizer
from sweeptui.core.space import Space
from sweeptui.core.state import SweepState
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Observation, Trial, TrialStatus
from sweeptui.launch import prepare
from sweeptui.preview import dry_run

AXIS = ParameterConfig(min=0.0, max=1.0)
PEAK = 'awk "BEGIN {{ print 5 - ($1 - 0.83)^2 - 2 * ($2 - 0.12)^2 }}"'
SCORE = f'echo "{{{{\\"score\\": $({PEAK}), \\"cost\\": 1}}}}" >> "$SWEEPTUI_REPORT"'
"""Best, 5, at x = 0.83 and y = 0.12."""


def tool(name: str, trials: int, parameters: dict[str, Any], **fields: Any) -> SweepTool:
    protein = {key: fields.pop(key) for key in ("method", "goal", "metric", "metrics") if key in fields}
    return SweepTool(
        sweep_name=name,
        max_trials=trials,
        train_command=["/bin/sh", "-c", SCORE, "sh", "{p:x}", "{p:y}"],
        protein_config=ProteinConfig(parameters=parameters, **protein),
        min_free_disk_mb=0,
        suggest_ahead=0,
        **fields,
    )


OLD = {"x": AXIS, "y": AXIS, "momentum": AXIS}
NEW = {"x": ParameterConfig(min=0.55, max=1.0), "y": AXIS, "dropout": ParameterConfig(min=0.0, max=0.5, mean=0.1)}


def state_of(root: Path, name: str) -> SweepState:
    with contextlib.closing(SqliteStore.open(root / "train_dir/sweeps" / name / "sweep.db", readonly=True)) as store:
        return store.state


def scores(state: SweepState) -> list[float]:
    found = [trial.score for trial in state.trials.values() if trial.status is TrialStatus.COMPLETED]
    return [score for score in found if score is not None]


def test_a_warm_start_helps_and_outlives_the_sweep_that_it_came_from(tmp_path: Path) -> None:
    assert prepare("r", tool("old", 14, OLD, method="random"), tmp_path).run().exit_code == 0
    assert prepare("r", tool("cold", 7, NEW), tmp_path).run().exit_code == 0
    whole = tool("whole", 4, NEW, warm_start="old")
    assert prepare("r", whole, tmp_path).run().exit_code == 0
    prepare("r", tool("parts", 2, NEW, warm_start="old"), tmp_path).run()
    shutil.rmtree(tmp_path / "train_dir/sweeps/old")
    prepare("r", tool("parts", 4, NEW), tmp_path).run()

    cold, warm = state_of(tmp_path, "cold"), state_of(tmp_path, "whole")
    assert max(scores(warm)) > max(scores(cold))
    off_warm, off_cold = (5 - sum(scores(state)) / len(scores(state)) for state in (warm, cold))
    assert off_warm < 0.3 * off_cold, "no trial is spent on finding out what is known"
    taken = warmstart.stored(warm.config)
    assert (taken["shared"], taken["dropped"], taken["added"]) == (["x", "y"], ["momentum"], ["dropout"])
    assert len(taken["trials"]) + taken["left_out"] == 14
    assert taken["left_out"] > 0
    assert {params["dropout"] for params, _, _ in taken["trials"]} == {0.1}
    for trial in warm.trials.values():
        assert trial.provenance["method"] == "protein"
        assert trial.provenance["n_warm_start"] == len(taken["trials"])
    parts = state_of(tmp_path, "parts")
    assert [dict(trial.params) for trial in parts.trials.values()] == [dict(t.params) for t in warm.trials.values()]

    shown = Project(tmp_path).run("show", "whole").stdout
    assert f"warm start: {len(taken['trials'])} trials of old; shared x, y; dropped momentum; added dropout" in shown


@pytest.mark.parametrize(
    ("parameters", "fields", "sentence"),
    [
        ({"z": AXIS}, {}, "searched none of this sweep's parameters (it searched momentum, x, y)"),
        (NEW, {"goal": "minimize"}, "whose goal is 'maximize' where this sweep's is 'minimize'"),
        (NEW, {"metric": "other"}, "whose metric is 'score' where this sweep's is 'other'"),
        (NEW, {"method": "random"}, "method 'random' cannot learn from another sweep; use --method bayes"),
        ({"x": ParameterConfig(min=3.0, max=4.0)}, {}, "no completed trial to learn from, and 2 outside"),
        (NEW, {"metrics": [{"name": "score"}, {"name": "loss", "goal": "minimize"}]}, "has several metrics"),
        (NEW, {"warm_start": "older"}, "there is no sweep 'older'"),
    ],
)
def test_where_there_is_nothing_to_learn_from_it_is_refused(
    tmp_path: Path, parameters: dict[str, Any], fields: dict[str, Any], sentence: str
) -> None:
    prepare("r", tool("old", 2, OLD, method="random"), tmp_path).run()
    asked = tool("new", 2, parameters, **{"warm_start": "old", **fields})
    asked = asked.model_copy(update={"train_command": ["true"]})
    for refused in (prepare, dry_run):
        with pytest.raises(UserError) as raised:
            refused("r", asked, tmp_path)  # type: ignore[operator]
        assert sentence in str(raised.value)
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "train_dir/sweeps/new").exists()


def test_a_sweep_that_is_there_keeps_what_it_began_with(tmp_path: Path) -> None:
    prepare("r", tool("old", 2, OLD, method="random"), tmp_path).run()
    prepare("r", tool("new", 1, NEW, method="random"), tmp_path).run()
    with pytest.raises(UserError, match="'new' is there already and was not warm-started; choose another --sweep-name"):
        prepare("r", tool("new", 2, NEW, warm_start="old"), tmp_path)


def test_of_a_long_sweep_the_best_and_the_newest_are_taken() -> None:
    sweep = tool("s", 1, {"x": AXIS})
    trials = {
        n: Trial(n, {"x": 0.5}, 0, 0.0, status=TrialStatus.COMPLETED, score=float(-abs(n - 50)), cost=1.0)
        for n in range(1, 1001)
    }
    taken = warmstart.copied("s", sweep, trials, sweep)["trials"]
    assert len(taken) == warmstart.MOST
    kept = [50 - score for _, score, _ in taken if score <= 0]
    assert {score for _, score, _ in taken[:99]} >= {float(-k) for k in range(50)}
    assert len(kept) == warmstart.MOST
    assert taken[-1][1] == -950.0


def test_another_sweeps_scores_may_be_off() -> None:
    """An offset of a hundred spreads is learnt: the search goes where the other sweep was good, and promises no more
    than it has seen itself."""
    space = Space.from_parameters({"x": AXIS, "y": AXIS})

    def score(params: Any) -> float:
        return float(-((params["x"] - 0.8) ** 2) - (params["y"] - 0.3) ** 2)

    grid = [{"x": x / 4, "y": y / 4} for x in range(5) for y in range(5)]
    prior = tuple(Observation(k - 25, params, 100 + score(params), 1.0) for k, params in enumerate(grid))
    own = tuple(Observation(k, p, score(p), 1.0) for k, p in enumerate(({"x": 0.1, "y": 0.1}, {"x": 0.2, "y": 0.9}), 1))
    optimizer = ProteinOptimizer(space, goal="maximize", settings={}, seed=0)
    [suggestion] = optimizer.suggest(History(own, prior=prior), 3)
    assert score(suggestion.params) > -0.01
    assert suggestion.provenance["score_mean"] < 1
    assert "cost_mean" in suggestion.provenance
    capped = ProteinOptimizer(space, goal="maximize", settings={"max_suggestion_cost": 0.5}, seed=0)
    [first] = capped.suggest(History(prior=prior), 1)
    assert not first.provenance.keys() & {"cost_mean", "over_cost"}, (
        "what another sweep's trials cost is not this one's"
    )
    [alone] = optimizer.suggest(History(own), 3)
    assert score(alone.params) < score(suggestion.params)


def test_replicates_are_no_trials_and_tell_how_lucky_the_best_was(tmp_path: Path) -> None:
    noisy = tool("old", 6, {"x": AXIS, "y": AXIS}, method="random", seed=3)
    luck = 'echo "{{\\"score\\": 0.$(printf %03d $(({seed} % 1000))), \\"cost\\": 1}}" >> "$SWEEPTUI_REPORT"'
    noisy = noisy.model_copy(update={"train_command": ["/bin/sh", "-c", luck, "sh", "{p:x}", "{p:y}", "{seed}"]})
    assert prepare("r", noisy, tmp_path).run().exit_code == 0
    before = {trial.id: trial.score for trial in state_of(tmp_path, "old").trials.values()}
    Project(tmp_path).run("validate", "old", "--top-k", "1", "--seeds", "2", "--root", str(tmp_path))
    state = state_of(tmp_path, "old")
    assert len(state.replicates) == 4, "the best configuration and the default"
    prepare("r", tool("new", 1, {"x": AXIS, "y": AXIS}, warm_start="old"), tmp_path).run()
    taken = warmstart.stored(state_of(tmp_path, "new").config)["trials"]
    assert len(taken) == 6
    replicated: dict[str, list[float]] = {}
    for number in state.replicates:
        trial = state.trials[number]
        assert trial.score is not None
        replicated.setdefault(str(trial.provenance["of"]), []).append(trial.score)
    for number, (params, score, _) in enumerate(taken, start=1):
        trial = state.trials[number]
        assert params == trial.params
        own = [float(before[trial.id] or 0), *replicated.get(trial.id, ())]
        assert score == pytest.approx(sum(own) / len(own))
    best = max(before, key=lambda name: before[name] or 0)
    assert taken[int(best[-4:]) - 1][1] < (before[best] or 0), "the best was lucky"
