"""From a configuration to a sweep that runs: what is checked, what goes on, what is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from sweeptui import ParameterConfig, ProteinConfig, SweepTool
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.service import OptimizerService
from sweeptui.core.state import SweepState
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Stage, TrialStatus
from sweeptui.launch import Session, prepare, reopen, sweep_names
from sweeptui.preview import dry_run

SCORE = 'echo "{{\\"score\\": $1, \\"other\\": 7}}" >> "$SWEEPTUI_REPORT"'


def tool(maximum: float = 1e-2, *, metric: str = "score", goal: str = "maximize", **fields: Any) -> SweepTool:
    given: dict[str, Any] = {
        "sweep_name": "s",
        "max_trials": 2,
        "train_command": ["/bin/sh", "-c", SCORE, "sh", "{p:lr}"],
        **fields,
    }
    parameters = {"lr": ParameterConfig(distribution="log_normal", min=1e-5, max=maximum)}
    protein = ProteinConfig(metric=metric, goal=goal, method="random", parameters=parameters)  # type: ignore[arg-type]
    return SweepTool(protein_config=protein, **given)


def state_of(session: Session) -> SweepState:
    with contextlib.closing(SqliteStore.open(session.database, readonly=True)) as store:
        return store.state


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"train_command": ["no-such-program"]}, "command not found: no-such-program"),
        ({"train_command": ["true", "{nope}"]}, "train_command: unknown placeholder {nope}"),
        ({"train_command": ["true"], "eval_command": ["true", "{p:nope}"]}, "eval_command: {p:nope}"),
        (
            {"dispatcher_type": "skypilot", "skypilot": {"secrets": ["NO_SUCH_SECRET"]}},
            "skypilot.secrets has 'NO_SUCH_SECRET', which is not set here; export NO_SUCH_SECRET=... first",
        ),
        (
            {"dispatcher_type": "hybrid_remote_train", "eval_command": ["cat", "{checkpoint}"]},
            "skypilot.checkpoints is missing: eval_command has {checkpoint}",
        ),
        ({"dispatcher_type": "skypilot", "skypilot": {"task": "no.yaml"}}, "skypilot.task is 'no.yaml', which cannot"),
        ({"dispatcher_type": "skypilot", "skypilot": {"workdir": "nowhere"}}, "skypilot.workdir is 'nowhere', which"),
        ({"working_dir": "not/there"}, "which is not a folder"),
        ({"gpus_per_trial": 99}, "gpus_per_trial is 99"),
        ({"train_command": None}, "train_command is missing"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(tmp_path: Path, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        prepare("r", tool(**fields), tmp_path)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train_dir").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        prepare("r", tool(), tmp_path)


def test_a_dry_run_shows_what_the_first_trial_runs(tmp_path: Path) -> None:
    sweep = tool(eval_command=["cat", "{checkpoint}", "{run}"])
    shown = dict(dry_run("r", sweep, tmp_path))
    assert list(tmp_path.iterdir()) == []
    train = sweep.model_copy(update={"eval_command": None})
    prepared = prepare("r", train, tmp_path)
    prepared.run()
    with contextlib.closing(SqliteStore.open(prepared.database, readonly=True)) as store:
        assert tuple(shown[Stage.TRAIN]) == store.jobs(1)[0].argv
    assert shown[Stage.EVAL][2] == "s_trial_0001"
    assert shown[Stage.EVAL][1].startswith(str(tmp_path / "train_dir/sweeps/s/trials/trial_0001/checkpoints"))


def test_the_same_command_goes_on_with_an_unfinished_sweep(tmp_path: Path) -> None:
    unnamed = tool(sweep_name=None)
    first = prepare("r", unnamed, tmp_path)
    first.interrupt()
    assert first.run().exit_code == 130
    again = prepare("r", unnamed, tmp_path)
    assert again.name == first.name
    assert again.run().exit_code == 0
    assert prepare("r", unnamed, tmp_path).name != first.name, "it is over: a new one begins"


def test_only_the_same_command_goes_on(tmp_path: Path) -> None:
    first = prepare("r", tool(sweep_name=None), tmp_path)
    assert prepare("other", tool(sweep_name=None), tmp_path).name != first.name
    assert prepare("r", tool(0.5, sweep_name=None), tmp_path).name != first.name
    assert prepare("r", tool(sweep_name=None), tmp_path, new=True).name != first.name
    assert prepare("r", tool(sweep_name=None, max_trials=9), tmp_path).name in sweep_names(tmp_path)


def test_a_sweep_that_somebody_runs_is_left_alone(tmp_path: Path) -> None:
    first = prepare("r", tool(sweep_name=None), tmp_path)
    with contextlib.closing(SqliteStore.open(first.database)) as store:
        store.acquire_lease("test")
        assert prepare("r", tool(sweep_name=None), tmp_path).name != first.name


def test_a_larger_budget_is_taken(tmp_path: Path) -> None:
    prepare("r", tool(max_trials=1), tmp_path).run()
    session = prepare("r", tool(max_trials=3, max_parallel_jobs=2), tmp_path)
    assert session.resumed
    assert session.run().exit_code == 0
    state = state_of(session)
    assert sorted(state.trials) == [1, 2, 3]
    assert state.config["max_parallel_jobs"] == 2


def test_a_sweep_goes_on_from_its_own_configuration(tmp_path: Path) -> None:
    session = prepare("r", tool(), tmp_path)
    assert reopen(tmp_path, "s").tool == session.tool
    assert reopen(tmp_path, "s").run().exit_code == 0
    with pytest.raises(UserError, match="did you mean 's'"):
        reopen(tmp_path, "ss")


def test_a_changed_search_is_refused_with_what_differs(tmp_path: Path) -> None:
    prepare("r", tool(), tmp_path).run()
    before = (tmp_path / "train_dir/sweeps/s/sweep.db").read_bytes()
    with pytest.raises(UserError) as raised:
        prepare("r", tool(0.1, goal="minimize"), tmp_path)
    assert "goal: maximize -> minimize" in str(raised.value)
    assert "lr: max 0.01 -> 0.1" in str(raised.value)
    assert "--accept-changes" in str(raised.value)
    assert (tmp_path / "train_dir/sweeps/s/sweep.db").read_bytes() == before


@pytest.mark.parametrize(("accept", "known"), [("keep", {1, 2, 3}), ("forget", {4})])
def test_accepted_changes_say_what_the_optimizer_still_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accept: Any, known: set[int]
) -> None:
    prepare("r", tool(max_trials=3), tmp_path).run()
    seen: list[set[int]] = []
    asked = OptimizerService.request

    def spy(service: Any, history: Any, first: int, n: int = 1) -> None:
        seen.append({item.number for item in (*history.observations, *history.pending)})
        asked(service, history, first, n)

    monkeypatch.setattr(OptimizerService, "request", spy)
    prepare("r", tool(0.1, max_trials=5), tmp_path, accept_changes=accept).run()
    assert seen, "the optimizer was asked"
    assert seen[-1] >= known
    assert (1 in seen[-1]) == (accept == "keep")


def test_kept_trials_outside_of_the_new_space_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("r", tool(max_trials=3), tmp_path).run()
    seen: list[int] = []
    asked = OptimizerService.request

    def spy(service: Any, history: Any, first: int, n: int = 1) -> None:
        seen.extend(item.number for item in (*history.observations, *history.pending))
        asked(service, history, first, n)

    monkeypatch.setattr(OptimizerService, "request", spy)
    prepare("r", tool(2e-5, max_trials=4), tmp_path, accept_changes="keep").run()
    outside = [n for n, trial in state_of(reopen(tmp_path, "s")).trials.items() if trial.params["lr"] > 2e-5]
    assert outside
    assert not set(seen) & set(outside)


def test_a_changed_metric_reads_old_scores_again(tmp_path: Path) -> None:
    prepare("r", tool(max_trials=1), tmp_path).run()
    session = prepare("r", tool(max_trials=1, metric="other"), tmp_path, accept_changes="keep")
    session.run()
    assert state_of(session).trials[1].score == 7


def test_a_training_that_never_reports_fails_with_the_fix(tmp_path: Path) -> None:
    session = prepare("r", tool(train_command=["/bin/true"], max_trials=1), tmp_path)
    assert session.run().exit_code == 3
    trial = state_of(session).trials[1]
    assert trial.status is TrialStatus.FAILED
    assert trial.failure == "no_metric"
    assert "call sweeptui.report(score=...)" in trial.reason
