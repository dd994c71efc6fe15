"""The experiments that are run by name: for real, small, and killed in the middle."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeptui.acting import pause_experiment, resume_experiment
from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.experiments import (
    CurriculumExperiment,
    HybridExperiment,
    MetaExperiment,
    PBTScheduler,
    RandomOptimizer,
    SweepExperiment,
    Uniform,
)
from sweeptui.experiments.inside import configured
from sweeptui.families import ExperimentSight, StageSight, parents, sight_experiment, stage_of
from sweeptui.folders import DATABASE, sweep_names, sweep_path
from sweeptui.recipes.spirals_train import Config, Training

PATIENCE_S = 150.0
WORK = """
import json, os, sys, time
from pathlib import Path
import sweeptui

given = dict(pair.split("=", 1) for pair in sys.argv[1:])
x, level = float(given.get("x", 0.3)), float(given.get("level", 0))
begun_from = os.environ.get("SWEEPTUI_CHECKPOINT")
epoch = json.loads(Path(begun_from).read_text())["epoch"] if begun_from else 0
learnt = json.loads(Path(given["init"]).read_text())["learnt"] if "init" in given else 0.0
while epoch < 4:
    epoch += 1
    file = Path(os.environ["SWEEPTUI_TRIAL_DIR"], "checkpoints", f"{epoch}.json")
    score = min(1.0, (1 - abs(x - 0.25)) * epoch / 4 - 0.3 * level + learnt)
    file.write_text(json.dumps({"epoch": epoch, "learnt": 0.3 * (level + 1)}))
    sweeptui.report(step=epoch, total_steps=4, score=score, cost=epoch, checkpoint=file)
    if epoch == 2 and os.environ["SWEEPTUI_SWEEP"].endswith("refine") and not begun_from:
        time.sleep(150)  # until its generation is ended
"""
SCRIPT = """
import sys
from sweeptui.experiments import *

SPACE = {"x": Uniform(0.0, 1.0)}
TRAIN = ["{python}", "work.py", "{overrides}"]
BASE = SweepExperiment(None, RandomOptimizer(SPACE), train=TRAIN)
EXPERIMENTS = {
    "curriculum": lambda: CurriculumExperiment(
        "c", tasks=[{"level": 0}, {"level": 1}], mastery=0.6, train=TRAIN, trials=3, carry="init",
        optimizer=RandomOptimizer(SPACE),
    ),
    "hybrid": lambda: HybridExperiment(
        "h", train=TRAIN, explore=3, model=2, population_size=2, generations=2, candidates=1, n_seeds=2,
        protein_config={"metric": "score", "goal": "maximize", "parameters": {"x": {"min": 0.0, "max": 1.0}}},
    ),
    "meta": lambda: MetaExperiment(
        "m", base=BASE, optimizer=GridOptimizer(), space={"method": Choice(["random", "sobol"])},
        configurations=2, trials=2, repeats=2,
    ),
}
print("\\n".join((experiment := EXPERIMENTS[sys.argv[1]]()).summary(experiment.run(root=sys.argv[2]))))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "flow.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(project: Path, name: str, root: str) -> subprocess.Popen[str]:
    (project / root).mkdir(exist_ok=True)
    argv = [sys.executable, "flow.py", name, str(project / root)]
    return subprocess.Popen(argv, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def trials(root: Path) -> dict[str, list[Any]]:
    """Of each sweep, its trials' parameters and scores."""
    found = {}
    for name in sweep_names(root):
        with closing(SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True)) as store:
            found[name] = [
                (number, dict(trial.params), trial.score) for number, trial in sorted(store.state.trials.items())
            ]
    return found


@pytest.mark.parametrize(("name", "sweeps_before"), [("curriculum", 2), ("hybrid", 3), ("meta", 3)])
def test_killed_in_the_middle_and_run_again_it_comes_to_the_same(project: Path, name: str, sweeps_before: int) -> None:
    killed = run(project, name, "killed")
    deadline = time.monotonic() + PATIENCE_S
    # The last of these sweeps has been begun: the process is in the middle of it.
    while len(sweep_names(project / "killed")) < sweeps_before and time.monotonic() < deadline:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    whole, gone_on = run(project, name, "whole"), run(project, name, "killed")
    expected, said = whole.communicate(timeout=PATIENCE_S), gone_on.communicate(timeout=PATIENCE_S)
    assert whole.returncode == gone_on.returncode == 0, (expected, said)
    assert said[0] == expected[0]
    if name == "hybrid":
        validated = trials(project / "whole")["h.validate"]
        assert len(validated) == 2, "as many as there are seeds"
    assert trials(project / "killed") == trials(project / "whole")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_again_and_again_between_two_writes_it_comes_to_the_same(project: Path) -> None:
    """Of the experiment's store or of a sweep's inside it: each run dies some writes further on."""
    text = (project / "flow.py").read_text()
    deadly = """
import os, signal
from sweeptui.core.stores.sqlite import SqliteStore

left, commit = int(os.environ["WRITES"]), SqliteStore._commit

def mortal(self):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self)

SqliteStore._commit = mortal
"""
    (project / "deadly.py").write_text(deadly + text)
    whole = run(project, "curriculum", "whole")
    expected, _ = whole.communicate(timeout=PATIENCE_S)
    (project / "cut").mkdir()
    deaths, writes, done = 0, 5, None
    while done is None or done.returncode:
        writes += 1  # each run gets one write further than the one before
        done = subprocess.run(
            [sys.executable, "deadly.py", "curriculum", str(project / "cut")],
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | {"WRITES": str(writes)},
            timeout=PATIENCE_S,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        deaths += done.returncode != 0
    assert deaths > 5
    assert done.stdout == expected
    assert trials(project / "cut") == trials(project / "whole")


def test_a_curriculum_hands_on_what_was_learnt(project: Path) -> None:
    command = ["{python}", "work.py", "{overrides}"]
    tasks = [{"level": 0}, {"level": 1}, {"level": 9}]
    fields: dict[str, Any] = {"tasks": tasks, "mastery": 0.6, "train": command, "trials": 2, "sweeps_per_task": 2}
    space = RandomOptimizer({"x": Uniform(0.2, 0.3)})
    experiment = CurriculumExperiment("c", carry="init", optimizer=space, **fields)
    result: Any = experiment.run()
    assert [(each["mastered"], each["sweeps"]) for each in result.outcomes] == [(True, 1), (True, 1), (False, 2)]
    assert result.outcomes[2]["trials"] == 4
    assert len(experiment.summary(result)) == 3
    # Without what the first task taught, the second is not mastered.
    alone: Any = CurriculumExperiment("alone", optimizer=space, **{**fields, "mastery": 0.9}).run()
    assert [each["mastered"] for each in alone.outcomes] == [True, False]


@pytest.mark.slow
def test_a_population_of_optimizers(project: Path) -> None:
    """The seed's third level: PBT over the settings of Protein, whose sweeps go on from each other."""
    base = SweepExperiment(None, train=["{python}", "work.py", "{overrides}"], protein_config=protein())
    meta = MetaExperiment(
        "m",
        base=base,
        optimizer=PBTScheduler(population_size=2, num_generations=2),
        space={"ucb_beta": Uniform(0.5, 3.0)},
        trials=2,
    )
    result: Any = meta.run()
    assert len(result.results["trials"]) == 4
    children = [trial for trial in result.results["trials"] if "parent" in trial["provenance"]]
    assert len(children) == 2
    name = f"m.search.{children[0]['id']}-2"
    with closing(SqliteStore.open(sweep_path(project, name) / DATABASE, readonly=True)) as store:
        parent = result.results["trials"][children[0]["provenance"]["parent"] - 1]
        assert store.state.config["warm_start"] == f"m.search.{parent['id']}-1"


def protein() -> dict[str, Any]:
    return {"metric": "score", "goal": "maximize", "parameters": {"x": {"min": 0.0, "max": 1.0}}}


def test_settings_are_those_of_the_method_that_has_them() -> None:
    base = {"method": "bayes", "settings": {"ucb_beta": 1.0}, "metric": "score"}
    assert configured(base, {"num_random_samples": 2})["settings"] == {"ucb_beta": 1.0, "num_random_samples": 2}
    assert configured(base, {"method": "sobol", "num_random_samples": 2})["settings"] == {}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CurriculumExperiment(tasks=[], mastery=1.0), r"tasks is \[\]; give a mapping"),
        (lambda: CurriculumExperiment(tasks=[{}], mastery=1.0, trials=0), "trials is 0; it must be at least 1"),
        (lambda: HybridExperiment(n_seeds=0), "n_seeds is 0; it must be at least 1"),
        (lambda: MetaExperiment(repeats=0), "repeats is 0; it must be at least 1"),
        (lambda: MetaExperiment(base="ppo"), "base is 'ppo'; give a SweepExperiment"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_one_sentence(make: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


def sweeptui(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sweeptui", *words]
    return subprocess.run(argv, check=False, cwd=project, capture_output=True, text=True, timeout=PATIENCE_S)


def test_an_experiment_is_run_by_name(project: Path) -> None:
    words = ("--headless", "--json", "--args", "epochs=4", "trials=1", "mastery=0.1")
    done = sweeptui(project, "curriculum", *words, "--sweep-name", "small", "--max-trials", "9")
    assert done.returncode == 0, done.stderr
    shape = json.loads(done.stdout)
    assert shape["name"] == "small"
    assert [each["trials"] for each in shape["result"]["outcomes"]] == [1, 1, 1, 1]
    again = sweeptui(project, "curriculum", "--headless", *words[2:], "--sweep-name", "small")
    assert again.stdout.count("mastered with") == 4
    short = sweeptui(project, "curriculum", "--headless", *words[2:], "--sweep-name", "short", "--max-trials", "1")
    assert short.returncode == 4
    assert "experiment short: its budget is used up" in short.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("curriculum", "--scheduler", "asha"), "--scheduler is for sweeps, and curriculum is an experiment"),
        (("hybrid", "--args", "seeds=3"), "--args: hybrid takes no 'seeds'; it takes name, explore, model, n_seeds"),
        (("frame", "curriculum"), "curriculum"),
    ],
)
def test_what_an_experiment_does_not_take_is_refused(project: Path, words: tuple[str, ...], said: str) -> None:
    done = sweeptui(project, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "train_dir").exists()


def test_a_sweep_and_an_experiment_are_not_mistaken_for_each_other(project: Path) -> None:
    space = RandomOptimizer({"x": Uniform(0.0, 1.0)})
    sweep = SweepExperiment("one", space, train=["{python}", "work.py", "{overrides}"])
    sweep.run(budget=1)
    with pytest.raises(UserError, match="one is a sweep already"):
        CurriculumExperiment("one", tasks=[{}], mastery=0.0).run()


def test_stopping_an_experiment_ends_what_is_inside_it_and_it_can_go_on(project: Path) -> None:
    slow = WORK.replace("while epoch < 4:", "while epoch < 4:\n    time.sleep(float(os.environ.get('SLOW', '0')))")
    (project / "work.py").write_text(slow)
    argv = [sys.executable, "flow.py", "curriculum", str(project)]
    running = subprocess.Popen(argv, env=os.environ | {"SLOW": "150"}, stderr=subprocess.PIPE, text=True)
    sweep = sweep_path(project, "c.loop1-0-optimize_task")
    deadline = time.monotonic() + PATIENCE_S
    while not list(sweep.glob("trials/*/*.log")) and time.monotonic() < deadline:
        time.sleep(0.05)
    told = sweeptui(project, "stop", "c", "--kill")
    assert told.stdout == "told to stop: c, c.loop1-0-optimize_task\n", told.stderr
    _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 1
    assert "StoppedError: c was stopped by" in said
    seen = sight_experiment(sweep_path(project, "c"))
    assert seen.label == "stopped"
    assert [(stage.path, stage.state) for stage in seen.stages][-1] == ("loop1[0]/optimize_task", "interrupted")
    with closing(SqliteStore.open(sweep / DATABASE, readonly=True)) as store:
        assert store.state.status == "stopped"
        assert not store.state.running_jobs
    assert sweeptui(project, "stop", "c").stdout == "c is stopped; nothing of it runs\n"
    gone_on = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert gone_on.stdout.count(": mastered with") == 2, gone_on.stderr
    assert sight_experiment(sweep_path(project, "c")).label == "finished"


def test_a_paused_experiment_begins_nothing_and_goes_on_when_it_is_told_to(project: Path) -> None:
    """Even where its process is killed meanwhile."""
    waiting = "while epoch < 4:\n    while not Path('go').exists(): time.sleep(0.02)"
    (project / "work.py").write_text(WORK.replace("while epoch < 4:", waiting))
    argv = [sys.executable, "flow.py", "curriculum", str(project)]
    running = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    sweep = sweep_path(project, "c.loop1-0-optimize_task")
    wait(lambda: list(sweep.glob("trials/*/*.log")))
    told = sweeptui(project, "pause", "c")
    assert told.stdout == "told to pause: c, c.loop1-0-optimize_task\n", told.stderr
    wait(lambda: sight_experiment(sweep_path(project, "c")).label == "paused")
    wait(lambda: status(sweep) == "paused")
    (project / "go").touch()
    wait(lambda: not running_jobs(sweep))
    assert len(trials(project)["c.loop1-0-optimize_task"]) == 1
    running.kill()
    running.communicate()
    again = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait(lambda: (holder := sight_experiment(sweep_path(project, "c")).holder) is not None and holder.pid == again.pid)
    assert sight_experiment(sweep_path(project, "c")).label == "paused"
    wait(lambda: status(sweep) == "paused")
    assert resume_experiment(project, "c", actor="me") == "told to go on: c.loop1-0-optimize_task, c"
    said, complaint = again.communicate(timeout=PATIENCE_S)
    assert said.count(": mastered with") == 2, complaint
    assert sweeptui(project, "resume", "c").stdout == "c is finished; nothing of it is paused\n"
    assert pause_experiment(project, "c", actor="me") == "c is finished; nothing of it runs"


def wait(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def status(sweep: Path) -> str:
    with closing(SqliteStore.open(sweep / DATABASE, readonly=True)) as store:
        return store.state.status


def running_jobs(sweep: Path) -> bool:
    with closing(SqliteStore.open(sweep / DATABASE, readonly=True)) as store:
        return bool(store.state.running_jobs)


def test_experiments_are_listed_as_a_tree(project: Path) -> None:
    CurriculumExperiment("c", tasks=[{}], mastery=0.0, train=["{python}", "work.py", "{overrides}"], trials=1,
                         optimizer=RandomOptimizer({"x": Uniform(0.0, 1.0)})).run(budget=5)  # fmt: skip
    assert sweeptui(project, "list").stdout.splitlines()[0].startswith("SWEEP OR EXPERIMENT")
    experiment, sweep = json.loads(sweeptui(project, "list", "--json").stdout)
    assert (experiment["name"], experiment["kind"], experiment["inside"], experiment["max_trials"]) == (
        "c", "experiment", None, 5)  # fmt: skip
    assert [stage["state"] for stage in experiment["stages"]] == ["done"] * 4
    assert experiment["counts"]["completed"] == experiment["trial_count"] == 1
    assert (sweep["kind"], sweep["inside"], sweep["stage"]) == ("sweep", "c", "loop1[0]/optimize_task")
    name = experiment["name"]
    (sweep_path(project, name) / "experiment.db").write_bytes(b"no database " * 1000)
    unreadable, sweep = json.loads(sweeptui(project, "list", "--json").stdout)
    assert (unreadable["state"], unreadable["kind"], sweep["inside"]) == ("unreadable", "experiment", None)


def test_what_is_inside_of_what_is_told_by_names() -> None:
    sight = ExperimentSight("a", "running", "", "", None, None, (StageSight("loop1[0]/try it", "running"),), None)
    inner = replace(sight, name="a.b")
    sweeps = ["a.loop1-0-try-it", "a.loop1-0-try-it-2", "a.loop1-0-try-it.trial_0001-1", "a.b.run", "lone", "lone.one"]
    assert parents(sweeps, {"a": sight, "a.b": inner}) == {
        "a": "",
        "a.b": "a",
        "a.b.run": "a.b",
        "a.loop1-0-try-it": "a",
        "a.loop1-0-try-it-2": "a",
        "a.loop1-0-try-it.trial_0001-1": "a.loop1-0-try-it",
        "lone": "",
        "lone.one": "",
    }
    for name in sweeps[:3]:
        assert stage_of(name, sight) == "loop1[0]/try it"
    assert not stage_of("a.b", sight)


# -- the training


def test_the_spirals_are_learnt_and_gone_on_with(tmp_path: Path) -> None:
    config = Config(learning_rate=0.02, batch_size=32)
    whole = Training(config, 7)
    for _ in range(20):
        whole.one_epoch()
    cut = Training(config, 7)
    for _ in range(8):
        cut.one_epoch()
    cut.save(tmp_path / "at_8.npz")
    gone_on = Training(config, 7)
    gone_on.load(tmp_path / "at_8.npz")
    assert gone_on.epoch == 8
    while gone_on.epoch < 20:
        gone_on.one_epoch()
    assert all(np.array_equal(whole.network[name], gone_on.network[name]) for name in whole.network)
    assert whole.accuracy() > 0.9
    assert math.isfinite(gone_on.spent_s)
    other = Training(Config(hidden=8), 7)
    with pytest.raises(UserError, match="of another size"):
        other.load(tmp_path / "at_8.npz")


def test_a_wrong_setting_of_the_training_is_one_sentence(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "sweeptui.recipes.spirals_train", "--trial-dir", os.fspath(tmp_path), "--overrides"]
    for setting, said in (("turns=-1", "turns"), ("learning_rte=0.1", "learning_rate")):
        done = subprocess.run([*argv, setting], check=False, capture_output=True, text=True)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
