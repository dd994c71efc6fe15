"""`sweeptui validate`: replicates in the engine, and what is concluded from them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commandline import Project
from scipy import stats

from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.analysis.replicates import estimate, gain
from sweeptui.core.state import SweepState
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.suggesting import history
from sweeptui.core.trial import VALIDATION, TrialStatus

SEEDED = """\
import json, os, random, sys, time
lr, seed = float(sys.argv[1]), int(sys.argv[2])
noise = random.Random(seed)
while os.path.exists("hold"):
    time.sleep(0.02)
with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
    score = 100 * lr + noise.gauss(0, 0.1) + random.Random(f"{seed} {lr}").gauss(0, 0.01)
    file.write(json.dumps({"step": 1, "score": score, "cost": 1.0}) + "\\n")
"""
FIELDS: dict[str, Any] = {
    "max_trials": 4,
    "protein_config": {
        "metric": "score",
        "goal": "minimize",
        "method": "random",
        "parameters": {"model.lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-2}},
    },
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    (tmp_path / "seeded.py").write_text(SEEDED)
    project.recipe(**FIELDS)
    recipe = json.loads((tmp_path / "recipe.yaml").read_text())
    recipe["train_command"] = ["{python}", "-S", "seeded.py", "{p:model.lr}", "{seed}"]
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    return project


def stored(project: Project) -> SweepState:
    with closing(SqliteStore.open(project.folder / "train_dir/sweeps/s/sweep.db", readonly=True)) as store:
        return store.state


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def test_what_is_concluded_is_what_scipy_says() -> None:
    ours, theirs = {1: 3.0, 2: 3.4, 3: 2.9, 4: 3.3}, {1: 2.1, 2: 2.6, 3: 2.2, 4: 2.3, 5: 9.0}
    found = gain(ours, theirs, "maximize", comparisons=3)
    test = stats.ttest_rel([3.0, 3.4, 2.9, 3.3], [2.1, 2.6, 2.2, 2.3])
    low, high = test.confidence_interval(1 - 0.05 / 3)
    assert (found.pairs, found.low, found.high) == (4, pytest.approx(low), pytest.approx(high))
    assert found.p == pytest.approx(3 * test.pvalue)
    assert found.verdict == "real"
    other = gain(ours, theirs, "minimize")
    assert other.mean == pytest.approx(-found.mean)  # type: ignore[operator]
    assert other.verdict == "worse"
    assert gain({1: 1.0, 2: 2.0, 3: 1.5}, {1: 1.1, 2: 1.7, 3: 1.6}, "maximize").verdict == "not shown"
    assert gain({1: 1.0}, {1: 0.5}, "maximize").verdict == "too few"
    assert gain({1: 0.1, 2: 0.3}, {1: 0.0, 2: 0.2}, "maximize").verdict == "no noise"
    one = estimate([1.0, 2.0, 4.0])
    low, high = stats.ttest_1samp([1.0, 2.0, 4.0], 0).confidence_interval(0.95)
    assert (one.low, one.high) == (pytest.approx(low), pytest.approx(high))
    assert (estimate([5.0]).mean, estimate([5.0]).low, estimate([]).mean) == (5.0, None, None)


def test_replicates_go_on_after_a_kill_and_are_no_part_of_the_search(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--headless", "--quiet")
    before = stored(project)
    best = ranked(before.trials.values(), "minimize")[0].trial.id
    words = ("validate", "s", "--top-k", "2", "--seeds", "3", "--json")
    (project.folder / "hold").touch()
    running = subprocess.Popen(
        project.argv(*words), cwd=project.folder, env=project.env(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    until(lambda: any(trial.status is TrialStatus.TRAINING for trial in stored(project).active))
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert stored(project).active, "the kill came too late to leave anything"
    (project.folder / "hold").unlink()

    shape = json.loads(project.run(*words).stdout)
    after = stored(project)
    assert len(after.replicates) == 9
    assert after.counts[TrialStatus.COMPLETED] == 4 + 9
    assert (after.searched, str(after.status), after.reason) == (4, "finished", "all 4 trials are done")
    # None twice: each configuration once with each seed, and each seed with all three.
    made = [(after.trials[number].provenance["of"], after.trials[number].seed) for number in sorted(after.replicates)]
    assert len(set(made)) == 9
    assert len({seed for _, seed in made}) == 3
    assert {seed for _, seed in made}.isdisjoint(trial.seed for trial in before.trials.values())
    assert all(after.trials[number].attempt == 1 for number in after.replicates), "one was trained twice"
    # Not the best, and not told to the optimizer.
    assert ranked(after.trials.values(), "minimize")[0].trial.id == best
    assert len(history(after.trials, 99, 99).observations) == 4
    assert after.best("minimize") == before.best("minimize")

    default, first, second = shape["configurations"]
    assert (default["of"], first["of"]) == ("default", best)
    assert [each["seeds"] for each in shape["configurations"]] == [3, 3, 3]
    by_trial = {number: trial.score for number, trial in after.trials.items()}
    numbers = [int(name.removeprefix("trial_")) for name in first["trials"]]
    assert first["mean"] == pytest.approx(sum(by_trial[number] or 0 for number in numbers) / 3)
    pairs = [[by_trial[int(name.removeprefix("trial_"))] for name in each["trials"]] for each in (default, first)]
    test = stats.ttest_rel(*pairs)
    assert first["gain"]["p"] == pytest.approx(min(1, 2 * test.pvalue))
    low, high = test.confidence_interval(1 - 0.05 / 2)  # default minus ours: less is better
    assert (first["gain"]["low"], first["gain"]["high"]) == (pytest.approx(low), pytest.approx(high))
    assert second["gain"]["pairs"] == 3

    # Asked again there is nothing to do; with more seeds only those are made.
    assert json.loads(project.run(*words).stdout) == shape
    project.run("validate", "s", "--top-k", "2", "--seeds", "4")
    assert len(stored(project).replicates) == 12
    # The search goes on as if there were none: two more trials, not fewer.
    project.run("recipe.yaml", "--sweep-name", "s", "--max-trials", "6", "--headless", "--quiet")
    assert stored(project).searched == 6
    listed = json.loads(project.run("list", "--json").stdout)
    assert (listed[0]["trial_count"], listed[0]["replicates"]) == (18, 12)


def test_a_sweep_that_was_ended_early_is_not_searched_further(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--headless", "--quiet")
    project.run("set", "s", "--max-trials", "20")
    project.run("stop", "s")
    said = project.run("validate", "s", "--top-k", "1", "--seeds", "2").stdout
    state = stored(project)
    assert (state.searched, str(state.status)) == (4, "stopped")
    assert "over 2 seeds" in said
    assert "against the default" in said
    replicate = state.trials[max(state.replicates)]
    assert replicate.provenance["method"] == VALIDATION
    frame = project.run("frame", "s", "--screen", "trial", "--at-trial", str(replicate.number)).stdout
    assert "validation" in frame


def test_mistakes_are_one_sentence_and_change_nothing(project: Project) -> None:
    recipe = project.recipe(name="plain.yaml", **FIELDS)
    project.run(recipe, "--sweep-name", "s", "--headless", "--quiet")
    journal = stored(project).last_seq
    refused = project.run("validate", "s", code=2).stderr
    assert "has no {seed}" in refused
    assert "--seed-parameter" in refused
    assert "--top-k" in project.run("validate", "s", "--top-k", "0", code=2).stderr
    assert "2 or more" in project.run("validate", "s", "--seeds", "1", code=2).stderr
    assert "no metric of this sweep" in project.run("validate", "s", "--by", "loss", code=2).stderr
    assert stored(project).last_seq == journal
    said = project.run("validate", "s", "--top-k", "1", "--seeds", "2", "--seed-parameter", "SWEEPTUI_SEED").stdout
    assert "it is the same with every seed" in said
