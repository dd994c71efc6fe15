"""What users ask of trials by hand: made, taken back, within the budget, and with no suggestion used twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Project
from engine_support import RAN, REPORT, STARTED, WAIT, Driver, Sweep, finished, until
from hypothesis import given
from hypothesis import strategies as st

from sweeptui import launch
from sweeptui.core import handmade
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.service import OptimizerService
from sweeptui.core.space import Choice, Constant, Integer, LogUniform, Space, Uniform
from sweeptui.core.suggesting import Suggestions, history, observation
from sweeptui.core.trial import Trial, TrialStatus

WAITING_JOB = RAN + STARTED + WAIT + REPORT
FIRST = "trial_0001.train.1"
SPACE = Space.from_parameters(
    {
        "model.lr": LogUniform(1e-5, 1e-1),
        "model.layers": Integer(1, 8),
        "data.lr": Uniform(0.0, 1.0),
        "act": Choice(["relu", "tanh", 3]),
        "batch": {"distribution": "uniform_pow2", "min": 16, "max": 128},
        "env": Constant("cartpole"),
    }
)


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    it = Sweep(tmp_path)
    yield it
    it.go()
    it.assert_nothing_runs()
    it.assert_consistent()


@pytest.fixture
def driver() -> Iterator[Driver]:
    with contextlib.closing(Driver()) as it:
        yield it


def params(sweep: Sweep, number: int) -> Any:
    return sweep.state.trials[number].params


# -- what is typed


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("model.lr=1e-3", "model.lr", 0.001),
        ("layers=4", "model.layers", 4),
        ("layers=4.0", "model.layers", 4),
        ("act=relu", "act", "relu"),
        ("act=3", "act", 3),
        ("batch=64", "batch", 64),
        ("data.lr=1", "data.lr", 1.0),
        ("env=cartpole", "env", "cartpole"),
    ],
)
def test_a_setting_is_read_as_the_search_would_write_it(word: str, name: str, value: Any) -> None:
    [(read_name, read_value)] = handmade.read_settings(SPACE, [word]).items()
    assert (read_name, read_value, type(read_value)) == (name, value, type(value))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["layers"], "'layers' is not a setting; write parameter=value"),
        (["=4"], "'=4' is not a setting; write parameter=value"),
        (["lr=1"], "lr is no parameter's whole name; it may be model.lr or data.lr"),
        (["layer=1"], "layer is not a parameter of this sweep; did you mean 'layers'?"),
        (["layers=4", "model.layers=5"], "model.layers is given twice; give it once"),
        (["layers=9"], "model.layers is 9; it must be a whole number from 1 to 8"),
        (["layers=many"], "model.layers is 'many'; it must be a whole number from 1 to 8"),
        (["model.lr=1"], "model.lr is 1; it must be a number from 1e-05 to 0.1"),
        (["model.lr=NaN"], "model.lr is 'NaN'; it must be a number from 1e-05 to 0.1"),
        (["model.lr=true"], "model.lr is True; it must be a number from 1e-05 to 0.1"),
        (["batch=48"], "batch is 48; it must be one of 16, 32, 64, 128"),
        (["act=gelu"], "act is 'gelu'; it must be one of 'relu', 'tanh', 3"),
        (["env=pong"], "env is 'pong'; it must be 'cartpole', which is fixed"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        handmade.read_settings(SPACE, words)
    assert str(caught.value) == sentence


@given(st.integers(0, 2**32), st.sets(st.sampled_from(SPACE.names)))
def test_what_is_complete_is_in_the_space(seed: int, edited: set[str]) -> None:
    rng = random.Random(seed)
    base, other = SPACE.sample(rng), SPACE.sample(rng)
    made = handmade.complete(SPACE, base, {name: other[name] for name in edited}, "trial_0001")
    assert SPACE.contains(made)
    assert made == {name: (other if name in edited else base)[name] for name in SPACE.names}
    assert list(made) == SPACE.names


def test_what_is_missing_or_was_outside_is_said() -> None:
    center = SPACE.center()
    with pytest.raises(UserError, match=r"model\.layers is missing; give it a whole number from 1 to 8"):
        handmade.complete(SPACE, {"model.lr": 0.01}, {}, "")
    with pytest.raises(UserError, match=r"model\.layers is 99; .* \(it is taken from trial_0003\); give it another"):
        handmade.complete(SPACE, {**center, "model.layers": 99}, {}, "trial_0003")
    assert handmade.complete(SPACE, {**center, "model.layers": 99, "gone": 1}, {"layers": 8}, "trial_0003") == {
        **center,
        "model.layers": 8,
    }


# -- trials made by hand


def test_an_injected_trial_is_the_next_one_and_counts(sweep: Sweep) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=3)
    with sweep.running(tool) as running:
        sweep.started(FIRST)
        assert sweep.ask("inject", params={"x": 0.75}) == "done: trial_0002 is queued"
        assert sweep.ask("requeue", trials=[1], params={"x": 0.5}) == (
            "done: trial_0003 is queued: trial_0001 with other parameters"
        )
        assert sweep.ask("inject", params={"x": 0.1}) == (
            "refused: max_trials is 3 and there are 3 trials; set max_trials to 4 or more first"
        )
        assert sweep.ask("requeue", trials=[1], params={"x": 0.5}).startswith("refused: max_trials is 3")
        sweep.go()
        assert running.ending().exit_code == 0
    trials = sweep.state.trials
    assert [trials[n].params["x"] for n in (2, 3)] == [0.75, 0.5]
    assert len(trials) == 3
    assert all(trial.status is TrialStatus.COMPLETED for trial in trials.values())
    assert trials[2].provenance == {"method": "user", "command": 1}
    assert trials[3].provenance == {"method": "user", "from": 1, "command": 2}
    assert sweep.runs() == {f"trial_{n:04d} train": 1 for n in (1, 2, 3)}


def test_the_center_the_best_and_what_is_refused(sweep: Sweep) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=1)
    with sweep.running(tool) as running:
        sweep.started(FIRST)
        assert sweep.ask("set", max_trials=4) == "done: max_trials is 4"
        refusals = {
            "no trial has a score yet, so there is no best one; take the center": {"from": "best"},
            "there is no trial 9": {"from": 9},
            "there is no trial nowhere": {"from": "nowhere"},
            "x is missing; give it a number from 0 to 1": {},
            "x is 7; it must be a number from 0 to 1": {"params": {"x": 7}},
            "y is not a parameter of this sweep; choose one of x": {"params": {"y": 7}, "from": "center"},
            "params is [1]; it must be a mapping of parameters to values": {"params": [1]},
        }
        for sentence, args in refusals.items():
            assert sweep.ask("inject", **args) == f"refused: {sentence}"
        assert sweep.ask("inject", **{"from": "center"}) == "done: trial_0002 is queued"
        assert params(sweep, 2) == {"x": 0.5}
        sweep.go()
        sweep.until(lambda state: state.counts[TrialStatus.COMPLETED] >= 2 and state.best("maximize"))
        running.session.interrupt()
        running.ending()
    assert sweep.state.trials[2].provenance["from"] == "center"


def test_from_the_best(sweep: Sweep) -> None:
    assert sweep.run(sweep.tool(max_trials=3)).exit_code == 0
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=5)) as running:
        sweep.started("trial_0004.train.1")
        best = sweep.state.best("maximize")
        assert best is not None
        assert sweep.ask("inject", **{"from": "best"}) == "done: trial_0005 is queued"
        assert sweep.state.trials[5].params == best.params
        assert sweep.state.trials[5].provenance["from"] == best.number
        sweep.go()
        assert running.ending().exit_code == 0


# -- out of the queue again


def test_what_was_queued_by_hand_is_taken_back(sweep: Sweep) -> None:
    fails = '[ "$SWEEPTUI_TRIAL" = trial_0001 ] && exit 3; ' + RAN + STARTED
    tool = sweep.tool(fails + f'[ "$SWEEPTUI_TRIAL" = trial_0003 ] && {{{{ {WAIT} }}}}; {REPORT}', max_trials=5)
    with sweep.running(tool) as running:
        sweep.started("trial_0003.train.1")
        before = sweep.state.trials
        assert before[1].status is TrialStatus.FAILED
        sweep.ask("inject", params={"x": 0.5})
        assert sweep.ask("requeue", trials=[1, 2]) == "done: trial_0001 is queued again; trial_0002 is queued again"
        assert sweep.ask("pause", trials=[2]) == "done: trial_0002 is paused"
        assert sweep.ask("unqueue", trials=[1, 2, 4]) == (
            "done: trial_0001 is failed again, as it was; trial_0002 is completed again, as it was; "
            "trial_0004 is withdrawn; it keeps its number and counts to max_trials"
        )
        after = sweep.state.trials
        assert (after[1], after[2]) == (before[1], before[2])
        assert (after[4].status, after[4].reason) == (TrialStatus.KILLED, "withdrawn by tester")
        for number, why in ((1, "failed"), (3, "training"), (4, "killed")):
            assert sweep.ask("unqueue", trials=[number]) == (
                f"refused: trial_{number:04d} is {why}; only a queued trial can be taken out of the queue"
            )
        sweep.go()
        assert running.ending().exit_code == 0
    assert "trial_0004 train" not in sweep.runs()
    assert len(sweep.state.trials) == 5


def test_an_evaluation_that_was_asked_for_again_is_taken_back(sweep: Sweep) -> None:
    assert sweep.run(sweep.tool(evaluate=RAN + REPORT, max_trials=1)).exit_code == 0
    before = sweep.state.trials[1]
    with sweep.store() as store:
        for verb in ("evaluate", "unqueue", "requeue", "unqueue"):
            store.submit(verb, {"trials": [1]}, "tester")
    launch.steward(sweep.root, "tiny")
    with sweep.store() as store:
        assert [store.command(n).result for n in (1, 2, 4)] == [
            "trial_0001 will be evaluated again; it is started when the sweep is run again (sweeptui continue)",
            "trial_0001 is completed again, as it was",
            "trial_0001 is completed again, as it was",
        ]
    assert sweep.state.trials[1] == before


def test_a_stopped_trial_that_is_evaluated_stays_an_observation_at_its_fidelity(sweep: Sweep) -> None:
    line = '{{\\"step\\": 1, \\"total_steps\\": 9, \\"score\\": -$(basename "$SWEEPTUI_TRIAL_DIR" | tail -c 2)}}'
    train = f'trap "exit 0" TERM; echo "{line}" >> "$SWEEPTUI_REPORT"; {STARTED}{WAIT}'
    evaluate = '[ -e "$SIGNS/bad" ] && exit 3; echo "{{\\"score\\": 5}}" >> "$SWEEPTUI_REPORT"'
    halving = {"name": "asha", "max_epochs": 9, "grace_period": 1, "reduction_factor": 2}
    tool = sweep.tool(train, evaluate, scheduler=halving, max_trials=2, max_parallel_jobs=2)

    def told(number: int) -> tuple[Any, ...]:
        trial = sweep.state.trials[number]
        known = observation(trial, 1.0)
        assert known is not None
        return trial.status, trial.score, trial.failure, round(known.fidelity, 3)

    with sweep.running(tool) as running:
        sweep.until(lambda state: 2 in state.trials and state.trials[2].status is TrialStatus.STOPPED)
        assert told(2) == ("stopped", -2.0, None, 0.111)
        assert sweep.ask("evaluate", trials=[2]) == "done: trial_0002 will be evaluated again"
        sweep.until(lambda state: state.trials[2].status is TrialStatus.STOPPED and state.trials[2].eval_attempt == 1)
        assert told(2) == ("stopped", 5.0, None, 0.111)
        (sweep.signs / "bad").touch()
        sweep.ask("evaluate", trials=[2])
        sweep.until(lambda state: state.trials[2].status is TrialStatus.STOPPED and state.trials[2].eval_attempt == 2)
        assert told(2) == ("stopped", -2.0, None, 0.111), "what the training came to is known all the same"
        assert "its evaluation failed (crashed): " in sweep.state.trials[2].reason
        (sweep.signs / "bad").unlink()
        sweep.go()
        assert running.ending().exit_code == 0
    assert told(1) == ("completed", 5.0, None, 1.0)


def test_what_has_run_since_is_not_taken_back(sweep: Sweep, driver: Driver) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=1)
    pid = driver.start(sweep, tool)
    sweep.started(FIRST)
    os.kill(pid, signal.SIGTERM)
    driver.wait()
    assert sweep.state.trials[1].status is TrialStatus.PENDING
    with sweep.store() as store:
        asked = store.submit("unqueue", {"trials": [1]}, "tester")
        launch.steward(sweep.root, "tiny")
        assert store.command(asked).result == "trial_0001 has run since it was queued; kill it to end it"
    sweep.go()
    assert sweep.run(tool).exit_code == 0


# -- and the suggestions


def test_a_prepared_suggestion_for_a_number_that_is_taken_is_computed_again() -> None:
    space = Space.from_parameters({"x": Integer(1, 6)})
    with contextlib.closing(OptimizerService("random", space, ["maximize"], {}, 0)) as service:
        suggestions = Suggestions(service, ahead=2)
        trials = {1: Trial(1, {"x": 1}, 0, 0.0)}
        for _ in range(2):
            suggestions.prepare(trials, 0, 1, 6, wanted=False)
            suggestions.collect()
        second, third = suggestions.next(2), suggestions.next(3)
        assert second is not None
        assert third is not None
        # Somebody takes number 2 with the values that were prepared for number 3, while number 4 is being computed.
        trials[2] = Trial(2, third.params, 0, 0.0)
        suggestions.reconsider()
        assert suggestions.next(3) is None
        suggestions.prepare(trials, 0, 2, 6, wanted=False)
        suggestions.reconsider()
        assert suggestions.collect()
        assert suggestions.next(3) is None, "what was under way does not hold, either"
        suggestions.prepare(trials, 0, 2, 6, wanted=False)
        suggestions.collect()
        again = suggestions.next(3)
        assert again is not None
        assert again.params != third.params
        service.request(history(trials, 3, 0), 3)
        fresh = service.poll()
        assert fresh is not None
        assert fresh.suggestions[0] == again


OPTIONS: dict[str, Any] = {
    "train": RAN + STARTED + WAIT + REPORT,
    "max_trials": 6,
    "max_parallel_jobs": 2,
    "suggest_ahead": 2,
    # Six configurations for six trials: a suggestion used twice or lost would be seen.
    "parameters": {"x": {"distribution": "int_uniform", "min": 1, "max": 6}},
}


def inject_and_finish(sweep: Sweep, driver: Driver, value: int, **die: Any) -> dict[int, Any]:
    """Inject a trial while the first two run; the orchestrator may die at it, and is then run again."""
    tool = sweep.tool(**OPTIONS)
    driver.start(sweep, tool, **die)
    for number in (1, 2):
        sweep.started(f"trial_{number:04d}.train.1")
    with sweep.store() as store:
        store.submit("inject", {"params": {"x": value}}, "tester")
    if die:
        if die["die_at"].startswith("job."):
            sweep.go()
        code, said = driver.wait()
        assert code == -signal.SIGKILL, said
        assert die["die_at"] in said
        driver.start(sweep, tool)
    sweep.until(lambda state: len(state.trials) >= 3 and not state.commands)
    sweep.go()
    code, said = driver.wait()
    assert (code, said.get("status")) == (0, "finished"), said
    assert sweep.state.trials[3].params == {"x": value}
    return {number: trial.params["x"] for number, trial in sweep.state.trials.items()}


def test_a_kill_around_an_injection_uses_no_suggestion_twice_and_loses_none(tmp_path: Path, driver: Driver) -> None:
    plain = Sweep(tmp_path / "plain")
    plain.go()
    driver.run(plain, plain.tool(**OPTIONS))
    prepared = plain.state.trials[4].params["x"]
    """What is prepared for number 4 while the first two run: taken by hand, it is not to be used again."""
    found = []
    for name, die in {
        "undisturbed": {},
        "before": {"die_at": "trial.created 3", "die_before": True},
        "after": {"die_at": "trial.created 3"},
        "started": {"die_at": "job.created train.1 3"},
    }.items():
        sweep = Sweep(tmp_path / name)
        found.append(inject_and_finish(sweep, driver, prepared, **die))
        assert sorted(found[-1].values()) == [1, 2, 3, 4, 5, 6]
        assert set(sweep.runs().values()) == {1}
        assert finished(sweep.state)
        sweep.assert_nothing_runs()
        sweep.assert_consistent()
    assert found[1:] == found[:1] * 3


def test_more_slots_prepare_what_a_resumed_sweep_prepares(sweep: Sweep) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=12, max_parallel_jobs=2)
    with sweep.running(tool) as running:
        sweep.started("trial_0002.train.1")
        assert running.orchestrator._suggestions._ahead == 1
        sweep.ask("set", max_parallel_jobs=8)
        until(lambda: running.orchestrator._suggestions._ahead == 4)
        sweep.go()
        running.ending()


# -- from the command line


def test_trials_are_made_and_taken_back_from_the_command_line(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.recipe("crash", max_trials=1)
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet", code=3)
    assert "max_trials is 1 and there are 1 trials" in project.error("inject", "s", "lr=0.001")
    project.run("set", "s", "--max-trials", "4")
    for words, sentence in {
        ("inject", "s", "lr=7"): "model.lr is 7; it must be a number from 1e-05 to 0.01",
        ("inject", "s", "rl=7"): "rl is not a parameter of this sweep; choose one of lr",
        ("inject", "s", "--from", "best"): "no trial has a score yet, so there is no best one; take the center",
        ("inject", "s", "--from", "nowhere"): "'nowhere' is no trial; write its number (3) or its id (trial_0003)",
        ("requeue", "s", "1", "--eval", "--set", "lr=0.001"): "--eval keeps the parameters",
        ("requeue", "s", "1", "--set", "lr"): "'lr' is not a setting; write parameter=value",
        ("unqueue", "s", "1"): "trial_0001 is failed; only a queued trial can be taken out of the queue",
    }.items():
        assert sentence in project.error(*words)
    assert "trial_0002 is queued; it is started when" in project.run("inject", "s", "lr=0.001").stdout
    assert "trial_0003 is queued: trial_0001 with" in project.run("requeue", "s", "1", "--set", "lr=0.002").stdout
    project.run("inject", "s", "--from", "2")
    assert "trial_0004 is withdrawn" in project.run("unqueue", "s", "4").stdout
    trials = project.json("show", "s")["trials"]
    assert [trial["params"]["model.lr"] for trial in trials[1:]] == [0.001, 0.002, 0.001]
    assert [trial["status"] for trial in trials] == ["failed", "pending", "pending", "killed"]
    assert trials[2]["provenance"]["from"] == 1
    project.run("continue", "s", "--quiet", code=3)
    assert [trial["attempts"] for trial in project.json("show", "s")["trials"]] == [1, 1, 1, 0]
