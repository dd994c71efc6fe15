"""The doctor finds what is wrong, and says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Project, until

from sweeptui import doctor
from sweeptui.survey import strays


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing torch takes seconds; one test does it for all."""
    monkeypatch.setattr(doctor, "_torch", lambda: doctor.Check("torch", "ok", "not asked"))


def status_of(checks: list[doctor.Check], name: str) -> str:
    return next(check.status for check in checks if check.name == name)


def test_a_healthy_machine_passes(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    checks = {check["name"]: check for check in project.json("doctor")}
    assert {check["status"] for check in checks.values()} <= {"ok", "warn"}
    assert {"python", "platform", "torch", "ppo recipe", "terminal", "root", "disk", "file system"} <= set(checks)
    assert {"gpus", "open files", "sweeps", "processes"} <= set(checks)
    assert "1 with a readable database" in checks["sweeps"]["message"]


@pytest.mark.usefixtures("quick")
def test_a_damaged_database_fails_and_is_recovered(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    database = project.folder / "train_dir" / "sweeps" / "s" / "sweep.db"
    # Half of the file's first page, with what the tables are: SQLite refuses it.
    with database.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff" * 2000)
    [check] = [check for check in doctor.examine(project.folder) if check.name == "sweep s"]
    assert check.status == "fail"
    assert "doctor --recover s" in check.message
    assert "doctor --recover s" in project.error("show", "s")


@pytest.mark.usefixtures("quick")
def test_recover_saves_what_can_be_read(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet", "--max-trials", "12")
    before = project.json("show", "s")["trials"]
    database = project.folder / "train_dir" / "sweeps" / "s" / "sweep.db"
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(size - 8192)
        file.write(b"\xff" * 8192)
    report = project.json("doctor", "--recover", "s")
    assert report["trials"] + len(report["lost_trials"]) == len(before)
    assert Path(report["aside"]).exists()
    after = {trial["id"]: trial["score"] for trial in project.json("show", "s")["trials"]}
    assert after.items() <= {trial["id"]: trial["score"] for trial in before}.items()


def test_recover_refuses_what_is_not_damaged(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    assert "not damaged" in project.error("doctor", "--recover", "s")


@pytest.mark.usefixtures("quick")
def test_a_root_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "train_dir").touch()
    assert status_of(doctor.examine(tmp_path), "root") == "fail"


@pytest.mark.usefixtures("quick")
def test_a_network_file_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "network_filesystem", lambda path: "nfs4")
    [check] = [check for check in doctor.examine(tmp_path) if check.name == "file system"]
    assert check.status == "warn"
    assert "nfs4" in check.message


def test_what_only_one_recipe_needs_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    assert doctor._packages().status == "warn"
    assert doctor._torch().status == "warn"


def test_torch_that_cannot_be_imported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = doctor._torch()
    assert check.status == "warn"
    assert "libcudart is missing" in check.message


@pytest.mark.usefixtures("quick")
def test_trials_that_nobody_watches_are_told(project: Project) -> None:
    project.recipe("wait", max_trials=1)
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    running.kill()
    running.communicate()
    [check] = [check for check in doctor.examine(project.folder) if check.name == "processes"]
    assert check.status == "warn"
    assert "sweeptui continue s" in check.fix
    project.go()
    project.run("continue", "s", "--quiet")
    assert status_of(doctor.examine(project.folder), "processes") == "ok"


def test_a_process_that_outlived_its_job_is_found(tmp_path: Path) -> None:
    trial_dir = tmp_path / "train_dir" / "sweeps" / "s" / "trials" / "trial_0001"
    trial_dir.mkdir(parents=True)
    (trial_dir / "train.1.exit.json").write_text(json.dumps({"code": 0}))
    environment = {
        **os.environ,
        "SWEEPTUI_JOB_KEY": "test",
        "SWEEPTUI_TRIAL_DIR": str(trial_dir),
        "SWEEPTUI_REPORT": str(trial_dir / "train.1.reports.jsonl"),
    }
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], env=environment, stdin=subprocess.PIPE) as process:
        until(lambda: any(stray.pid == process.pid for stray in strays()))
        [found] = [stray for stray in strays() if stray.pid == process.pid]
        process.kill()
    assert (found.token, found.folder) == ("trial_0001.train.1", trial_dir.parent.parent)
