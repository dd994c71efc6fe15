"""What SkyPilot makes of a recipe's section `skypilot`: its own `Task`, as the gateway hands it over to be launched.

In a process of its own, with a home of its own: SkyPilot writes there when it is imported. No cloud is asked.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted_sky import Bench
from sky_server import write_catalogue

from sweeptui.core.remote import SkypilotConfig
from sweeptui.dispatchers.skypilot.task import submission_of

pytestmark = pytest.mark.skypilot_real
PAGE = Path(__file__).parents[2] / "docs" / "skypilot.md"
LAUNCH = """\
import json, sys
import sky
from sweeptui.dispatchers.skypilot.gateway import Place, Submission
from sweeptui.dispatchers.skypilot.sdk import SkyGateway

def launcher(name):
    def launch(task, **how):
        [resources] = task.resources
        told = {key: value for key, value in task.to_yaml_config().items() if not key.startswith("_")}
        hidden = {key: value.get_secret_value() for key, value in task.secrets.items()}
        asked.append({**told, "secrets": hidden, "cloud": str(resources.cloud), "asked": name, "how": how})
        return "request"
    return launch

sky.launch, sky.jobs.launch, sky.get = launcher("sky.launch"), launcher("sky.jobs.launch"), lambda _: ([7], None)
asked = []
for place, submission in json.load(sys.stdin):
    SkyGateway(Place(**place)).submit(Submission.from_json(submission))
print(json.dumps(asked))
"""
CASES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "machine": {"infra": "aws/us-east-1", "gpus": "H100:8", "cpus": "16+", "memory": 64, "spot": True},
    "whole number": {"region": "us-east-1", "gpus": 1, "cpus": 4},
    "image": {"image": "docker:my/image:latest", "setup": "pip install x"},
    "files": {"workdir": "code", "file_mounts": {"/data": "./data"}, "checkpoints": "s3://bucket/sweeps/"},
    "environment": {"envs": {"MINE": "1"}, "secrets": ["WANDB_API_KEY"]},
    "task": {"task": "train.yaml", "gpus": "H100:2", "file_mounts": {"/data": "./data"}},
    "pool": {"mode": "pool", "pool": "mine"},
    "cluster": {"mode": "cluster", "infra": "slurm/lab"},
    "cluster on a cloud": {"mode": "cluster", "infra": "aws", "autodown_min": 3},
}
TASK = """\
name: old
resources: {infra: aws/us-west-2, accelerators: L4, use_spot: true}
num_nodes: 2
envs: {THEIRS: a, SWEEPTUI_JOB: no}
setup: make
file_mounts: {/models: ./code}
run: python old.py
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By case: the task, and how it was launched."""
    if not os.environ.get("SWEEPTUI_SKYPILOT_REQUIRED"):
        pytest.importorskip("sky")
    folder = tmp_path_factory.mktemp("tasks")
    for each in ("home", "code", "data"):
        (folder / each).mkdir()
    write_catalogue(folder / "home")
    (folder / "train.yaml").write_text(TASK)
    cases = {**CASES, **documented()}
    bench = Bench(folder)
    given = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for fields in cases.values():
            config = SkypilotConfig(**fields)
            place = {"mode": config.mode, "pool": config.pool, "autodown_min": config.autodown_min}
            given.append((place, submission_of(config, bench.spec(), "st-x-0001-t1-0a1b2c").to_json()))
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH],
        input=json.dumps(given),
        cwd=folder,
        env={
            "HOME": str(folder / "home"),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
            "WANDB_API_KEY": "hidden",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(cases, json.loads(done.stdout.splitlines()[-1]), strict=True))


def documented() -> dict[str, dict[str, Any]]:
    """The sections `skypilot` of the page on SkyPilot."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)]
    return {f"page {number}": block["skypilot"] for number, block in enumerate(blocks) if "skypilot" in block}


def test_resources_go_with_the_task(tasks: dict[str, dict[str, Any]]) -> None:
    machine = tasks["machine"]["resources"]
    assert (machine["infra"], machine["accelerators"]) == ("aws/us-east-1", {"H100": 8})
    assert (machine["cpus"], machine["memory"], machine["use_spot"]) == ("16+", "64", True)
    # By region, where None stands for all.
    assert list(tasks["image"]["resources"]["image_id"].values()) == ["docker:my/image:latest"]
    assert tasks["image"]["setup"] == "pip install x"
    assert tasks["nothing"]["cloud"] == "None"
    assert (tasks["cluster"]["cloud"], tasks["cluster"]["resources"]["infra"]) == ("Slurm", "slurm/lab")


def test_its_run_is_the_trials_command(tasks: dict[str, dict[str, Any]]) -> None:
    for task in tasks.values():
        words = shlex.split(task["run"])
        assert words[:3] == ["exec", "python3", "-c"]
        assert json.loads(words[-1])["argv"] == ["train", "a b", "$HOME"]
        assert task["name"] == "st-x-0001-t1-0a1b2c"
        assert task["envs"]["SWEEPTUI_JOB"] == "trial_0001.train.1"
        assert task["envs"]["SWEEPTUI_SEED"] == "7"


def test_files_go_along(tasks: dict[str, dict[str, Any]]) -> None:
    files = tasks["files"]
    assert files["workdir"] == "code"
    assert files["file_mounts"]["/data"] == "./data"
    bucket = files["file_mounts"]["/sweeptui-checkpoints"]
    assert (bucket["source"], bucket["mode"]) == ("s3://bucket/sweeps", "MOUNT")


def test_secrets_are_no_envs(tasks: dict[str, dict[str, Any]]) -> None:
    task = tasks["environment"]
    assert task["envs"]["MINE"] == "1"
    assert task["secrets"] == {"WANDB_API_KEY": "hidden"}
    assert "hidden" not in json.dumps({**task, "secrets": {}})


def test_a_task_yaml_is_the_start(tasks: dict[str, dict[str, Any]]) -> None:
    task = tasks["task"]
    assert task["num_nodes"] == 2
    assert task["setup"] == "make"
    assert task["envs"]["THEIRS"] == "a"
    assert task["resources"]["accelerators"] == {"H100": 2}
    assert (task["resources"]["infra"], task["resources"]["use_spot"]) == ("aws/us-west-2", True)
    assert task["file_mounts"] == {"/models": "./code", "/data": "./data"}


def test_each_mode_is_launched_its_way(tasks: dict[str, dict[str, Any]]) -> None:
    name = "st-x-0001-t1-0a1b2c"
    assert (tasks["nothing"]["asked"], tasks["nothing"]["how"]) == ("sky.jobs.launch", {"name": name})
    assert (tasks["pool"]["asked"], tasks["pool"]["how"]) == ("sky.jobs.launch", {"name": name, "pool": "mine"})
    assert (tasks["cluster"]["asked"], tasks["cluster"]["how"]) == ("sky.launch", {"cluster_name": name})
    assert tasks["cluster on a cloud"]["how"] == {"cluster_name": name, "idle_minutes_to_autostop": 3, "down": True}


def test_skypilot_takes_what_the_page_shows(tasks: dict[str, dict[str, Any]]) -> None:
    clouds = {task["cloud"] for case, task in tasks.items() if case.startswith("page")}
    assert clouds == {"AWS", "Slurm", "Kubernetes"}
