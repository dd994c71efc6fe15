"""What the dispatcher needs of SkyPilot, and nothing else: a protocol, so that tests can script it.

A job is known by its name, which derives from its trial and attempt. Names are not unique for SkyPilot: what was
submitted twice is there twice, under two ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol, Self


class RemoteState(StrEnum):
    """What a remote job does. What SkyPilot says beyond these is taken for RUNNING: it is not over, that is certain."""

    QUEUED = "queued"
    PROVISIONING = "provisioning"
    SETUP = "setup"
    RUNNING = "running"
    RECOVERING = "recovering"
    ENDING = "ending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FAILED_SETUP = "failed_setup"
    NO_RESOURCES = "no_resources"
    LOST = "lost"
    """What watched over it is gone, and nobody saw its end."""
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    """Its machine was taken away, and SkyPilot does not look for another."""

    @property
    def over(self) -> bool:
        return self in _OVER

    @property
    def waits(self) -> bool:
        """It has not begun to run, and that time is no running time."""
        return self in _WAITS


_OVER = frozenset(
    {
        RemoteState.SUCCEEDED,
        RemoteState.FAILED,
        RemoteState.FAILED_SETUP,
        RemoteState.NO_RESOURCES,
        RemoteState.LOST,
        RemoteState.CANCELLED,
        RemoteState.PREEMPTED,
    }
)
_WAITS = frozenset({RemoteState.QUEUED, RemoteState.PROVISIONING, RemoteState.SETUP})


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be launched. `task` is SkyPilot's own YAML, as a mapping, without the values of its secrets."""

    name: str
    task: Mapping[str, Any]
    secrets: tuple[str, ...] = ()
    """Names of environment variables of this process: their values go along, and are written down nowhere here."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(data["name"], data["task"], tuple(data.get("secrets", ())))


@dataclass(frozen=True, slots=True)
class Sighting:
    """What SkyPilot says of one job, once."""

    remote_id: str
    """Of a managed job its number, of a cluster its job's."""
    state: RemoteState
    reason: str = ""
    infra: str = ""
    """Where it runs, in SkyPilot's words: `aws/us-east-1`, `slurm/lab`."""
    price_usd_h: float | None = None
    recoveries: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "state": RemoteState(data["state"])})


class GatewayError(Exception):
    """SkyPilot did not do it; the message is one sentence. `again`: it may, if asked again later."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class Gateway(Protocol):
    """Every method but `close` may block for minutes, may be called from any thread, and raises `GatewayError`."""

    def submit(self, submission: Submission) -> str:
        """Launch a job and return its id. Whether a failed call launched something, only `find_by_name` tells."""
        ...

    def poll_many(self, names: Sequence[str]) -> Mapping[str, Sequence[Sighting]]:
        """What is known of these jobs now, in one look. A name that is missing may be there the next time."""
        ...

    def find_by_name(self, names: Sequence[str]) -> Mapping[str, Sequence[Sighting]]:
        """As `poll_many`, but after every launch that is in flight: a name that is missing is not there."""
        ...

    def logs(self, name: str, remote_id: str, tail: int | None) -> Sequence[str]:
        """The last `tail` lines (None: all) that the job has printed, without their newlines."""
        ...

    def follow(self, name: str, remote_id: str, tail: int | None, take: Callable[[Sequence[str]], None]) -> None:
        """Give what the job prints to `take`, as `logs` does and as it comes, until its log ends or `unfollow`."""
        ...

    def unfollow(self, name: str) -> None:
        """Have `follow` return soon. A job that is not followed is no error."""
        ...

    def cancel(self, name: str, remote_id: str) -> None:
        """Have a job end; `poll_many` tells when it has. One that is over, or not there, is no error."""
        ...

    def down(self, name: str) -> None:
        """Take down whatever still stands for this name, half-made clusters too. Nothing there is no error."""
        ...

    def standing(self, suffix: str) -> Sequence[str]:
        """The names with this ending of jobs and clusters that are not over: what still costs something."""
        ...

    def close(self) -> None:
        """Give up whatever is under way. Calls that wait raise `GatewayError`."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs go, as far as a gateway has to know."""

    mode: str = "managed"
    pool: str | None = None
    autodown_min: int | None = None
    clusters: Sequence[str] = ()
    """The names of the clusters that are kept for all jobs; none: each job gets its own."""
