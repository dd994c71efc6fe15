"""What the server holds: runs, each with all its past, so that it can be looked at as of a moment ago."""

from __future__ import annotations

import base64
import copy
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fake_wandb.matching import matches, sort_key

Key = tuple[str, str, str]
"""Entity, project, run id."""


class DeletedError(Exception):
    """The run id was used before, and deleted: it can never be used again."""


class AbsentError(Exception):
    """There is no such run or project."""


@dataclass
class Run:
    entity: str
    project: str
    name: str
    """The run's id, as a user knows it."""
    display_name: str = ""
    group: str | None = None
    job_type: str | None = None
    description: str | None = None
    notes: str | None = None
    commit: str | None = None
    host: str | None = None
    program: str | None = None
    sweep: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    state: str = "running"
    created_at: float = 0.0
    heartbeat_at: float = 0.0
    history: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    output: dict[int, str] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    stop_asked: bool = False

    @property
    def key(self) -> Key:
        return self.entity, self.project, self.name

    @property
    def storage_id(self) -> str:
        return base64.b64encode(f"Run:v1:{self.name}:{self.project}:{self.entity}".encode()).decode()


@dataclass
class Settings:
    """What a test may turn while the server runs."""

    list_lag_s: float = 0.0
    """Lists show what was so long ago."""
    point_lag_s: float = 0.0
    """Reads of one run do."""
    heartbeat_timeout_s: float = 300.0
    """A running run that was silent for longer shows as crashed."""
    create_projects: bool = True
    """Whether a run makes the project that it names."""


_SENT = {
    "groupName": "group",
    "jobType": "job_type",
    "displayName": "display_name",
    "description": "description",
    "notes": "notes",
    "commit": "commit",
    "host": "host",
    "program": "program",
    "sweep": "sweep",
    "tags": "tags",
    "state": "state",
}


class Runs:
    """All runs of all projects. Every method may be called from any thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.settings = Settings()
        self._now = monotonic
        self._past: dict[Key, list[tuple[float, Run | None]]] = {}
        """Each version of a run with the moment it came to be; None: it was deleted."""
        self._projects: set[tuple[str, str]] = set()
        self._lock = threading.RLock()

    # -- reading

    def now(self, entity: str, project: str, name: str) -> Run | None:
        """The run as it is, whatever the lag."""
        with self._lock:
            return self._seen((entity, project, name), 0.0)

    def point(self, entity: str, project: str, name: str) -> Run | None:
        with self._lock:
            return self._seen((entity, project, name), self.settings.point_lag_s)

    def all(self, entity: str, project: str) -> list[Run]:
        """Every run of a project as it is, oldest first."""
        return self._visible(entity, project, 0.0)

    def listed(self, entity: str, project: str, filters: Mapping[str, Any], order: str) -> list[Run]:
        """What a list shows."""
        runs = [run for run in self._visible(entity, project, self.settings.list_lag_s) if matches(run, filters)]
        for part in reversed((order or "+created_at").split(",")):
            column, descending = sort_key(part.strip())
            runs.sort(key=lambda run: str(getattr(run, column)), reverse=descending)
        return runs

    def has_project(self, entity: str, project: str) -> bool:
        with self._lock:
            return (entity, project) in self._projects

    def by_storage_id(self, storage_id: str) -> Key:
        with self._lock:
            for key, past in self._past.items():
                run = past[-1][1]
                if run is not None and run.storage_id == storage_id:
                    return key
        raise AbsentError(storage_id)

    # -- writing

    def add_project(self, entity: str, project: str) -> None:
        with self._lock:
            self._projects.add((entity, project))

    def upsert(self, key: Key, sent: Mapping[str, Any]) -> tuple[Run, bool]:
        """Make or change a run: what is sent replaces, what is not stays. Whether it is new."""
        with self._lock:
            past = self._past.get(key, [])
            if past and past[-1][1] is None:
                raise DeletedError(key[2])
            if key[:2] not in self._projects:
                if not self.settings.create_projects:
                    raise AbsentError(f"project {key[0]}/{key[1]}")
                self._projects.add(key[:2])
            inserted = not past
            wall = time.time()
            run = Run(*key, display_name=key[2], created_at=wall) if inserted else copy.deepcopy(past[-1][1])
            assert run is not None
            run.heartbeat_at = self._now()
            for name, attribute in _SENT.items():
                if sent.get(name) is not None:
                    setattr(run, attribute, sent[name])
            if sent.get("config") is not None:
                run.config = json.loads(sent["config"])
            if sent.get("summaryMetrics") is not None:
                run.summary = json.loads(sent["summaryMetrics"])
            self._put(run)
            return run, inserted

    def change(self, key: Key, alter: Callable[[Run], None]) -> Run:
        """Change a run in place, as one version."""
        with self._lock:
            run = self._seen(key, 0.0)
            if run is None:
                raise AbsentError(key[2])
            run = copy.deepcopy(run)
            alter(run)
            self._put(run)
            return run

    def stream(self, key: Key, body: Mapping[str, Any]) -> Run:
        """Take in what a live run sends. An empty body is a heartbeat."""

        def alter(run: Run) -> None:
            run.heartbeat_at = self._now()
            if run.state in ("pending", "crashed"):
                run.state = "running"
            for name, chunk in (body.get("files") or {}).items():
                _take_in(run, name, int(chunk.get("offset", 0)), chunk.get("content", []))
            if body.get("complete"):
                run.state = "finished" if body.get("exitcode", 0) == 0 else "failed"

        return self.change(key, alter)

    def delete(self, key: Key) -> None:
        """Delete a run. Its id stays used."""
        with self._lock:
            if self._seen(key, 0.0) is None:
                raise AbsentError(key[2])
            self._past[key].append((self._now(), None))

    def age(self, key: Key, seconds: float) -> None:
        """Let a run have been silent for that long."""

        def alter(run: Run) -> None:
            run.heartbeat_at -= seconds

        self.change(key, alter)

    # -- inside

    def _put(self, run: Run) -> None:
        past = self._past.setdefault(run.key, [])
        past.append((self._now(), run))
        horizon = self._now() - max(60.0, self.settings.list_lag_s, self.settings.point_lag_s)
        while len(past) > 2 and past[1][0] < horizon:
            past.pop(0)

    def _seen(self, key: Key, lag_s: float) -> Run | None:
        moment = self._now() - lag_s
        found: Run | None = None
        for since, run in self._past.get(key, []):
            if lag_s and since > moment:
                break
            found = run
        if found is not None and found.state == "running":
            silent = self._now() - found.heartbeat_at
            if silent > self.settings.heartbeat_timeout_s:
                found = copy.copy(found)
                found.state = "crashed"
        return found

    def _visible(self, entity: str, project: str, lag_s: float) -> list[Run]:
        with self._lock:
            found = [self._seen(key, lag_s) for key in self._past if key[:2] == (entity, project)]
            return [run for run in found if run is not None]


def _take_in(run: Run, name: str, offset: int, content: list[str]) -> None:
    match name:
        case "wandb-history.jsonl":
            run.history[offset:] = content
        case "wandb-events.jsonl":
            run.events[offset:] = content
        case "wandb-summary.json":
            if content:
                run.summary = json.loads(content[-1])
        case "output.log":
            run.output.update(enumerate(content, offset))


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
