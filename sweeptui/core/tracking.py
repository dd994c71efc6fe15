"""What a trial's own W&B run is told: where it belongs, and which parameters it has.

A script that calls `wandb.init()` finds all of it in its environment, as it would find it under W&B's own agent. One
job has one run: a second attempt starts a run of its own beside the first, in the same group.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from sweeptui.core.fields import Model, Positive, Text
from sweeptui.core.trial import Job, Stage, Trial

if TYPE_CHECKING:
    from sweeptui.core.files import Files

LISTS = (
    "wandb_args",
    "wandb_args_no_equals",
    "wandb_args_no_hyphens",
    "wandb_args_no_boolean_flags",
    "wandb_args_append_hydra",
    "wandb_args_override_hydra",
)
"""Placeholders of a command that stand for all parameters, as the macros of W&B's sweep files do."""

FINISH_TIMEOUT_S = "600"
MAX_NAME_CHARS = 30
"""Of the sweep's name in a run's id, which may have 64 characters in all."""


class WandbConfig(Model):
    """The W&B runs of a sweep and its trials. What is not given here is left to the environment, and to the script."""

    project: Text | None = None
    entity: Text | None = None
    mode: Literal["online", "offline", "disabled"] | None = None
    notes: str | None = None
    """Of each run; the description of a W&B sweep file."""
    nested: dict[str, list[Text]] = Field(default_factory=dict)
    """Parameters that `wandb.config` has in groups: "optimizer.lr" by ["optimizer", "lr"]. All others it has by their
    whole name."""
    lease_ttl_s: Positive = 60.0
    """With store "wandb": after how long without a sign of the machine that runs the sweep another one takes over."""
    metric_timeout_s: Positive = 60.0
    """With metric_source "wandb": how long W&B may be asked for the score of a trial that left none on this machine."""


def run_id(sweep: str, trial: Trial, job: Job) -> str:
    """The id of a job's run: unique in a project, also where sweeps of one name come and go, and the same for ever."""
    nonce = hashlib.sha256(f"{sweep}/{trial.number}/{trial.created_at!r}".encode()).hexdigest()[:8]
    kind = {Stage.TRAIN: "a", Stage.EVAL: "e"}.get(job.stage, job.stage.code)
    return f"{sweep[:MAX_NAME_CHARS]}-{nonce}.t{trial.number:04d}.{kind}{job.attempt}"


def environment(wandb: WandbConfig, sweep: str, files: Files, trial: Trial, job: Job) -> dict[str, str]:
    """The variables of a job, for `wandb.init()`."""
    attempt = f".{job.attempt}" if job.attempt > 1 else ""
    given = {
        "WANDB_PROJECT": wandb.project,
        "WANDB_ENTITY": wandb.entity,
        "WANDB_MODE": wandb.mode,
        "WANDB_NOTES": wandb.notes,
        # Else a script waits for days at its end where W&B is away. What it has not sent stays on its disk.
        "WANDB_FINISH_TIMEOUT": None if "WANDB_FINISH_TIMEOUT" in os.environ else FINISH_TIMEOUT_S,
    }
    return {name: value for name, value in given.items() if value is not None} | {
        "WANDB_RUN_ID": run_id(sweep, trial, job),
        "WANDB_RUN_GROUP": sweep,
        "WANDB_NAME": f"{sweep}.{trial.id}" + ("" if job.stage is Stage.TRAIN else f".{job.stage}") + attempt,
        "WANDB_JOB_TYPE": job.stage,
        "WANDB_RESUME": "allow",
        # Of a W&B client around this process: a trial's own must not log through it.
        "WANDB_SERVICE": "",
        # Where the learning curve is read from.
        "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "2",
        "WANDB_DIR": os.fspath(files.wandb(job)),
        "WANDB_SWEEP_PARAM_PATH": os.fspath(config_file(files.trial_dir(trial.number))),
    }


def config_file(trial_dir: Path) -> Path:
    """What `wandb.init()` takes its config from."""
    return trial_dir / "wandb-config.yaml"


def args_file(trial_dir: Path) -> Path:
    """All parameters as JSON, nested as `wandb.config` has them."""
    return trial_dir / "wandb-args.json"


def write_files(wandb: WandbConfig, files: Files, job: Job, settings: Mapping[str, Any]) -> None:
    """What the environment names: the folder of the job's runs, and the parameters. Raises `OSError`."""
    import yaml  # noqa: PLC0415 - only trials with W&B runs need it

    config = config_of(settings, wandb.nested)
    files.wandb(job).mkdir(parents=True, exist_ok=True)
    folder = files.trial_dir(job.trial)
    wrapped = {"wandb_version": 1} | {name: {"value": value} for name, value in config.items()}
    _replace(config_file(folder), yaml.safe_dump(wrapped, sort_keys=False, allow_unicode=True))
    _replace(args_file(folder), json.dumps(config))


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def config_of(settings: Mapping[str, Any], nested: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The settings as `wandb.config` has them."""
    config: dict[str, Any] = {}
    for name, value in settings.items():
        *groups, last = nested.get(name, [name])
        owner = config
        for group in groups:
            owner = owner.setdefault(group, {})
        owner[last] = value
    return config


def arguments(kind: str, settings: Mapping[str, Any], nested: Mapping[str, Sequence[str]]) -> list[str]:
    """The settings as arguments, `kind` being one of `LISTS`. Values are written as Python writes them."""
    words: list[str] = []
    for name, value in config_of(settings, nested).items():
        match kind:
            case "wandb_args_no_equals":
                words += [f"--{name}", str(value)]
            case "wandb_args_no_hyphens":
                words.append(f"{name}={value}")
            case "wandb_args_append_hydra":
                words.append(f"+{name}={value}")
            case "wandb_args_override_hydra":
                words.append(f"++{name}={value}")
            case "wandb_args_no_boolean_flags" if isinstance(value, bool):
                words += [f"--{name}"] if value else []
            case _:
                words.append(f"--{name}={value}")
    return words
