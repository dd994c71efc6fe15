"""What a sweep says about running elsewhere: where each job goes, and what SkyPilot is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, StrictBool, field_validator, model_validator

from sweeptui.core.fields import AtLeastOne, Json, Model, PathText, Text, mistake, mistakes
from sweeptui.core.flow import Flow, Step
from sweeptui.core.trial import Stage
from sweeptui.core.values import format_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.config import SweepTool

LOCAL, SKYPILOT, HYBRID = "local", "skypilot", "hybrid_remote_train"
PLACES = (LOCAL, SKYPILOT)
REPORTED = "reported"
"""Of `checkpoints`: what training reports as its checkpoint can be read from anywhere as it is."""
MOUNT = "/sweeptui-checkpoints"
"""Where a bucket of checkpoints is on the remote machine."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SkypilotConfig(Model):
    """What a job needs of the machine that SkyPilot finds for it. What is not given is left to SkyPilot."""

    mode: Literal["managed", "cluster", "pool"] = "managed"
    """"managed" jobs are moved to another machine when theirs is taken away; "cluster" gives each job a cluster of its
    own, where SkyPilot has no jobs controller; "pool" runs them on the workers of a SkyPilot pool."""
    pool: Text | None = None
    """The pool's name, for mode "pool"."""
    task: PathText | None = None
    """A SkyPilot task YAML to start from: the fields below change it, and its `run` becomes the trial's command."""
    infra: Text | None = None
    """Where: "aws", "aws/us-east-1", "k8s/my-context", "slurm/my-cluster"."""
    region: Text | None = None
    gpus: Text | AtLeastOne | None = None
    """Such as "H100:1" or "L4"."""
    cpus: Text | AtLeastOne | None = None
    """Such as 4 or "8+"."""
    memory: Text | AtLeastOne | None = None
    """In GB, such as 16 or "32+"."""
    spot: StrictBool | None = None
    """Machines that may be taken away, at a lower price."""
    image: Text | None = None
    setup: str | None = None
    """Shell commands that get a new machine ready."""
    workdir: PathText | None = None
    """A folder that is copied there; jobs start in it."""
    file_mounts: dict[str, Json] = Field(default_factory=dict)
    envs: dict[str, str] = Field(default_factory=dict)
    secrets: list[Text] = Field(default_factory=list)
    """Names of environment variables here, WANDB_API_KEY for one: their values go along as SkyPilot's secrets."""
    python: Text = "python3"
    """What {python} stands for there."""
    checkpoints: Text | None = None
    """Where trials keep their checkpoints: a path that all machines share, or a bucket (s3://, gs://, r2://, az://);
    "reported" if training reports an address of its own that can be read from anywhere."""
    clusters: AtLeastOne | None = None
    """Mode "cluster": so many clusters serve all jobs, one after the other on each, and stand until the sweep ends.
    None: each job gets a cluster of its own."""
    autodown_min: AtLeastOne | None = 10
    """Mode "cluster": a cluster that has done nothing for so long takes itself down, even if nobody is left to do it.
    None for clouds that cannot."""
    max_submissions: AtLeastOne = 4
    """Launches at once; a local API server does not do more."""

    @field_validator("secrets")
    @classmethod
    def _secrets_are_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _VARIABLE.fullmatch(name):
                raise mistake(
                    "has something that is no variable's name; list the names of environment variables only, their "
                    "values are taken from the environment"
                )
        return names

    @field_validator("envs")
    @classmethod
    def _envs_have_names(cls, envs: dict[str, str]) -> dict[str, str]:
        for name in envs:
            if not _VARIABLE.fullmatch(name):
                raise mistake(f"has {name!r}; SkyPilot takes names of letters, digits and underscores")
        return envs

    @field_validator("checkpoints")
    @classmethod
    def _checkpoints_is_a_place(cls, place: str | None) -> str | None:
        if place is None or place == REPORTED or place.startswith("/") or "://" in place:
            return place
        raise mistake(f"is {place!r}; give an absolute path, a bucket such as s3://bucket/folder, or {REPORTED!r}")

    @model_validator(mode="after")
    def _fields_go_with_their_mode(self) -> Self:
        wrong: list[tuple[tuple[str, ...], str, Any]] = []
        if self.mode == "pool" and self.pool is None:
            wrong.append((("pool",), "is missing, and mode is 'pool'; give the name of the pool", None))
        if self.mode != "pool" and self.pool is not None:
            wrong.append((("pool",), f"is set, but mode is {self.mode!r}; set mode to 'pool'", self.pool))
        if self.mode != "cluster" and self.clusters is not None:
            wrong.append((("clusters",), f"is set, but mode is {self.mode!r}; set mode to 'cluster'", self.clusters))
        if self.mode == "pool":
            # They belong to the pool, and SkyPilot refuses them on its jobs.
            wrong += [
                ((name,), "belongs to the pool, so it cannot be set here; set it where the pool is made", None)
                for name in ("setup", "workdir", "file_mounts")
                if getattr(self, name)
            ]
        if wrong:
            raise mistakes(type(self).__name__, wrong)
        return self

    @property
    def keeps_checkpoints(self) -> bool:
        """A training finds what an attempt before it has left, on whatever machine."""
        return self.checkpoints is not None

    def seen_there(self, checkpoint: str | None) -> str | None:
        """A checkpoint as a remote job finds it: one in our bucket is below its mount."""
        bucket = (self.checkpoints or "").rstrip("/") + "/"
        if checkpoint is None or "://" not in bucket or not checkpoint.startswith(bucket):
            return checkpoint
        return f"{MOUNT}/{checkpoint.removeprefix(bucket)}"

    def trial_dir(self, sweep: str, trial: str) -> str:
        """The trial's folder on the remote machine; a relative one is below where jobs start."""
        if self.checkpoints is None or self.checkpoints == REPORTED:
            return f"sweeptui_trials/{sweep}/{trial}"
        base = MOUNT if "://" in self.checkpoints else self.checkpoints.rstrip("/")
        return f"{base}/{sweep}/{trial}"


def route_of(tool: SweepTool, stage: Stage, params: Mapping[str, Any]) -> str:
    """Where a job runs: "local", "skypilot", or the name of a plug-in."""
    for key, place in tool.routes.items():
        name, equals, value = key.partition("=")
        if equals and name in params and format_value(params[name]) == value:
            return place
    if stage in tool.routes:
        return tool.routes[stage]
    if stage.evaluates and Stage.EVAL in tool.routes:
        return tool.routes[Stage.EVAL]
    if tool.dispatcher_type == HYBRID:
        return SKYPILOT if stage is Stage.TRAIN else LOCAL
    return tool.dispatcher_type


def _training_first(step: Step) -> bool:
    return step.stage is not Stage.TRAIN


def routes_of(tool: SweepTool) -> tuple[str, ...]:
    """All places where jobs of this sweep may run, the one for training first."""
    places = [route_of(tool, step.stage, {}) for step in sorted(Flow.of(tool).steps, key=_training_first)]
    return tuple(dict.fromkeys([*places, *tool.routes.values()]))
