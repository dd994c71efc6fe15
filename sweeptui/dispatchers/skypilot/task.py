"""From a job and a sweep's `skypilot` section to what SkyPilot is to run."""

from __future__ import annotations

import copy
import json
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sweeptui.core.errors import UserError
from sweeptui.core.remote import MOUNT
from sweeptui.core.trial import Stage
from sweeptui.dispatchers.skypilot.gateway import Submission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.dispatch import JobSpec
    from sweeptui.core.remote import SkypilotConfig

OURS = re.compile(r"st-[a-z0-9-]*-(?:\d{4,}-(?:[te]|s[0-9a-f]{6}-)\d+|warm\d+)-[0-9a-f]{6}")
"""What the names of our jobs and clusters look like."""
_SLUG_CHARS = 18
_LOCAL_ONLY = ("SWEEPTUI_PARAMS", "SWEEPTUI_TRIAL_DIR", "WANDB_DIR", "WANDB_SWEEP_PARAM_PATH")
"""Files and folders here: those that matter, the runner makes anew there."""


def suffix_of(sweep_id: str) -> str:
    """How the names of all jobs of a sweep end."""
    return f"-{sweep_id}"


def name_of(sweep: str, spec: JobSpec, sweep_id: str) -> str:
    """The name of a job for SkyPilot, whose rules are: lower-case letters, digits and dashes, a letter first.

    `sweep_id` tells apart sweeps of the same name, of other folders, people and times.
    """
    attempt = spec.token.rpartition(".")[2]
    stage = {Stage.TRAIN: "t", Stage.EVAL: "e"}.get(spec.stage, spec.stage.code)
    return f"st-{_slug(sweep)}-{spec.trial:04d}-{stage}{attempt}-{sweep_id}"


def warm_names(sweep: str, count: int, sweep_id: str) -> tuple[str, ...]:
    """The names of the clusters that a sweep keeps for all its jobs."""
    return tuple(f"st-{_slug(sweep)}-warm{number}-{sweep_id}" for number in range(1, count + 1))


def _slug(sweep: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", sweep.lower()).strip("-")[:_SLUG_CHARS].strip("-") or "sweep"


def base_task(config: SkypilotConfig) -> dict[str, Any]:
    """The task YAML that a sweep starts from, or an empty one. Raises `UserError`."""
    if config.task is None:
        return {}
    path = Path(config.task)
    try:
        task = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"skypilot.task is {config.task!r}, which cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise UserError(f"skypilot.task is {config.task!r}, which is not YAML: {text}") from None
    if not isinstance(task, dict):
        raise UserError(f"skypilot.task is {config.task!r}, which has no mapping; give one SkyPilot task")
    return task


def submission_of(config: SkypilotConfig, spec: JobSpec, name: str) -> Submission:
    """What is to be launched for a job."""
    task = copy.deepcopy(base_task(config))
    resources = dict(task.get("resources") or {})
    given: dict[str, Any] = {
        "infra": config.infra,
        "region": config.region,
        "accelerators": config.gpus if isinstance(config.gpus, str) else None,
        "cpus": config.cpus or (f"{spec.cpus}+" if spec.cpus > 1 and "cpus" not in resources else None),
        "memory": config.memory,
        "use_spot": config.spot,
        "image_id": config.image,
    }
    resources |= {key: value for key, value in given.items() if value is not None}
    environment = {key: value for key, value in spec.env.items() if key not in _LOCAL_ONLY}
    task |= {
        "name": name,
        "resources": resources,
        "envs": {**(task.get("envs") or {}), **environment, **config.envs, "SWEEPTUI_JOB": spec.token},
        "run": run_of(spec),
    }
    if config.setup is not None:
        task["setup"] = config.setup
    if config.workdir is not None:
        task["workdir"] = config.workdir
    mounts = {**(task.get("file_mounts") or {}), **config.file_mounts}
    if config.checkpoints is not None and "://" in config.checkpoints:
        scheme, _, rest = config.checkpoints.partition("://")
        mounts[MOUNT] = {"source": f"{scheme}://{rest.rstrip('/')}", "mode": "MOUNT"}
    if mounts:
        task["file_mounts"] = mounts
    return Submission(name, task, tuple(config.secrets))


def run_of(spec: JobSpec) -> str:
    """The shell command that starts the runner with the job's argv."""
    told = {
        "argv": list(spec.argv),
        "trial_dir": spec.remote_dir or f"sweeptui_trials/{spec.token}",
        "params": _params(spec.trial_dir),
        "wandb_config": _wandb_config(spec.env.get("WANDB_SWEEP_PARAM_PATH")),
        "timeout_s": spec.timeout_s,
        "grace_s": spec.grace_s,
    }
    source = (files("sweeptui.dispatchers.skypilot") / "runner.py").read_text()
    return f"exec {shlex.join(['python3', '-c', source, json.dumps(told)])}"


def _wandb_config(path: str | None) -> str | None:
    """What `wandb.init()` takes the job's config from; None where it is told nothing."""
    if path is None:
        return None
    try:
        return Path(path).read_text()
    except OSError:
        return None


def _params(trial_dir: Path) -> Mapping[str, Any]:
    try:
        params: dict[str, Any] = json.loads((trial_dir / "params.json").read_text())
    except (OSError, ValueError):
        return {}
    return params
