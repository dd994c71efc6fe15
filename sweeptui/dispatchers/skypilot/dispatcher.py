"""Runs jobs through SkyPilot; see the package's docstring for who does what."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.dispatch import Capacity, DispatchError, JobExit, JobPhase, JobUpdate, Started
from sweeptui.core.files import stage_of
from sweeptui.core.remote import MOUNT
from sweeptui.core.trial import Stage
from sweeptui.core.watched import Watched
from sweeptui.dispatchers.skypilot.fleet import Fleet
from sweeptui.dispatchers.skypilot.job import RemoteJob, Step
from sweeptui.dispatchers.skypilot.records import JobRecord, sweep_id
from sweeptui.dispatchers.skypilot.task import name_of, submission_of, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeptui.core.dispatch import JobSpec
    from sweeptui.core.remote import SkypilotConfig
    from sweeptui.dispatchers.skypilot.gateway import Gateway


class SkypilotDispatcher:
    """Implements `sweeptui.core.dispatch.Dispatcher`."""

    name = "SkyPilot"

    def __init__(
        self,
        sweep_dir: Path,
        sweep: str,
        config: SkypilotConfig,
        make_gateway: Callable[[], Gateway],
        *,
        interval_s: float = 5.0,
        retry_s: float = 2.0,
    ) -> None:
        """`interval_s`: between two looks at the jobs. `retry_s`: before the second try of what failed."""
        self._sweep_dir, self._sweep, self._config = sweep_dir, sweep, config
        self._make_gateway = make_gateway
        self._interval_s, self._retry_s = interval_s, retry_s
        self._fleet: Fleet | None = None
        self._id = ""

    def open(self) -> None:
        """Get ready to launch."""
        self._id = sweep_id(self._sweep_dir)
        watched = Watched(self._sweep_dir)
        self._fleet = Fleet(self._config, self._make_gateway, lambda: watched.trial, self._interval_s, self._retry_s)

    def cannot_pause(self, token: str) -> str:
        """No machine of a cloud can be stopped and kept, so a pause is for what goes on from a checkpoint."""
        if self.pause_ends(token):
            return ""
        stage = stage_of(token)
        if stage.evaluates:
            return "is evaluated on SkyPilot, where an evaluation cannot be paused; kill it, or let it end"
        if stage is not Stage.TRAIN:
            return f"runs {stage} on SkyPilot, where only a training can be paused; kill it, or let it end"
        return "runs on SkyPilot without skypilot.checkpoints, so it cannot be paused; kill it, and requeue it later"

    def pause_ends(self, token: str) -> bool:
        """A paused training gives its machine back."""
        return self._config.keeps_checkpoints and stage_of(token) is Stage.TRAIN

    def capacity(self, cpus: int, gpus: int) -> Capacity:  # noqa: ARG002 - SkyPilot looks for a machine that fits
        """There is always room; jobs wait in SkyPilot's queue."""
        return Capacity(free=True)

    def dispatch(self, specs: Sequence[JobSpec]) -> list[Started | DispatchError]:
        """Write down what is to be launched. The launch follows; its failure comes through `poll`."""
        return [self._take_on(spec) for spec in specs]

    def adopt(self, token: str, trial_dir: Path, handle: Mapping[str, Any]) -> JobUpdate | None:  # noqa: ARG002
        """Find a job again by its record and its name. None: nothing was ever launched for it."""
        if token in self._opened.jobs:
            return JobUpdate(token, JobPhase.RUNNING)
        path = JobRecord.path(trial_dir, token)
        try:
            record = JobRecord.load(path)
        except ValueError:
            lost = f"{path.name} is damaged: sweeptui doctor lists what may still run"
            return JobUpdate(token, JobPhase.ENDED, JobExit(code=None, lost=True, message=lost))
        if record is None:
            return None
        if record.exit is not None:
            return JobUpdate(token, JobPhase.ENDED, record.exit)
        self._opened.jobs[token] = RemoteJob.of(record, path, Step.TO_FIND, self._uri, self.pause_ends(token))
        return JobUpdate(token, JobPhase.RUNNING)

    def poll(self) -> list[JobUpdate]:
        """What changed since the last call, each end exactly once."""
        return [] if self._fleet is None else self._fleet.turn()

    def pause(self, token: str) -> None:
        """Nothing: see `pause_ends`."""

    def resume(self, token: str) -> None:
        """Nothing: see `pause_ends`."""

    def cancel(self, token: str) -> None:
        """Have SkyPilot end the job and take its machine down; the end comes through `poll`. Idempotent."""
        job = self._opened.jobs.get(token)
        if job is not None and not job.cancelled:
            self._opened.cancel(job)

    def fileno_set(self) -> list[int]:
        """Readable when there is something new."""
        return [] if self._fleet is None else [self._fleet.fileno]

    def close(self) -> None:
        """Let go; where nothing is left to adopt, make sure that nothing is left standing, either."""
        if self._fleet is not None:
            self._fleet.close(suffix_of(self._id))
            self._fleet = None

    def _take_on(self, spec: JobSpec) -> Started | DispatchError:
        fleet = self._opened
        if spec.token in fleet.jobs:
            return DispatchError(f"{spec.token} runs already")
        path = JobRecord.path(spec.trial_dir, spec.token)
        submission = submission_of(self._config, spec, name_of(self._sweep, spec, self._id))
        record = JobRecord.of(spec, submission, time.time())
        try:
            record.save(path)
        except OSError as error:
            return DispatchError(f"{path} cannot be written: {error.strerror}")
        pausable = self.pause_ends(spec.token)
        job = fleet.jobs[spec.token] = RemoteJob.of(record, path, Step.TO_LAUNCH, self._uri, pausable)
        job.told = job.slot()
        fleet.hurry()
        return Started(handle={"name": job.name}, slot=job.told)

    @property
    def _uri(self) -> str:
        place = self._config.checkpoints or ""
        return place if "://" in place else MOUNT

    @property
    def _opened(self) -> Fleet:
        assert self._fleet is not None, "open() comes first"
        return self._fleet
