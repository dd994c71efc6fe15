"""The contract between a sweep and whatever runs its jobs: here, in the cloud, on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from sweeptui.core.trial import Stage


class DispatchError(Exception):
    """The job could not be started; the message is one sentence for the user. Nothing is left running."""


class NoRoomError(DispatchError):
    """The disk is full. That is no fault of the job: the same token can be dispatched again."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Everything needed to start a job. `token` is unique per job in a sweep and names its files."""

    token: str
    """`trial_0001.train.1`: trial, stage, attempt."""
    trial: int
    stage: Stage
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Added to the inherited environment. The dispatcher itself adds CUDA_VISIBLE_DEVICES and thread limits."""
    cwd: Path
    trial_dir: Path
    log_path: Path
    report_path: Path
    route: str = "local"
    """The kind of place where it is to run."""
    remote_dir: str | None = None
    """The trial's folder on the machine where the job runs, if that is another one."""
    timeout_s: float | None = None
    """Running time, paused time not counted."""
    queue_timeout_s: float | None = None
    """How long it may wait for a machine, where its dispatcher has to get one first."""
    grace_s: float = 10.0
    """Between TERM and KILL."""
    cpus: int = 1
    gpus: int = 0


class JobPhase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class JobExit:
    """How a job ended, as seen by what supervised it."""

    code: int | None
    """Exit code; None where a signal ended it or nobody saw the end."""
    signal: int | None = None
    timed_out: bool = False
    killed: bool = False
    """Ended by `cancel`."""
    preempted: bool = False
    """Its machine was taken away."""
    lost: bool = False
    """Nobody saw the end (its supervisor was killed, the machine restarted)."""
    not_started: bool = False
    """`dispatch` gave an error; `message` says why."""
    run_s: float = 0.0
    """Running time without pauses."""
    paused_s: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    cost_usd: float | None = None
    """What its machine cost, where that is known."""
    rusage: Mapping[str, float] = field(default_factory=dict)
    """`utime_s`, `stime_s`, `maxrss_bytes` of the process tree that was waited for."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobUpdate:
    token: str
    phase: JobPhase
    exit: JobExit | None = None
    slot: Mapping[str, Any] | None = None
    """Where it runs now, if that has changed."""
    started_at: float | None = None
    """When it came to run, if it had to wait for a machine until now."""


@dataclass(frozen=True, slots=True)
class Started:
    """`handle` is JSON that finds the job again after a restart; `slot` says where it runs, for people."""

    handle: Mapping[str, Any]
    slot: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Capacity:
    """Whether a job of this size could start now, and if not, why, in one sentence."""

    free: bool
    reason: str = ""


class Dispatcher(Protocol):
    """Where jobs run. Every method returns at once; nothing here waits for a job.

    Called from the orchestrator's thread only.
    """

    name: str

    def cannot_pause(self, token: str) -> str:
        """Why this job cannot be paused, in one sentence; "" where it can."""
        ...

    def pause_ends(self, token: str) -> bool:
        """Whether a pause gives the machine back: the job is cancelled, and its trial goes on by another job, from the
        checkpoint. Where not, `pause` stops the job and `resume` lets it go on.
        """
        ...

    def open(self) -> None:
        """Get ready to launch. When it returns, no launch of an earlier orchestrator is still in flight."""
        ...

    def capacity(self, cpus: int, gpus: int) -> Capacity: ...

    def dispatch(self, specs: Sequence[JobSpec]) -> list[Started | DispatchError]:
        """Start jobs, each at most once for its token, ever. In their order: how each was started, or why it was not.

        They are given together so that none of them waits for the start of another.
        """
        ...

    def adopt(self, token: str, trial_dir: Path, handle: Mapping[str, Any]) -> JobUpdate | None:
        """After a restart: find a job again by what is on disk (`handle` may be empty: crash after the intent).

        None means that it was never started, and now never will be. Occupies its slot again if it runs.
        """
        ...

    def poll(self) -> list[JobUpdate]:
        """What changed since the last call, each end exactly once per process."""
        ...

    def pause(self, token: str) -> None: ...

    def resume(self, token: str) -> None: ...

    def cancel(self, token: str) -> None:
        """TERM, grace, KILL of every descendant; its end comes through `poll` with `killed` set. Idempotent."""
        ...

    def fileno_set(self) -> list[int]:
        """File descriptors that become readable when `poll` has something to say (empty: poll on the interval)."""
        ...

    def close(self) -> None:
        """Let go. Running jobs run on and can be adopted."""
        ...
