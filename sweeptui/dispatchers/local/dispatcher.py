"""Runs jobs on this machine; see the package's docstring for who does what."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.dispatch import Capacity, DispatchError, JobExit, JobPhase, JobSpec, JobUpdate, NoRoomError, Started
from sweeptui.core.trial import trial_id
from sweeptui.dispatchers.local.channel import LauncherChannel, LauncherGoneError
from sweeptui.dispatchers.local.files import JobFiles, PidRecord, read_json
from sweeptui.dispatchers.local.keeper import CANCEL, PAUSE, RESUME
from sweeptui.dispatchers.local.processes import KEY_LENGTH, KEY_VARIABLE, boot_id, kill_all, look
from sweeptui.dispatchers.local.slots import Slots
from sweeptui.dispatchers.local.spawn import NO_ROOM
from sweeptui.dispatchers.local.watch import KeeperWatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAUNCH_TRIES = 3
ASK_AGAIN_S = 1.0


@dataclass(slots=True)
class _Job:
    files: JobFiles
    record: PidRecord
    phase: JobPhase = JobPhase.RUNNING
    wanted: JobPhase = JobPhase.RUNNING
    asked_at: float = 0.0
    """On the monotonic clock: when `wanted` was last asked for."""


class LocalDispatcher:
    """Implements `sweeptui.core.dispatch.Dispatcher`."""

    name = "local"

    def __init__(self, sweep_dir: Path, environ: Mapping[str, str] | None = None) -> None:
        """Jobs inherit `environ` (default: this process's environment)."""
        self._environ = dict(os.environ if environ is None else environ)
        self._channel = LauncherChannel(sweep_dir.absolute() / "launch.lock", self._environ)
        self._slots = Slots(self._environ)
        self._watch = KeeperWatch()
        self._jobs: dict[str, _Job] = {}
        self._boot = boot_id()

    @property
    def launcher_pid(self) -> int | None:
        """The launcher's pid while there is one."""
        return self._channel.pid

    def open(self) -> None:
        """Get ready to launch, as the only one who may: a launcher that serves somebody else is ended.

        Raises DispatchError where another process still launches jobs of this sweep.
        """
        self._channel.start(take_over=True)

    def check_resources(self, cpus: int, gpus: int) -> None:  # noqa: ARG002 - CPUs may be over-subscribed
        """Raise UserError where a job of this size can never run here."""
        self._slots.check_resources(gpus)

    def capacity(self, cpus: int, gpus: int) -> Capacity:  # noqa: ARG002 - CPUs may be over-subscribed
        """Whether a job of this size could start now."""
        return self._slots.capacity(gpus)

    def dispatch(self, specs: Sequence[JobSpec]) -> list[Started | DispatchError]:
        """Start jobs, each at most once for its token, ever; in their order: how it started, or why it did not."""
        answers: dict[str, PidRecord | DispatchError] = {}
        requests: dict[str, dict[str, Any]] = {}
        if len({spec.token for spec in specs}) < len(specs):
            raise ValueError("the same token twice")
        try:
            for spec in specs:
                try:
                    requests[spec.token] = self._request(spec)
                except DispatchError as error:
                    answers[spec.token] = error
            answers |= self._launch(requests)
        finally:
            for token, request in requests.items():
                if not isinstance(answers.get(token), PidRecord):
                    self._slots.release(request["slot"])
        return [self._started(spec, answers[spec.token]) for spec in specs]

    def adopt(self, token: str, trial_dir: Path, handle: Mapping[str, Any]) -> JobUpdate | None:
        """Find a job again by what is on disk, or by its handle. None: never started, and it never will be."""
        if token in self._jobs:
            return JobUpdate(token, self._jobs[token].phase)
        files = JobFiles.of(trial_dir, token)
        if (ended := _read_exit(files)) is not None:
            return JobUpdate(token, JobPhase.ENDED, ended)
        record = PidRecord.from_json(read_json(files.pid) or handle)
        if record is None:
            if not files.pid.exists():
                return None
            return JobUpdate(token, JobPhase.ENDED, _lost(f"{files.pid.name} is damaged: nobody knows how it ended"))
        job = _Job(files, record)
        if record.boot != self._boot or not self._watch.add(token, record.keeper_pid, record.keeper_start):
            return JobUpdate(token, JobPhase.ENDED, self._how_it_ended(job))
        if not _lives_in(record, trial_dir):
            self._watch.remove(token)
            return JobUpdate(token, JobPhase.ENDED, _lost("this is a copy: its job belongs to the original folder"))
        self._jobs[token] = job
        self._slots.occupy(record.slot)
        job.phase = job.wanted = _seen_phase(record)
        return JobUpdate(token, job.phase)

    def poll(self) -> list[JobUpdate]:
        """What changed since the last call, each end exactly once."""
        updates = [self._finish(token) for token in self._watch.ended() if token in self._jobs]
        for token, job in self._jobs.items():
            if job.phase == job.wanted:
                continue
            if _seen_phase(job.record) == job.wanted:
                job.phase = job.wanted
                updates.append(JobUpdate(token, job.phase))
            elif time.monotonic() >= job.asked_at + ASK_AGAIN_S:
                # Of two signals that wait at once the keeper may see the older one last.
                self._ask(token, job.wanted)
        return updates

    def cannot_pause(self, token: str) -> str:  # noqa: ARG002 - every process can be stopped
        """Every job here can be paused."""
        return ""

    def pause_ends(self, token: str) -> bool:  # noqa: ARG002 - no process is ended
        """Its processes are stopped, and go on where they were."""
        return False

    def pause(self, token: str) -> None:
        """Stop the job's processes; `poll` says when they are."""
        self._ask(token, JobPhase.PAUSED)

    def resume(self, token: str) -> None:
        """Let the job's processes go on; `poll` says when they do."""
        self._ask(token, JobPhase.RUNNING)

    def cancel(self, token: str) -> None:
        """TERM, grace, KILL of every descendant; the end comes through `poll` with `killed` set. Idempotent."""
        self._watch.send(token, CANCEL)

    def fileno_set(self) -> list[int]:
        """Readable when a job has ended. A pause or resume shows only in `poll`, some milliseconds later."""
        return self._watch.fileno_set()

    def close(self) -> None:
        """Let go. Running jobs run on and can be adopted."""
        self._channel.close()
        self._watch.close()
        self._jobs.clear()

    def _started(self, spec: JobSpec, answer: PidRecord | DispatchError) -> Started | DispatchError:
        if isinstance(answer, DispatchError):
            return answer
        self._jobs[spec.token] = _Job(JobFiles.of(spec.trial_dir, spec.token), answer)
        if not self._watch.add(spec.token, answer.keeper_pid, answer.keeper_start):
            self._watch.add_ended(spec.token)
        return Started(handle=answer._asdict(), slot=answer.slot)

    def _request(self, spec: JobSpec) -> dict[str, Any]:
        """What the keeper is told; takes a slot."""
        if spec.token in self._jobs:
            raise DispatchError(f"{spec.token} runs already")
        if not (capacity := self._slots.capacity(spec.gpus)).free:
            raise DispatchError(f"{spec.token} {capacity.reason}")
        try:
            if not spec.trial_dir.exists():
                spec.trial_dir.mkdir(parents=True)
        except OSError as error:
            kind = NoRoomError if error.errno in NO_ROOM else DispatchError
            raise kind(f"{spec.trial_dir} cannot be made: {error.strerror}") from None
        key, slot = secrets.token_hex(KEY_LENGTH // 2), self._slots.take(spec.gpus)
        return {
            "token": spec.token,
            "key": key,
            "argv": list(spec.argv),
            "env": {
                **({} if "PYTHONUNBUFFERED" in self._environ else {"PYTHONUNBUFFERED": "1"}),
                **spec.env,
                **self._slots.environment(slot, spec.cpus, spec.env),
                "SWEEPTUI_TRIAL": trial_id(spec.trial),
                "SWEEPTUI_REPORT": str(spec.report_path.absolute()),
                "SWEEPTUI_JOB": spec.token,
                KEY_VARIABLE: key,
            },
            "cwd": str(spec.cwd.absolute()),
            "trial_dir": str(spec.trial_dir.absolute()),
            "log": str(spec.log_path.absolute()),
            "timeout_s": spec.timeout_s,
            "grace_s": spec.grace_s,
            "slot": slot,
        }

    def _launch(self, requests: Mapping[str, dict[str, Any]]) -> dict[str, PidRecord | DispatchError]:
        """Have jobs launched; by token, who runs each, or why nobody does."""
        answers: dict[str, PidRecord | DispatchError] = {}
        for _ in range(LAUNCH_TRIES):
            asked = [request for token, request in requests.items() if token not in answers]
            if not asked:
                return answers
            try:
                said = self._channel.ask(asked)
            except LauncherGoneError:
                self._channel.start()
                # The lock is ours, so the launches that nobody answered for are over. Did they come to something?
                said = [{} for _ in asked]
            for request, answer in zip(asked, said, strict=True):
                if (result := _result(request, answer)) is not None:
                    answers[request["token"]] = result
        gone = DispatchError(f"the process that launches jobs was killed {LAUNCH_TRIES} times in a row")
        return {token: answers.get(token, gone) for token in requests}

    def _ask(self, token: str, wanted: JobPhase) -> None:
        if job := self._jobs.get(token):
            job.wanted, job.asked_at = wanted, time.monotonic()
            self._watch.send(token, PAUSE if wanted == JobPhase.PAUSED else RESUME)

    def _finish(self, token: str) -> JobUpdate:
        job = self._jobs.pop(token)
        self._watch.remove(token)
        self._slots.release(job.record.slot)
        return JobUpdate(token, JobPhase.ENDED, self._how_it_ended(job))

    def _how_it_ended(self, job: _Job) -> JobExit:
        """For a job whose keeper is gone. Kills what a keeper that was itself killed has left behind."""
        if (ended := _read_exit(job.files)) is not None:
            return ended
        record = job.record
        if record.boot != self._boot:
            where = "" if record.host == os.uname().nodename else f" (it ran on {record.host})"
            return _lost(f"the machine was restarted, or the sweep moved to another one{where}")
        left = kill_all(record.job_pid, record.job_start, record.key)
        job.files.reserve.unlink(missing_ok=True)
        told = f"; {len(left)} of its processes could not be ended: pid {', '.join(map(str, left))}" if left else ""
        return _lost(f"its keeper was killed, so nobody saw how it ended{told}")


def _result(request: Mapping[str, Any], answer: Mapping[str, Any]) -> PidRecord | DispatchError | None:
    """What became of a request. None where nothing did, so that it may be made again."""
    files = JobFiles.of(Path(request["trial_dir"]), request["token"])
    record = PidRecord.from_json(answer) or PidRecord.from_json(read_json(files.pid) or {})
    # On record means started, also where the keeper was killed before it could say so.
    if record is not None and record.key == request["key"]:
        return record
    if "error" not in answer:
        return None
    return (NoRoomError if answer.get("no_room") else DispatchError)(answer["error"])


def _lives_in(record: PidRecord, trial_dir: Path) -> bool:
    """Whether a living keeper is that of this folder, and not of one that this folder was copied from."""
    try:
        return Path(f"/proc/{record.keeper_pid}/cwd").samefile(trial_dir)
    except OSError:
        return True


def _seen_phase(record: PidRecord) -> JobPhase:
    process = look(record.job_pid)
    stopped = process is not None and process.start == record.job_start and process.state in "Tt"
    return JobPhase.PAUSED if stopped else JobPhase.RUNNING


def _lost(message: str) -> JobExit:
    return JobExit(code=None, lost=True, message=message)


def _read_exit(files: JobFiles) -> JobExit | None:
    data = read_json(files.exit)
    if data is None:
        return None
    try:
        return JobExit(**data)
    except TypeError:
        return None
