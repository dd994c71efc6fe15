"""A sweep as runs in W&B: what each holds, and what is read back from it.

What counts is one text of JSON in a run's summary, written whole each time: W&B keeps texts exactly, and numbers not
always. The plain values beside it are there for W&B's own pages, and are never read back.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from sweeptui.core.state import job_from_json, trial_from_json
from sweeptui.core.stores.rows import SWEEP_COLUMNS
from sweeptui.core.stores.wandb.client import CloudRun
from sweeptui.core.trial import Job, Trial, TrialStatus

if TYPE_CHECKING:
    from sweeptui.core.state import SweepState

FORMAT = 1
"""Of the text; a newer one is refused, not guessed at."""
SWEEP_JOB, TRIAL_JOB, LEASE_JOB = "sweep", "sweep-record", "sweep-lease"
"""W&B's job types of the runs that are written here."""
RECORD = "sweeptui"
"""The summary's key with the text that counts."""
TAGS = ("sweeptui",)
RECENT = 500
"""So many of the newest writes are named in the sweep's own record."""
KEPT_HERE = frozenset({"env"})
"""Of the configuration, what never leaves the machine: the jobs' environment may hold passwords."""
_STATES = {
    TrialStatus.COMPLETED: "finished",
    TrialStatus.STOPPED: "finished",
    TrialStatus.FAILED: "failed",
    TrialStatus.KILLED: "killed",
}

STEM_CHARS = 40

Rev = tuple[int, int]
"""When a record was written, to tell the newer of two: the lease's number, and the journal's there."""


class NewerFormatError(Exception):
    """Written by a newer version."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    trial: Trial
    jobs: tuple[Job, ...]
    """All of it, oldest first."""
    rev: Rev

    def run(self, names: Names, group: str) -> CloudRun:
        trial = self.trial
        plain = {
            **_numbers(trial.metrics),
            **_numbers({"score": trial.score, "cost": trial.cost, "spent": trial.spent, "step": trial.step}),
            **_numbers({"sweep/score": trial.score, "sweep/cost": trial.cost}),
            "status": trial.status.value,
            "trial": trial.number,
            "seed": trial.seed,
            "initialized": True,
            "sweep/suggestion": _finite(dict(trial.params)),
            **({"failure": trial.failure.value} if trial.failure else {}),
            **({"reason": trial.reason} if trial.reason else {}),
        }
        record = {"trial": _sparse(trial), "jobs": [_sparse(job) for job in self.jobs]}
        return CloudRun(
            name=names.trial(trial.number),
            group=group,
            job_type=TRIAL_JOB,
            display_name=trial.id,
            state=_STATES.get(trial.status, "running"),
            tags=TAGS,
            config=_finite(dict(trial.params)),
            summary={**plain, RECORD: _text(record, self.rev)},
        )

    @staticmethod
    def read(run: CloudRun) -> TrialRecord | None:
        """None where the run was made and not filled in yet. Raises `NewerFormatError`."""
        record, rev = _read(run)
        if record is None:
            return None
        jobs = tuple(job_from_json(job) for job in record["jobs"])
        return TrialRecord(trial_from_json(record["trial"]), jobs, rev)


@dataclass(frozen=True, slots=True)
class SweepRecord:
    nonce: str
    """Tells this sweep from any other of its name."""
    sweep: Mapping[str, Any]
    """The sweep's own fields."""
    moved: Mapping[int, int]
    """Trials whose record was deleted in W&B and written again, and how often."""
    recent: Mapping[int, Rev]
    """When the trials that were written last were written, so that an outdated list is known as such."""
    rev: Rev

    def tells_since(self, rev: Rev) -> bool:
        """Whether `recent` has all that was written after `rev`."""
        told = len(self.recent) < RECENT or min(self.recent.values()) <= rev
        return rev[0] == self.rev[0] and told

    @staticmethod
    def of(state: SweepState, nonce: str, moved: Mapping[int, int], recent: Mapping[int, Rev], rev: Rev) -> SweepRecord:
        sweep = {name: getattr(state, name) for name in SWEEP_COLUMNS}
        sweep["config"] = {key: value for key, value in state.config.items() if key not in KEPT_HERE}
        return SweepRecord(nonce, sweep, moved, dict(recent), rev)

    def run(self, name: str) -> CloudRun:
        config = self.sweep["config"]
        record = {
            "nonce": self.nonce,
            "sweep": self.sweep,
            "moved": {str(number): times for number, times in self.moved.items()},
            "recent": {str(number): rev for number, rev in self.recent.items()},
        }
        protein = config.get("protein_config", {})
        plain = {"metric": protein.get("metric"), "goal": protein.get("goal"), "method": protein.get("method")}
        return CloudRun(
            name=name,
            group=self.sweep["name"],
            job_type=SWEEP_JOB,
            display_name=self.sweep["name"],
            state="finished" if self.sweep["ended_at"] is not None else "running",
            tags=TAGS,
            config={**plain, "max_trials": config.get("max_trials")},
            summary={"status": self.sweep["status"], RECORD: _text(record, self.rev)},
        )

    @staticmethod
    def read(run: CloudRun) -> SweepRecord | None:
        """None where the run was made and not filled in yet. Raises `NewerFormatError`."""
        record, rev = _read(run)
        if record is None:
            return None
        moved = {int(number): times for number, times in record["moved"].items()}
        recent = {int(number): (epoch, seq) for number, (epoch, seq) in record["recent"].items()}
        return SweepRecord(record["nonce"], record["sweep"], moved, recent, rev)


class Names:
    """The ids of a sweep's runs. With the nonce in them, no two sweeps share any, and none is used again."""

    def __init__(self, sweep: str, nonce: str, moved: Mapping[int, int]) -> None:
        self._prefix = f"{_stem(sweep)}.{nonce}"
        self._moved = moved

    @staticmethod
    def root(sweep: str, generation: int) -> str:
        """The sweep's own run: the one id that can be known from the sweep's name alone."""
        return f"{_stem(sweep)}.s{generation}"

    def owns(self, run: str) -> bool:
        """Whether a run is one of this very sweep's."""
        return run.startswith(f"{self._prefix}.")

    def trial(self, number: int) -> str:
        moved = self._moved.get(number, 0)
        return f"{self._prefix}.t{number:06d}" + (f".{moved}" if moved else "")

    def lease(self, epoch: int) -> str:
        return f"{self._prefix}.l{epoch:05d}"


def _stem(sweep: str) -> str:
    """The sweep's name as far as it fits into an id, which may have 64 characters."""
    if len(sweep) <= STEM_CHARS:
        return sweep
    return f"{sweep[: STEM_CHARS - 9]}-{hashlib.sha256(sweep.encode()).hexdigest()[:8]}"


def _text(record: Mapping[str, Any], rev: Rev) -> str:
    return json.dumps({"format": FORMAT, "epoch": rev[0], "seq": rev[1], **record}, separators=(",", ":"))


def _read(run: CloudRun) -> tuple[dict[str, Any] | None, Rev]:
    text = (run.summary or {}).get(RECORD)
    if not isinstance(text, str):
        return None, (0, 0)
    record = json.loads(text)
    if record["format"] > FORMAT:
        raise NewerFormatError(f"{run.name} was written by a newer version of sweeptui: update it")
    return record, (record["epoch"], record["seq"])


def _sparse(value: Trial | Job) -> dict[str, Any]:
    """The fields that are not at their defaults."""
    found = {}
    for each in fields(value):
        held = getattr(value, each.name)
        usual = each.default if each.default_factory is MISSING else each.default_factory()
        if usual is MISSING or held != usual:
            found[each.name] = dict(held) if isinstance(held, Mapping) else held
    return found


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those that W&B can draw."""
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and key != RECORD
    }


def _finite(value: Any) -> Any:
    """JSON without NaN and infinity, which W&B does not take."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def newest(records: Iterable[TrialRecord]) -> dict[int, TrialRecord]:
    """By trial number; of two of one trial, the one that was written last."""
    found: dict[int, TrialRecord] = {}
    for record in records:
        old = found.get(record.trial.number)
        if old is None or old.rev < record.rev:
            found[record.trial.number] = record
    return found
