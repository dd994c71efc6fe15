"""Whole sweeps on a scripted SkyPilot: the engine, the routes and what is checked before anything is launched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine_support import Sweep
from scripted_sky import FakeJob, ScriptedSky

from sweeptui import launch, preview
from sweeptui.core.errors import UserError
from sweeptui.core.trial import JobOutcome, Stage, TrialStatus
from sweeptui.dispatchers import places
from sweeptui.dispatchers.skypilot import fleet
from sweeptui.dispatchers.skypilot.gateway import RemoteState
from sweeptui.dispatchers.skypilot.task import submission_of

PAGE = Path(__file__).parents[1] / "docs" / "skypilot.md"


@pytest.fixture
def sky(monkeypatch: pytest.MonkeyPatch) -> ScriptedSky:
    scripted = ScriptedSky()
    monkeypatch.setattr(fleet, "ROUND_S", 0.01)
    monkeypatch.setattr(places, "gateway_of", lambda tool, sweep_dir: scripted)
    monkeypatch.setattr(places, "enabled_clouds", lambda tool: ["Slurm"])
    monkeypatch.setattr(places, "installed", lambda: True)
    return scripted


def run(sweep: Sweep, **fields: Any) -> dict[int, Any]:
    session = launch.prepare("r", sweep.tool(**{"monitoring_interval": 0.02, **fields}), sweep.root)
    session.run()
    with sweep.store() as store:
        return {number: (trial, store.jobs(number)) for number, trial in store.state.trials.items()}


def succeeds(job: FakeJob) -> None:
    job.say("training")
    job.report(step=1, score=0.5, checkpoint="/shared/tiny/last")
    job.end(RemoteState.SUCCEEDED, code=0, signal=None, run_s=3.0)


def test_train_there_evaluate_here(tmp_path: Path, sky: ScriptedSky) -> None:
    sky.new = succeeds
    evaluate = 'echo "eval $2" >> "$RAN"; echo "{{\\"score\\": 2}}" >> "$SWEEPTUI_REPORT"; '
    tool = {"eval_command": ["/bin/sh", "-c", evaluate, "sh", "x", "{checkpoint}"]}
    trials = run(Sweep(tmp_path), dispatcher_type="hybrid_remote_train", skypilot={"checkpoints": "/shared"}, **tool)
    assert {trial.status for trial, _ in trials.values()} == {TrialStatus.COMPLETED}
    assert {trial.score for trial, _ in trials.values()} == {2}
    for trial, (train, evaluation) in trials.values():
        assert train.slot["on"] == "skypilot"
        assert train.slot["state"] == "succeeded"
        assert "index" in evaluation.slot
        told = json.loads(sky.the(f"-{trial.number:04d}-").submission.task["run"].rpartition("' '")[2][:-1])
        assert told["trial_dir"] == f"/shared/tiny/{trial.id}"
    assert (tmp_path / "ran.txt").read_text().splitlines() == ["eval /shared/tiny/last"] * 3
    assert len(sky.jobs) == 3


def test_a_preemption_is_a_new_attempt_and_costs_no_retry(tmp_path: Path, sky: ScriptedSky) -> None:
    def preempted_once(job: FakeJob) -> None:
        if "-t1-" in job.name:
            job.state = RemoteState.PREEMPTED
        else:
            succeeds(job)

    sky.new = preempted_once
    trials = run(Sweep(tmp_path), dispatcher_type="skypilot", max_trials=2, retries={"crashed": 0})
    for trial, jobs in trials.values():
        assert trial.status is TrialStatus.COMPLETED
        assert [job.outcome for job in jobs] == [JobOutcome.PREEMPTED, JobOutcome.COMPLETED]


def test_a_pause_gives_the_machine_back_and_the_training_goes_on_from_its_checkpoint(
    tmp_path: Path, sky: ScriptedSky
) -> None:
    def begins(job: FakeJob) -> None:
        if "-t1-" in job.name:
            job.report(step=1, total_steps=2, score=0.1, checkpoint="/shared/half")
        else:
            job.report(step=2, total_steps=2, score=0.9)
            job.end(RemoteState.SUCCEEDED, code=0, signal=None, run_s=3.0)

    sky.new = begins
    sweep = Sweep(tmp_path)
    tool = sweep.tool(
        train_command=["train", "{checkpoint}"],
        max_trials=1,
        monitoring_interval=0.02,
        dispatcher_type="skypilot",
        skypilot={"checkpoints": "/shared"},
    )
    with sweep.running(tool):
        sweep.until(lambda state: state.trials and state.trials[1].checkpoint)
        assert sweep.ask("pause", trials=[1]) == (
            "done: trial_0001 is paused: its machine is given back, and it will go on from its checkpoint"
        )
        assert sweep.state.trials[1].status is TrialStatus.PAUSED
        sweep.until(lambda state: not state.running_jobs)
        assert sky.the("-t1-").state is RemoteState.CANCELLED
        trial = sweep.state.trials[1]
        assert (trial.status, trial.paused_from) == (TrialStatus.PAUSED, TrialStatus.PENDING)
        assert sweep.ask("resume", trials=[1]) == "done: trial_0001 goes on"
        sweep.until(lambda state: state.trials[1].status.terminal)
    trial, jobs = sweep.state.trials[1], sweep.jobs(1)
    assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 0.9)
    assert [job.outcome for job in jobs] == [JobOutcome.INTERRUPTED, JobOutcome.COMPLETED]
    assert [job.argv for job in jobs] == [("train", ""), ("train", "/shared/half")]
    sweep.assert_consistent()


def test_without_checkpoints_it_is_said_why_there_is_no_pause(tmp_path: Path, sky: ScriptedSky) -> None:
    sweep = Sweep(tmp_path)
    with sweep.running(sweep.tool(max_trials=1, monitoring_interval=0.02, dispatcher_type="skypilot")):
        sweep.until(lambda state: any(job.slot.get("state") == "running" for job in state.jobs.values()))
        assert sweep.ask("pause", trials=[1]) == (
            "refused: trial_0001 runs on SkyPilot without skypilot.checkpoints, so it cannot be paused; kill it, and "
            "requeue it later"
        )


def test_a_parameter_decides_where_a_trial_runs(tmp_path: Path, sky: ScriptedSky) -> None:
    sky.new = succeeds
    parameters = {"x": {"distribution": "categorical", "values": ["here", "there"]}}
    trials = run(Sweep(tmp_path), parameters=parameters, routes={"x=there": "skypilot"}, max_trials=8)
    where = {(trial.params["x"], job.slot.get("on", "local")) for trial, jobs in trials.values() for job in jobs}
    assert where == {("here", "local"), ("there", "skypilot")}


def test_the_cost_of_the_machines_is_the_cost_of_the_trial(tmp_path: Path, sky: ScriptedSky) -> None:
    def paid(job: FakeJob) -> None:
        succeeds(job)
        job.state, job.price_usd_h = RemoteState.RUNNING, 3600.0

    sky.new = paid
    polls = sky.poll_many

    def poll_many(names: Any) -> Any:
        seen = polls(names)
        if sky.calls["poll_many"] > 20:
            for [job] in sky.jobs.values():
                job.state = RemoteState.SUCCEEDED
        return seen

    sky.poll_many = poll_many  # type: ignore[method-assign]
    trials = run(Sweep(tmp_path), dispatcher_type="skypilot", cost_unit="usd", max_trials=1)
    [(trial, _)] = trials.values()
    assert trial.cost is not None
    assert trial.cost > 0


@pytest.mark.parametrize(
    ("clouds", "installed", "sentence"),
    [
        (["AWS"], False, "jobs are to run on SkyPilot, which is not installed; pip install 'sweeptui[skypilot]'"),
        ([], True, "SkyPilot has no cloud that it may use; sky check says what each one lacks"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clouds: list[str], installed: bool, sentence: str
) -> None:
    monkeypatch.setattr(places, "installed", lambda: installed)
    monkeypatch.setattr(places, "enabled_clouds", lambda tool: clouds)
    sweep = Sweep(tmp_path)
    with pytest.raises(UserError) as raised:
        launch.prepare("r", sweep.tool(dispatcher_type="skypilot"), sweep.root)
    assert str(raised.value) == sentence
    assert list(sweep.root.iterdir()) == []


def test_nothing_here_imports_skypilot() -> None:
    script = "import sweeptui.launch, sweeptui.dispatchers.skypilot.client, sys; sys.exit('sky' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_stages_have_routes_of_their_own(tmp_path: Path) -> None:
    from sweeptui.core.remote import route_of, routes_of

    tool = Sweep(tmp_path).tool(
        evaluate="true", dispatcher_type="hybrid_remote_train", routes={"eval": "skypilot", "x=0.5": "local"}
    )
    assert route_of(tool, Stage.TRAIN, {"x": 0.1}) == "skypilot"
    assert route_of(tool, Stage.EVAL, {"x": 0.1}) == "skypilot"
    assert route_of(tool, Stage.TRAIN, {"x": 0.5}) == "local"
    assert routes_of(tool) == ("skypilot", "local")


def test_a_dry_run_says_what_it_would_cost(
    tmp_path: Path, sky: ScriptedSky, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def estimate(tool: Any, spec: Any) -> dict[str, Any]:
        asked.append(spec.stage)
        return {"resources": "AWS(g6.xlarge, L4:1)", "price_usd_h": 0.8}

    monkeypatch.setattr(preview, "estimate", estimate)
    tool = {**Sweep(tmp_path).tool(dispatcher_type="skypilot", max_parallel_jobs=2, max_trials=10).to_json()}
    (tmp_path / "r.yaml").write_text(json.dumps(tool))
    from sweeptui.cli import main

    assert (
        main([str(tmp_path / "r.yaml"), "--dry-run", "--root", str(tmp_path), "--set", "train_timeout_s=1800.0"]) == 0
    )
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == (
        "train on SkyPilot: AWS(g6.xlarge, L4:1), $0.80 per hour and job, $1.60 per hour with 2 at once, "
        "$4.00 at most for 10 trials"
    )
    assert asked == [Stage.TRAIN]
    assert main([str(tmp_path / "r.yaml"), "--dry-run", "--json", "--root", str(tmp_path)]) == 0
    [shape] = json.loads(capsys.readouterr().out)
    assert shape["price_usd_h"] == 0.8


@pytest.mark.parametrize(("section", "remote"), [(0, True), (1, True), (2, True), (3, False)])
def test_each_quick_start_of_the_page_is_a_recipe(
    tmp_path: Path, sky: ScriptedSky, monkeypatch: pytest.MonkeyPatch, section: int, remote: bool
) -> None:
    """A cloud, Slurm, Kubernetes, a launcher of one's own: each can be tried, and would launch what it says."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    shown = yaml.safe_load(blocks[section])
    tool = {**Sweep(tmp_path).tool().to_json(), **shown}
    (tmp_path / "recipe.yaml").write_text(json.dumps(tool))
    launcher = tmp_path / "devops" / "skypilot" / "launch.py"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(f"#!{sys.executable}\n")
    launcher.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "hidden")
    asked = []

    def estimate(tool: Any, spec: Any) -> dict[str, Any]:
        asked.append(submission_of(tool.skypilot, spec, "st-estimate").task)
        return {"resources": "AWS(g6.xlarge, L4:1)", "price_usd_h": 0.8}

    monkeypatch.setattr(preview, "estimate", estimate)
    from sweeptui.cli import main

    assert main(["recipe.yaml", "--dry-run", "--max-trials", "1"]) == 0
    assert bool(asked) == remote
    for task in asked:
        assert task["resources"]["infra"] == shown["skypilot"]["infra"]
        assert task["resources"]["accelerators"] == shown["skypilot"]["gpus"]
    assert not sky.jobs


def test_the_doctor_finds_what_was_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweeptui import doctor

    sweep = Sweep(tmp_path)
    launch.prepare("r", sweep.tool(), sweep.root)
    (sweep.database.parent / "skypilot.json").write_text('{"id": "0a1b2c"}')
    standing = [("st-tiny-0001-t1-0a1b2c", "cluster"), ("st-other-0001-t1-ffffff", "managed job")]
    monkeypatch.setattr(places, "installed", lambda: True)
    monkeypatch.setattr(places, "inspect", lambda: (["AWS"], standing))
    monkeypatch.setattr(doctor, "_torch", lambda: doctor.Check("torch", "ok", "not asked"))
    found = [check for check in doctor.examine(sweep.root) if check.name == "skypilot"]
    assert [(check.status, check.message, check.fix) for check in found] == [
        ("ok", "may use AWS", ""),
        (
            "warn",
            "cluster st-tiny-0001-t1-0a1b2c, of sweep tiny, which is created, still stands",
            "sky down -y st-tiny-0001-t1-0a1b2c",
        ),
        (
            "warn",
            "managed job st-other-0001-t1-ffffff, whose sweep is not here, still stands",
            "sky jobs cancel -y -n st-other-0001-t1-ffffff",
        ),
    ]


def test_the_cockpit_shows_how_far_another_machine_is_and_greys_out_pause() -> None:
    from types import SimpleNamespace

    from sweeptui.app import wording
    from sweeptui.app.refusals import pausable
    from sweeptui.core.trial import Job, JobState, Trial

    trial = Trial(number=1, params={}, seed=0, created_at=0.0, status=TrialStatus.TRAINING)

    def job(**slot: Any) -> Job:
        return Job(1, 1, Stage.TRAIN, 1, 0.0, state=JobState.RUNNING, slot={"on": "skypilot", **slot})

    words = {
        state: str(wording.trial_state(trial, job(state=state))) for state in ("provisioning", "running", "queued")
    }
    assert words == {"provisioning": "◌ starting", "running": "▶ training", "queued": "◌ queued"}
    priced = job(state="running", infra="aws/us-east-1", id="7", usd_h=2.5, usd=1.234, recoveries=2)
    assert wording.slot(priced.slot) == "aws/us-east-1 #7 $2.50/h $1.23 so far moved 2 x"
    snapshot = SimpleNamespace(running={1: priced})
    assert "without skypilot.checkpoints: it cannot be paused" in pausable(snapshot, trial)  # type: ignore[arg-type]
    snapshot.running = {1: job(state="running", pausable=True)}
    assert pausable(snapshot, trial) == ""  # type: ignore[arg-type]


def test_a_window_says_whose_log_is_wanted_first_where_that_is_elsewhere(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from sweeptui.app.watcher import Watcher
    from sweeptui.core.trial import Job, JobState
    from sweeptui.core.watched import Watched

    def job(number: int, **slot: Any) -> Job:
        return Job(number, number, Stage.TRAIN, 1, 0.0, state=JobState.RUNNING, slot=slot)

    state: Any = SimpleNamespace(running_jobs={1: job(1, index=0), 2: job(2, on="skypilot"), 3: job(3, on="skypilot")})
    window, said = Watcher(tmp_path, lambda message: None, runs_here=False), Watched(tmp_path)
    seen = []
    for selected in (1, None, 2, 4, 3):
        window.look_at(frozenset(), selected)
        window._say_watched(state)
        seen.append(said.trial)
    assert seen == [None, None, 2, 2, 3]
    reader = Watcher(tmp_path, lambda message: None, runs_here=False, read_only="only watching")
    reader.look_at(frozenset(), 2)
    reader._say_watched(state)
    assert said.trial == 3


def test_a_launcher_of_ones_own_is_a_line(tmp_path: Path) -> None:
    """A script that launches on SkyPilot, follows the job's log, and ends with it."""
    launcher = tmp_path / "launch.py"
    body = "import sys\nprint('(task, pid=3) args', *sys.argv[1:])\nprint('(task, pid=3) score=0.25')\n"
    launcher.write_text(f"#!{sys.executable}\n{body}")
    launcher.chmod(0o755)
    sweep = Sweep(tmp_path)
    line = "./launch.py --no-spot --gpus=1 {recipe_module}.{train_entrypoint} --args run={run} --overrides {overrides}"
    launch.prepare(
        "r",
        sweep.tool(
            train_command=line,
            recipe_module="experiments.arena",
            eval_entrypoint=None,
            metric_source="log",
            metric_regex=r"score=(?P<score>\S+)",
            max_trials=1,
        ),
        sweep.root,
    ).run()
    [trial] = sweep.state.trials.values()
    assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 0.25)
    said = (sweep.database.parent / "trials" / "trial_0001" / "train.1.log").read_text()
    assert "--no-spot --gpus=1 experiments.arena.train --args run=tiny_trial_0001 --overrides x=" in said


def test_the_quick_test_trains_where_only_python_is() -> None:
    script = (
        "import sweeptui.recipes.quick_train, sweeptui.recipes.quick_eval, sys; sys.exit('pydantic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_command_line_is_made_for_the_click_that_skypilot_wants() -> None:
    """8.1 has no `ParamType[...]` at run time; the tests here run with a newer one."""
    import sweeptui.cli

    sources = Path(sweeptui.cli.__file__).parent.glob("*.py")
    assert not [path.name for path in sources if "(click.ParamType[" in path.read_text()]
