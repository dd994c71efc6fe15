"""Whole sweeps by the command line against a W&B server that fails, is away, and is shared by two machines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_wandb import ENTITY, FakeWandb
from wandb_support import DATABASE, contents, until

from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import JobOutcome, TrialStatus

pytest.importorskip("wandb")
pytestmark = pytest.mark.timeout(900)

NAME, PROJECT = "shared", "p"
# The first four trials end by themselves; the others wait until they may.
TRIAL = (
    '[ "${{SWEEPTUI_TRIAL#trial_}}" -gt 4 ] && until [ -e ../go ]; do sleep 0.05; done; '
    'echo "{{\\"score\\": {p:x}, \\"cost\\": 1}}" >> "$SWEEPTUI_REPORT"'
)


@pytest.fixture
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        yield server


@dataclass
class Machine:
    """A folder with the recipe in it, and the environment to run it there."""

    server: FakeWandb
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        recipe = {
            "train_command": ["/bin/sh", "-c", TRIAL],
            "protein_config": {
                "method": "random",
                "parameters": {"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}},
            },
            "max_trials": 10,
            "max_parallel_jobs": 2,
            "min_free_disk_mb": 0,
            "wandb": {"project": PROJECT, "lease_ttl_s": 4.0},
        }
        (self.folder / "recipe.json").write_text(json.dumps(recipe))
        (self.folder / "recipe.yaml").write_text(json.dumps(recipe))

    @property
    def sweep(self) -> Path:
        return self.folder / "train_dir" / "sweeps" / NAME

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **self.server.environment(str(self.folder))}
        return subprocess.Popen(
            [sys.executable, "-m", "sweeptui", *words, "--root", str(self.folder)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run_sweep(self, *words: str) -> subprocess.Popen[str]:
        return self.start("recipe.yaml", "--sweep-name", NAME, "--store", "wandb", "--headless", "--quiet", *words)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """The machine is gone: the sweep's process, and the one that mirrors."""
        pids = [process.pid, json.loads((self.sweep / "wandb.status.json").read_text())["pid"]]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    @contextlib.contextmanager
    def store(self) -> Iterator[SqliteStore]:
        with closing(SqliteStore.open(self.sweep / DATABASE, readonly=True)) as store:
            yield store


def said(process: subprocess.Popen[str]) -> str:
    try:
        out, _ = process.communicate(timeout=400)
    finally:
        if process.returncode is None:
            process.kill()
    return out


def records(server: FakeWandb, status: str) -> list[Any]:
    runs = [run for run in server.runs.all(ENTITY, PROJECT) if run.job_type == "sweep-record"]
    return [run for run in runs if run.summary.get("status") == status]


def assert_all_done_once(store: SqliteStore, trials: int = 10) -> None:
    state = store.state
    assert state.status is SweepStatus.FINISHED
    assert sorted(state.trials) == list(range(1, trials + 1))
    assert {trial.status for trial in state.trials.values()} == {TrialStatus.COMPLETED}
    for number in state.trials:
        outcomes = [job.outcome for job in store.jobs(number)]
        assert outcomes.count(JobOutcome.COMPLETED) == 1
        assert set(outcomes) <= {JobOutcome.COMPLETED, JobOutcome.LOST}
    assert len({trial.end_order for trial in state.trials.values()}) == trials


def assert_rebuilt_is_equal(server: FakeWandb, truth: Machine, fresh: Path) -> None:
    copy = Machine(server, fresh)
    process = copy.run_sweep("--max-trials", "10")
    assert process.wait(400) == 0, said(process)
    with truth.store() as old, copy.store() as new:
        assert contents(new)[1:] == contents(old)[1:]


def test_two_machines_with_faults_and_a_leader_that_is_killed(server: FakeWandb, tmp_path: Path) -> None:
    a, b = Machine(server, tmp_path / "a"), Machine(server, tmp_path / "b")
    server.runs.settings.list_lag_s = 3.0
    faults = [
        server.fault("Sweeptui", times=2, status=503),
        server.fault("SweeptuiPut", times=2, status=500, commit=True),
        server.fault("SweeptuiPut", times=1, drop=True),
        server.fault("SweeptuiRun", times=1, status=429, headers={"Retry-After": "1"}),
    ]
    leader = a.run_sweep()
    until(lambda: records(server, "completed"))
    follower = b.run_sweep()
    until((b.sweep / DATABASE).exists)
    until(lambda: len(records(server, "completed")) == 4)
    a.kill(leader)
    (tmp_path / "go").touch()
    out = said(follower)
    assert follower.returncode == 0, out
    assert all(fault.fired for fault in faults)
    with b.store() as store:
        assert_all_done_once(store)
    assert_rebuilt_is_equal(server, b, tmp_path / "c")
    # The first machine comes back, with what it did not get to send: the sweep is the other's now.
    back = a.run_sweep()
    out = said(back)
    if back.returncode:
        assert "the same command goes on with what W&B has" in out
        back = a.run_sweep()
        assert back.wait(400) == 0, said(back)
    with a.store() as store:
        assert_all_done_once(store)


def test_a_sweep_without_wandb_ends_as_ever_and_is_sent_later(server: FakeWandb, tmp_path: Path) -> None:
    machine = Machine(server, tmp_path / "a")
    (tmp_path / "go").touch()
    server.stop()
    out = said(process := machine.run_sweep())
    assert process.returncode == 0, out
    assert "W&B away" in out
    assert "11 records wait" in out
    with machine.store() as store:
        assert_all_done_once(store)
    server.start()
    shown = said(machine.start("show", NAME, "--json"))
    assert json.loads(shown)["wandb"]["behind"] == 11
    out = said(process := machine.start("sync", NAME))
    assert process.returncode == 0, out
    assert f"W&B has all of {NAME}" in out
    shown = said(machine.start("show", NAME, "--json"))
    assert json.loads(shown)["wandb"]["state"] == "synced"
    assert_rebuilt_is_equal(server, machine, tmp_path / "b")


@pytest.mark.parametrize(
    ("environment", "words", "sentence"),
    [
        ({"WANDB_API_KEY": "f" * 40}, [], "does not accept the key: set WANDB_API_KEY, or run `wandb login`"),
        ({}, ["--set", "wandb=null"], "wandb.project is not set; pass --wandb-project or set WANDB_PROJECT"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    server: FakeWandb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.setattr(
        FakeWandb,
        "environment",
        lambda self, folder, original=FakeWandb.environment: original(self, folder) | environment,
    )
    machine = Machine(server, tmp_path / "a")
    out = said(process := machine.run_sweep(*words))
    assert process.returncode == 2, out
    assert sentence in out
    assert out.count("\n") == 1
    assert not machine.sweep.exists()


@pytest.mark.slow
def test_a_leader_that_was_stopped_wakes_up_to_find_a_successor(server: FakeWandb, tmp_path: Path) -> None:
    a, b = Machine(server, tmp_path / "a"), Machine(server, tmp_path / "b")
    leader = a.run_sweep()
    until(lambda: records(server, "completed"))
    pids = [leader.pid, json.loads((a.sweep / "wandb.status.json").read_text())["pid"]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    (tmp_path / "go").touch()
    follower = b.run_sweep()
    assert follower.wait(400) == 0, said(follower)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    out = said(leader)
    assert leader.returncode == 2, out
    assert "the same command goes on with what W&B has" in out
    with b.store() as store:
        assert_all_done_once(store)
    assert_rebuilt_is_equal(server, b, tmp_path / "c")


@pytest.mark.slow
def test_a_ppo_sweep_lands_in_wandb_and_is_rebuilt_from_there(server: FakeWandb, tmp_path: Path) -> None:
    machine = Machine(server, tmp_path / "a")
    words = ("ppo", "--sweep-name", NAME, "--store", "wandb", "--wandb-project", PROJECT, "--headless", "--quiet")
    small = ("--max-trials", "2", "--train-override", "trainer.total_timesteps=2048")
    out = said(process := machine.start(*words, *small))
    assert process.returncode == 0, out
    assert len(records(server, "completed")) == 2
    fresh = Machine(server, tmp_path / "b")
    out = said(process := fresh.start(*words, "--max-trials", "3", *small[2:]))
    assert process.returncode == 0, out
    with machine.store() as old, fresh.store() as new:
        assert contents(new)[1][1] == contents(old)[1][1]
        assert sorted(new.state.trials) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.21.0", "0.31.*"])
def test_the_oldest_and_the_newest_client(version: str, tmp_path: Path) -> None:
    """The client from the registry, in an environment of its own that otherwise has what this one has."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", f"wandb=={version}"]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode and "No matching distribution" not in installed.stderr:
        pytest.skip(f"the registry cannot be reached: {installed.stderr.splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    # All but the client comes from the environment that runs this test.
    site = next((environment / "lib").glob("python*/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    root = Path(__file__).parents[1]
    (site / "rest.pth").write_text("".join(f"{path}\n" for path in [*here, root]))
    deleted = "test_a_record_that_was_deleted_in_wandb_is_written_again_under_another_id"
    suite = ["tests/test_wandb_contract.py", f"tests/test_wandb_faults.py::{deleted}"]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suite],
        cwd=root,
        env={name: value for name, value in os.environ.items() if not name.startswith("WANDB_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    told = subprocess.run(
        [python, "-c", "import wandb; print(wandb.__version__)"], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith(version.removesuffix("*"))
