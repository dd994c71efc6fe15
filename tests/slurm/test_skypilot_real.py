"""The unmodified SkyPilot package and its API server, on a real Slurm: whole sweeps, and what may happen to them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sky_server import NODE_PYTHON

import sweeptui
from sweeptui.core import watched

pytestmark = [pytest.mark.skypilot_real, pytest.mark.timeout(1800, func_only=True)]
HERE = Path(__file__).parent
PACKAGE = Path(sweeptui.__file__).parent
PATIENCE_S = 1200


class Project:
    """A folder with sweeps on the SkyPilot of `server`."""

    def __init__(self, folder: Path, server: Any) -> None:
        self.folder, self.server = folder, server
        self.shared = server.shared
        self.code = folder / "code"
        """What is copied to the remote machines."""
        shutil.copytree(PACKAGE, self.code / "sweeptui", ignore=shutil.ignore_patterns("__pycache__"))
        for script in ("trial.py", "paused_trial.py"):
            shutil.copy(HERE / script, self.code)

    def recipe(self, **changes: Any) -> str:
        """A recipe of `trial.py`; returns its file's name."""
        sky = {
            "infra": "slurm",
            "cpus": 1,
            "python": NODE_PYTHON,
            "checkpoints": str(self.shared),
            "workdir": str(self.code),
            **changes.pop("skypilot", {}),
        }
        tool = {
            "train_command": ["{python}", "trial.py", "{trial}", "{trial_dir}"],
            "eval_command": ["{python}", str(HERE / "evaluation.py"), "{checkpoint}"],
            "protein_config": {
                "metric": "score",
                "goal": "maximize",
                "method": "random",
                "parameters": {"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}},
            },
            "dispatcher_type": "skypilot",
            "monitoring_interval": 5.0,
            "skypilot": sky,
            **changes,
        }
        # JSON is YAML.
        (self.folder / "recipe.yaml").write_text(json.dumps(tool))
        return "recipe.yaml"

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """`sweeptui ... --headless`; ended with the block, by its pid."""
        with (self.folder / "out.txt").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "sweeptui", *words, "--headless"],
                cwd=self.folder,
                env=self.server.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()
                process.wait()

    def sweeptui(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sweeptui", *words],
            cwd=self.folder,
            env=self.server.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def jobs(self, sweep: str) -> list[dict[str, Any]]:
        """The attempts of a sweep, as its database has them: trial, state, outcome, slot, exit, reason."""
        path = self.folder / "train_dir" / "sweeps" / sweep / "sweep.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute("select * from jobs order by id")]
        parsed = ("slot", "exit", "handle")
        return [
            {key: json.loads(value) if key in parsed and value else value for key, value in row.items()} for row in rows
        ]

    def until(self, condition: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (result := condition()):
            assert process is None or process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.5)
        return result

    def said(self) -> str:
        logs = sorted(self.folder.glob("train_dir/sweeps/*/skypilot.log"))
        return "\n".join(path.read_text()[-3000:] for path in [self.folder / "out.txt", *logs])

    def asked(self, *names: str) -> int:
        """How often SkyPilot was ever asked for any of these: `sky.jobs.launch`, say."""
        requests = self.server.folder / ".sky" / "api_server" / "requests.db"
        with contextlib.closing(sqlite3.connect(f"file:{requests}?mode=ro", uri=True)) as database:
            found = [name for (name,) in database.execute("select name from requests")]
        return sum(map(found.count, names))

    def launches(self) -> int:
        """How many managed jobs SkyPilot was ever asked to launch."""
        return self.asked("sky.jobs.launch")

    def follows(self, sweep: str, trial: int) -> bool:
        """Whether lines come without being asked for."""
        logs, lines = ("sky.logs", "sky.jobs.logs"), len(self.log(sweep, trial).splitlines())
        before = self.asked(*logs)
        self.until(lambda: len(self.log(sweep, trial).splitlines()) >= lines + 5)
        return self.asked(*logs) == before

    def log(self, sweep: str, trial: int, attempt: int = 1) -> str:
        path = self.folder / "train_dir" / "sweeps" / sweep / "trials" / f"trial_{trial:04d}" / f"train.{attempt}.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def project(tmp_path: Path, server: Any) -> Project:
    return Project(tmp_path, server)


def test_managed_jobs_end_fail_are_killed_and_are_moved(project: Project) -> None:
    """A sweep that is killed with -9 between launch and first look, and goes on: trial 1 ends well, trial 2 fails,
    trial 3 is killed, and the machine of trial 4 is taken away under it. What was trained there is evaluated here.
    """
    cluster, before = project.server.cluster, project.launches()
    words = [project.recipe(), "--sweep-name", "managed", "--max-trials", "4", "--max-parallel-jobs", "4"]
    words += ["--dispatcher", "hybrid_remote_train"]
    with project.running(*words) as process:
        project.until(lambda: project.launches() > before, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    records = project.folder.glob("train_dir/sweeps/managed/trials/*/train.1.skypilot.json")
    assert "" in [json.loads(record.read_text())["remote_id"] for record in records], "killed before SkyPilot's answer"
    with project.running(*words) as process:
        # What a trial prints is here while it runs.
        project.until(lambda: "runs on" in project.log("managed", 3), process)
        project.sweeptui("kill", "managed", "3")
        project.until(lambda: "runs on" in project.log("managed", 4), process)
        [name] = [job["slot"]["name"] for job in project.jobs("managed") if job["trial"] == 4]
        [allocation] = [number for number, job in cluster.names().items() if job.startswith(name)]
        cluster.slurm("scancel", allocation)
        project.until(lambda: process.poll() is not None)
    assert project.launches() == before + 4, "one launch for each"
    jobs = {(job["trial"], job["stage"]): job for job in project.jobs("managed")}
    assert {key: job["outcome"] for key, job in jobs.items()} == {
        (1, "train"): "completed",
        (1, "eval"): "completed",
        (2, "train"): "crashed",
        (3, "train"): "killed",
        (4, "train"): "completed",
        (4, "eval"): "completed",
    }, project.said()
    assert len(jobs) == len(project.jobs("managed")), "being moved is no new attempt, and neither is a crash here"
    assert jobs[2, "train"]["exit"]["code"] == 7
    assert jobs[4, "train"]["slot"]["recoveries"] == 1
    assert "on" not in jobs[4, "eval"]["slot"]
    assert project.log("managed", 1).splitlines() == [f"trial 1 in {project.shared}/managed/trial_0001", "done"]
    assert project.log("managed", 4).splitlines()[-3:] == [
        "-- the job was moved to another machine, and started again --",
        f"trial 4 in {project.shared}/managed/trial_0004",
        "done",
    ]
    shown = json.loads(project.sweeptui("show", "managed", "--json"))
    assert {trial["number"]: trial["score"] for trial in shown["trials"]}[4] == 40
    project.until(lambda: not cluster.jobs())


def quick_test(project: Project, **sky: Any) -> list[dict[str, Any]]:
    """A sweep of three trials, two at once, that trains there and evaluates here; its jobs, and all went well."""
    recipe = {"infra": "slurm", "cpus": 1, "python": NODE_PYTHON, "workdir": str(project.code)}
    recipe |= {"checkpoints": str(project.shared), **sky}
    words = ["quick_test", "--max-trials", "3", "--max-parallel-jobs", "2", "--sweep-name", "quick"]
    words += ["--method", "random", "--dispatcher", "hybrid_remote_train", "--set", f"skypilot={json.dumps(recipe)}"]
    at_once = 0
    with project.running(*words) as process:
        while process.poll() is None:
            at_once = max(at_once, len(project.server.cluster.jobs()))
            time.sleep(0.5)
    assert process.returncode == 0, project.said()
    jobs = project.jobs("quick")
    assert [(job["stage"], job["outcome"]) for job in sorted(jobs, key=lambda job: (job["trial"], job["stage"]))] == [
        ("eval", "completed"),
        ("train", "completed"),
    ] * 3
    for job in jobs:
        assert ("on" in job["slot"]) == (job["stage"] == "train")
    assert at_once == 2
    assert "Training complete!" in project.log("quick", 1)
    project.until(lambda: not project.server.cluster.jobs())
    return [job for job in jobs if job["stage"] == "train"]


@pytest.mark.slow
def test_two_clusters_serve_three_trials_and_are_taken_down(project: Project) -> None:
    jobs = quick_test(project, mode="cluster", clusters=2, gpus="H100:1")
    places = [job["slot"]["id"].partition("/")[0] for job in jobs]
    assert sorted(set(places)) == [f"st-quick-warm{number}-{jobs[0]['slot']['name'][-6:]}" for number in (1, 2)]


@pytest.mark.slow
def test_each_trial_has_a_cluster_of_its_own(project: Project) -> None:
    assert [job["slot"]["id"] for job in quick_test(project, mode="cluster", gpus="H100:1")] == ["1", "1", "1"]


@pytest.mark.slow
def test_a_quick_test_by_managed_jobs(project: Project) -> None:
    assert len({job["slot"]["id"] for job in quick_test(project)}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cluster", "managed"])
def test_a_paused_trial_gives_its_machine_back_and_goes_on_from_its_checkpoint(project: Project, mode: str) -> None:
    cluster = project.server.cluster
    script = ["{python}", "paused_trial.py", "{trial_dir}", "{checkpoint}"]
    recipe = project.recipe(train_command=script, dispatcher_type="hybrid_remote_train", skypilot={"mode": mode})
    with project.running(recipe, "--sweep-name", "paused", "--max-trials", "1") as process:
        project.until(lambda: "runs on" in project.log("paused", 1), process)
        [name] = [job["slot"]["name"] for job in project.jobs("paused")]
        assert [job for job in cluster.names().values() if job.startswith(name)], "it runs on Slurm"
        watched.say(project.folder / "train_dir" / "sweeps" / "paused", 1)
        project.until(lambda: project.follows("paused", 1), process)
        project.sweeptui("pause", "paused", "1")
        project.until(lambda: not cluster.jobs(), process)
        project.until(lambda: [job["outcome"] for job in project.jobs("paused")] == ["interrupted"], process)
        [trial] = json.loads(project.sweeptui("show", "paused", "--json"))["trials"]
        assert trial["status"] == "paused"
        project.sweeptui("resume", "paused", "1")
        project.until(lambda: process.poll() is not None)
    assert process.returncode == 0, project.said()
    assert [(job["stage"], job["attempt"], job["outcome"]) for job in project.jobs("paused")] == [
        ("train", 1, "interrupted"),
        ("train", 2, "completed"),
        ("eval", 1, "completed"),
    ]
    trial_dir = f"{project.shared}/paused/trial_0001"
    begins, *more = project.log("paused", 1).splitlines()
    assert begins == f"begins in {trial_dir}"
    assert more == [f"runs on {second}" for second in range(len(more))]
    assert project.log("paused", 1, 2).splitlines() == [f"goes on from {trial_dir}/step-1", "done"]
    [trial] = json.loads(project.sweeptui("show", "paused", "--json"))["trials"]
    assert trial["score"] == 20
    project.until(lambda: not cluster.jobs())


def test_nothing_is_left(project: Project) -> None:
    from sweeptui.dispatchers.skypilot.client import WorkerGateway
    from sweeptui.dispatchers.skypilot.gateway import Place

    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.server.environment.items():
            patch.setenv(name, value)
        gateway = WorkerGateway(Place())
        try:
            assert gateway.clouds()
            assert gateway.standing("") == []
        finally:
            gateway.close()
    assert project.server.cluster.jobs() == []
