"""Between the store and the dispatcher: jobs to start, jobs that were started, jobs that ended.

What the dispatcher said or did stays here until the transaction that writes it down is committed, so that a write that
fails loses nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeptui.core.dispatch import DispatchError, JobExit, JobPhase, JobSpec, JobUpdate, NoRoomError, Started
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files, token
from sweeptui.core.ingest import Ingest
from sweeptui.core.jobspec import spec_of
from sweeptui.core.trial import Job, JobState, trial_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeptui.core.config import SweepTool
    from sweeptui.core.dispatch import Dispatcher
    from sweeptui.core.schedulers.base import Resources
    from sweeptui.core.stores.sqlite import SqliteStore, Transaction
    from sweeptui.core.trial import Trial


class Jobs:
    """The unfinished jobs of a sweep, as far as they are in motion."""

    def __init__(
        self,
        store: SqliteStore,
        dispatcher: Dispatcher,
        ingest: Ingest,
        files: Files,
        resources: Callable[[Trial], Resources | None],
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._ingest = ingest
        self._files = files
        self._resources = resources
        self.ends: dict[int, JobExit] = {}
        """By job id: ended, and not written."""
        self._settling: dict[int, JobExit] = {}
        """By job id: ended, but not all is known of the end."""
        self.started: dict[int, Started] = {}
        """By job id: started, and not written."""
        self.moved: dict[int, JobUpdate] = {}
        """By job id: where it runs has changed, and that is not written."""
        self.waiting: list[Job] = []
        """Their intent is written; to be started."""

    @property
    def unwritten(self) -> bool:
        return bool(self.ends or self.started or self.moved)

    def running(self) -> list[Job]:
        """The unfinished jobs whose end has not been seen."""
        return [job for job in self._store.state.running_jobs.values() if job.id not in self.ends]

    def poll(self) -> None:
        if updates := self._dispatcher.poll():
            jobs = {token(job): job for job in self._store.state.running_jobs.values()}
            for update in updates:
                if update.token in jobs:
                    self._take(jobs[update.token], update)
        self._settle()

    def write(self, tx: Transaction) -> None:
        """Write down what was started and what ended, and what that means for the trials."""
        begun = {
            job_id: {"handle": started.handle, "slot": started.slot, "started_at": tx.now}
            for job_id, started in self.started.items()
        }
        for job_id, fields in begun.items():
            if job_id not in self.ends:
                tx.set_job(job_id, state=JobState.RUNNING, **fields)
        for job_id, update in self.moved.items():
            fields = {"slot": update.slot, "started_at": update.started_at}
            tx.set_job(job_id, **{name: value for name, value in fields.items() if value is not None})
        order = self._store.state.ended
        for job_id, end in self.ends.items():
            order += self._ingest.end(tx, tx.job(job_id), end, order + 1, **begun.get(job_id, {}))

    def written(self) -> None:
        """The transaction of `write` is committed."""
        self.started.clear()
        self.moved.clear()
        self.ends.clear()

    def dispatch(self, tool: SweepTool) -> str:
        """Start what waits. Returns why not, where the disk does not let a job be started; it then goes on waiting."""
        waiting, self.waiting = self.waiting, []
        specs: list[JobSpec] = []
        jobs: list[Job] = []
        trouble = ""

        def refused(job: Job, error: Exception) -> None:
            nonlocal trouble
            if isinstance(error, NoRoomError | OSError):
                trouble = f"{trial_id(job.trial)} cannot be started: {error}"
                self.waiting.append(job)
            else:
                self.ends[job.id] = JobExit(code=None, not_started=True, message=str(error))

        for job in waiting:
            trial = self._store.state.trials[job.trial]
            try:
                specs.append(spec_of(tool, self._store.state.name, self._files, trial, job, self._resources(trial)))
                jobs.append(job)
            except (UserError, OSError) as error:
                refused(job, error)
        for job, answer in zip(jobs, self._dispatcher.dispatch(specs) if specs else (), strict=True):
            if isinstance(answer, DispatchError):
                refused(job, answer)
            else:
                self.started[job.id] = answer
        return trouble

    def cancel(self, job: Job) -> None:
        """End a job whose `ask` is written: one that was not started yet never will be."""
        if job.id in {other.id for other in self.waiting}:
            self.waiting = [other for other in self.waiting if other.id != job.id]
            self.ends[job.id] = JobExit(code=None, killed=True)
        elif job.id not in self.ends:
            self._dispatcher.cancel(token(job))

    def adopt(self) -> None:
        """After a restart: find what runs, take in what ended, start what was meant to be, repeat what was asked."""
        for job in list(self._store.state.running_jobs.values()):
            name = token(job)
            update = self._dispatcher.adopt(name, self._files.trial_dir(job.trial), job.handle)
            if update is None:
                self.waiting.append(job)
                if job.ask is not None:
                    self.cancel(job)
            elif update.phase is JobPhase.ENDED:
                self._take(job, update)
            else:
                self._reconcile(job, name, update.phase)

    def _reconcile(self, job: Job, name: str, phase: JobPhase) -> None:
        """Make what runs be as the store says: the intent was written before the deed, and the deed may be missing."""
        if job.state is JobState.INTENT:
            self.started[job.id] = Started(handle=job.handle, slot=job.slot)
        if job.state is JobState.PAUSED and phase is JobPhase.RUNNING:
            self._dispatcher.pause(name)
        elif job.state is not JobState.PAUSED and phase is JobPhase.PAUSED:
            self._dispatcher.resume(name)
        if job.ask is not None:
            self._dispatcher.cancel(name)

    def _take(self, job: Job, update: JobUpdate) -> None:
        if update.slot is not None:
            self.moved[job.id] = self._merged(job.id, update)
        if update.exit is not None:
            self._settling[job.id] = update.exit

    def _merged(self, job_id: int, update: JobUpdate) -> JobUpdate:
        """With what an update before it said, and nobody wrote."""
        before = self.moved.get(job_id)
        if before is None or update.started_at is not None:
            return update
        return replace(update, started_at=before.started_at)

    def _settle(self) -> None:
        for job_id, end in list(self._settling.items()):
            if self._ingest.settled(self._store.state.jobs[job_id], end):
                self.ends[job_id] = self._settling.pop(job_id)
