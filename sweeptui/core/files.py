"""Where the things of a sweep and of its jobs lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeptui.core.trial import Job, Stage, trial_id

if TYPE_CHECKING:
    from pathlib import Path


def token(job: Job) -> str:
    """The name of a job, in its files and to its dispatcher: `trial_0001.train.1`."""
    return f"{trial_id(job.trial)}.{job.stage}.{job.attempt}"


def trial_of(name: str) -> int:
    """The number of the trial whose job has this token."""
    return int(name.partition(".")[0].rpartition("_")[2])


def stage_of(name: str) -> Stage:
    """The stage of the job that has this token."""
    return Stage(name.split(".")[1])


class Files:
    """Where things lie in a sweep's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trial_dir(self, number: int) -> Path:
        return self.folder / "trials" / trial_id(number)

    def log(self, job: Job) -> Path:
        return self.trial_dir(job.trial) / f"{job.stage}.{job.attempt}.log"

    def reports(self, job: Job) -> Path:
        return self.trial_dir(job.trial) / f"{job.stage}.{job.attempt}.reports.jsonl"

    def wandb(self, job: Job) -> Path:
        """Where the job's W&B runs lie, each in a folder of its own below `wandb/`."""
        return self.trial_dir(job.trial) / f"{job.stage}.{job.attempt}.wandb"

    def checkpoints(self, number: int) -> Path:
        return self.trial_dir(number) / "checkpoints"
