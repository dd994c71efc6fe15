"""One remote job, from what SkyPilot says of it to what the sweep is told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

from sweeptui.core.dispatch import JobExit
from sweeptui.core.files import trial_of
from sweeptui.core.remote import MOUNT
from sweeptui.dispatchers.skypilot.gateway import RemoteState, Sighting
from sweeptui.dispatchers.skypilot.records import JobRecord
from sweeptui.dispatchers.skypilot.transport import Transport

HOUR_S = 3600.0
PRICE_EVERY_S = 60.0
_UNPAID = frozenset(state for state in RemoteState if state.over) | {RemoteState.QUEUED, RemoteState.RECOVERING}


class Step(Enum):
    """How far a job is on its way."""

    TO_LAUNCH = auto()
    """Its record is written; it waits for its turn."""
    LAUNCHING = auto()
    TO_FIND = auto()
    """Whether it was launched is not known: a launch failed, or a process was killed under it."""
    OUT = auto()
    """SkyPilot has it."""
    LAST_LINES = auto()
    """It is over; the rest of its log is being brought."""
    CLEARING = auto()
    """What it leaves is being taken down."""
    GONE = auto()


@dataclass(slots=True)
class RemoteJob:
    record: JobRecord
    path: Path
    """Of its record."""
    transport: Transport
    step: Step
    pausable: bool
    """It can go on from a checkpoint."""
    sighting: Sighting | None = None
    cancelled: bool = False
    """By the user, or by the sweep."""
    late: str = ""
    """It waited too long for a machine; the sentence that says so."""
    error: str = ""
    """Why it could not be launched."""
    missed: int = 0
    """Looks in a row that did not find it."""
    missed_since: float = 0.0
    tries: int = 0
    """Of the errand at hand."""
    busy: bool = False
    """A courier is under way for it."""
    not_before: float = 0.0
    """On the monotonic clock: no errand for it until then."""
    log_at: float = float("-inf")
    """On the monotonic clock: when its log is due."""
    read_at: float = float("-inf")
    """On the monotonic clock: when its log came last."""
    follow_at: float = float("-inf")
    """On the monotonic clock: its log is not followed before."""
    follow_tries: int = 0
    """In a row, that brought nothing."""
    follow_whole: bool = False
    """From its first line on: the last lines did not join what is here."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """The slot that the sweep was last told of."""
    _price_usd_h: float | None = None

    @classmethod
    def of(cls, record: JobRecord, path: Path, step: Step, uri: str, pausable: bool) -> RemoteJob:
        state = path.with_name(path.name.replace(".skypilot.json", ".transport.json"))
        transport = Transport(Path(record.log), Path(record.reports), state, MOUNT, uri)
        return cls(record, path, transport, step, pausable)

    @property
    def name(self) -> str:
        return self.record.submission.name

    @property
    def token(self) -> str:
        return self.record.token

    @property
    def trial(self) -> int:
        return trial_of(self.token)

    @property
    def unwanted(self) -> bool:
        return self.cancelled or bool(self.late)

    def see(self, sighting: Sighting, now: float) -> bool:
        """Take in what SkyPilot says of it; True where its record is to be saved."""
        self.sighting, self.missed = sighting, 0
        record, changed = self.record, False
        if sighting.remote_id and sighting.remote_id != record.remote_id:
            record.remote_id, changed = sighting.remote_id, True
        if record.ran_at is None and sighting.state is RemoteState.RUNNING:
            record.ran_at, changed = now, True
        return self._price(sighting, now) or changed

    def save(self) -> None:
        """Raises OSError."""
        self.record.save(self.path)

    def slot(self) -> dict[str, Any]:
        """Where it is and what that costs, for people."""
        sighting = self.sighting
        place: dict[str, Any] = {"on": "skypilot", "state": str(self._state()), "name": self.name}
        if sighting is not None:
            found = {
                "id": sighting.remote_id,
                "infra": sighting.infra,
                "usd_h": sighting.price_usd_h,
                "recoveries": sighting.recoveries,
            }
            place |= {name: value for name, value in found.items() if value}
        if self.pausable:
            place["pausable"] = True
        if self.record.cost_usd:
            place["usd"] = round(self.record.cost_usd, 4)
        return place

    def exit(self, now: float) -> JobExit:
        """How it ended, once its log is complete."""
        end = self.transport.end or {}
        run_s = _number(end.get("run_s")) or (now - self.record.ran_at if self.record.ran_at else 0.0)
        common: dict[str, Any] = {
            "run_s": run_s,
            "started_at": _number(end.get("started_at")) or self.record.ran_at,
            "ended_at": _number(end.get("ended_at")) or now,
            "rusage": _numbers(end.get("rusage")),
            "cost_usd": self.record.cost_usd or None,
        }
        state = self.sighting.state if self.sighting is not None else RemoteState.LOST
        reason = self.sighting.reason if self.sighting is not None else ""
        code, signal = _whole(end.get("code")), _whole(end.get("signal"))
        if state is RemoteState.SUCCEEDED:
            return JobExit(code=0 if code is None else code, **common)
        if end.get("timed_out") is True:
            return JobExit(code=code, signal=signal, timed_out=True, **common)
        if self.cancelled:
            return JobExit(code=code, signal=signal, killed=True, **common)
        if self.late:
            return JobExit(code=None, timed_out=True, message=self.late, **common)
        if self.error:
            return JobExit(code=None, not_started=True, message=self.error)
        match state:
            case RemoteState.FAILED:
                message = str(end.get("message") or "") or ("" if end else reason)
                code = 1 if code is None and signal is None else code
                return JobExit(code=code, signal=signal, message=message, **common)
            case RemoteState.FAILED_SETUP:
                return JobExit(code=1, message=f"its setup failed{_because(reason)}", **common)
            case RemoteState.NO_RESOURCES:
                return JobExit(code=None, not_started=True, message=f"SkyPilot found no machine{_because(reason)}")
            case RemoteState.PREEMPTED:
                return JobExit(code=None, preempted=True, message=reason or "its machine was taken away", **common)
            case RemoteState.CANCELLED:
                return JobExit(code=code, signal=signal, killed=True, **common)
        return JobExit(code=None, lost=True, message=reason or "SkyPilot does not know it any more", **common)

    def wait(self, seconds: float) -> None:
        """Nothing is done for it for so long."""
        self.not_before = time.monotonic() + seconds

    def _state(self) -> RemoteState | str:
        if self.cancelled and self.step is not Step.GONE:
            return RemoteState.ENDING
        if self.sighting is None:
            if self.step in (Step.TO_LAUNCH, Step.LAUNCHING):
                return "submitting"
            return "searching" if self.step is Step.TO_FIND else RemoteState.QUEUED
        return self.sighting.state

    def _price(self, sighting: Sighting, now: float) -> bool:
        """Add what its machine cost, once a minute and where something changes: each time is a write."""
        record, price = self.record, sighting.price_usd_h
        if sighting.state in _UNPAID:
            price = None
        if record.priced_at is not None:
            if now - record.priced_at < PRICE_EVERY_S and price == self._price_usd_h:
                return False
            record.cost_usd += max(0.0, now - record.priced_at) * (self._price_usd_h or price or 0.0) / HOUR_S
        changed = record.priced_at is not None or price is not None
        record.priced_at, self._price_usd_h = (None if price is None else now), price
        return changed


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    return {str(name): number for name, each in value.items() if (number := _number(each)) is not None}
