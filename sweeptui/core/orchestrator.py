"""The control loop: read what changed, write it down, decide, write the intent, act, write the outcome, sleep.

It keeps nothing that the store does not have. Whatever kills it, a new one on the same store goes on: jobs that run are
adopted, intents are carried out or found done, and no trial is started twice.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from sweeptui.core import warmstart
from sweeptui.core.bell import Bell
from sweeptui.core.checkpoints import Checkpoints
from sweeptui.core.commands import Commands, Effect
from sweeptui.core.curves import Curves
from sweeptui.core.disk import DiskGuard
from sweeptui.core.dispatch import DispatchError
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files
from sweeptui.core.flow import Flow
from sweeptui.core.ingest import Ingest
from sweeptui.core.intents import Intents
from sweeptui.core.jobs import Jobs
from sweeptui.core.jobspec import project_dir
from sweeptui.core.limits import Ending, Limit, Verdict, breaker_tripped, ending, limit_reached, verdict_on
from sweeptui.core.queued import Queued, fail_late
from sweeptui.core.retention import Retention, note
from sweeptui.core.schedulers.base import Action, Create, Evaluate, Finish, Fork, Promote, Stop, Train
from sweeptui.core.state import Change, SweepState, SweepStatus
from sweeptui.core.stores.base import StoreBusyError, StoreFullError
from sweeptui.core.suggesting import Suggestions, fitting
from sweeptui.core.trial import Job, JobOutcome, Stage
from sweeptui.core.viewing import Views

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool
    from sweeptui.core.dispatch import Dispatcher
    from sweeptui.core.optimizers.service import OptimizerService
    from sweeptui.core.reports import ParsedReport
    from sweeptui.core.schedulers.base import Scheduler
    from sweeptui.core.stores.sqlite import SqliteStore, Transaction

TICK_S = 0.1
"""How often reports and other processes' commands are looked for. Ends of local jobs and suggestions wake the loop."""
HEARTBEAT_S = 2.0
RETRY_S = 1.0
"""Between two tries of a write that the disk or another process did not let through."""

Listener = Callable[[list[Change], SweepState], None]
T = TypeVar("T")
logger = logging.getLogger(__name__)


class Orchestrator:
    """Runs one sweep. `run` blocks; `interrupt` may be called from any thread or signal handler."""

    def __init__(
        self,
        store: SqliteStore,
        tool: SweepTool,
        files: Files,
        dispatcher: Dispatcher,
        scheduler: Scheduler,
        optimizer: OptimizerService,
        *,
        listener: Listener | None = None,
        search: bool = True,
        allow_trials: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Without `search` only replicates are begun, and the sweep is then as far as it was.

        `allow_trials`: see `Commands`.
        """
        self._store = store
        self._tool = tool
        self._files = files
        self._dispatcher = dispatcher
        self._scheduler = scheduler
        self._optimizer = optimizer
        self._listener = listener
        self._ingest = Ingest(store, tool, files)
        self._jobs = Jobs(store, dispatcher, self._ingest, files, scheduler.allocate_resources)
        self._disk = DiskGuard(files.folder, tool.min_free_disk_mb)
        self._disk_noted = ""
        checkpoints = Checkpoints(files, project_dir(tool))
        self._views = Views(store, scheduler, checkpoints, tool.protein_config.goal)
        config = store.state.config
        self._retention = Retention(checkpoints, self._views.needs_checkpoint)
        # What an evaluation found is no point of the training's curve, and a curve is of one metric.
        curved = not (tool.has_eval or tool.protein_config.metrics)
        self._suggestions = Suggestions(
            optimizer,
            ahead=self._ahead(),
            fits=fitting(tool, config),
            prior=warmstart.observations(config),
            fidelity=self._views.fidelity,
            curves=Curves(lambda number: store.scores(number, Stage.TRAIN)) if curved else None,
            objectives=tool.protein_config.objectives,
            underway=self._views.underway if curved else None,
        )
        self._commands = Commands(store, dispatcher, self._jobs.cancel, self._suggestions.reconsider, allow_trials)
        self._intents = Intents(store, files, self._suggestions, checkpoints)
        self._search = search
        self._before = Verdict(SweepStatus.INTERRUPTED, "validated; its search can go on")
        """How the sweep stood, where nothing is searched."""
        self._over = ""
        """Why the scheduler has nothing more to do."""
        self._ended_now: deque[int] = deque(maxlen=max(1, tool.breaker_failures))
        self._limit: Limit | None = None
        self._queued = Queued()
        self._reports_due = float("-inf")
        self._beat_at = float("-inf")
        self._clock_from = time.monotonic()
        self._interrupted = threading.Event()
        self._leave_running = False
        self._bell = Bell()

    # -- from outside ---------------------------------------------------------------------------------------------

    def interrupt(self, leave_running: bool = False) -> None:
        """End `run` soon: with the trials stopped and queued again, or left running to be adopted."""
        self._leave_running = leave_running
        self._interrupted.set()
        self.wake()

    def wake(self) -> None:
        self._bell.ring()

    def run(self) -> Ending:
        """Run the sweep to its end. The caller holds the lease and closes the store.

        Raises `LeaseLostError` where another orchestrator took the sweep over: nothing was written since.
        """
        try:
            self._open()
            self._optimizer.start()
            end = self._insist(self._begin)
            while True:
                end = end or self._insist(self._turn)
                if end is not None:
                    return end
                self._wait()
        finally:
            self._let_go()

    def settle(self) -> None:
        """Adopt what runs, apply the commands that wait, launch nothing: for a command on a sweep that nobody runs."""
        try:
            self._open()
            self._jobs.adopt()
            self._read()
            while any(job.ask is not None for job in self._state.running_jobs.values()):
                self._wait()
                self._read()
            if self._state.status is SweepStatus.STOPPING and not self._state.running_jobs:
                self._conclude(SweepStatus.STOPPED, self._state.reason)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._optimizer.close()
        self._dispatcher.close()
        self._bell.close()

    def _open(self) -> None:
        try:
            self._dispatcher.open()
        except DispatchError as error:
            raise UserError(str(error)) from error

    # -- one turn -------------------------------------------------------------------------------------------------

    @property
    def _state(self) -> SweepState:
        return self._store.state

    def _begin(self) -> None:
        self._clock_from = time.monotonic()
        if self._state.status.ended:
            self._before = Verdict(self._state.status, self._state.reason)
        if self._state.status is not SweepStatus.PAUSED:
            with self._write() as tx:
                tx.set_sweep(status=SweepStatus.RUNNING, reason="")
        self._jobs.adopt()

    def _turn(self) -> Ending | None:
        self._beat()
        self._read()
        if self._interrupted.is_set():
            return self._wind_down()
        self._note_disk()
        self._expire()
        self._limit = limit_reached(self._tool, self._state, self._run_s())
        broken = breaker_tripped([self._state.trials[n] for n in self._ended_now], self._tool.breaker_failures)
        over = bool(broken) or self._state.status is SweepStatus.STOPPING
        self._launch(closing=self._limit is not None or over, over=over)
        if deleted := self._retention.tidy(self._tool, self._state):
            with self._write() as tx:
                note(tx, deleted)
        return self._finished(broken)

    def _read(self) -> None:
        """Commands, ends and reports into the store, then what the commands ask for is done."""
        self._announce(self._store.refresh())
        self._suggestions.collect()
        self._jobs.poll()
        reports = self._fresh_reports()
        if not (self._jobs.unwritten or reports or self._state.commands):
            return
        effects: list[Effect] = []
        with self._write() as tx:
            for job_id, parsed in reports.items():
                self._ingest.store_reports(tx, self._state.jobs[job_id], parsed)
            self._jobs.write(tx)
            effects = self._apply_commands(tx)
        self._jobs.written()
        for effect in effects:
            effect()

    def _apply_commands(self, tx: Transaction) -> list[Effect]:
        last = self._state.ended + len(self._jobs.ends)

        def order() -> int:
            nonlocal last
            last += 1
            return last

        effects: list[Effect] = []
        tool = self._tool
        for command in list(self._state.commands.values()):
            jobs = {n: tx.job(j.id) for n, j in self._state.running_jobs.items() if j.id not in self._jobs.ends}
            new, tool = self._commands.apply(tx, command, tool, self._state.config, jobs, order)
            effects += new
        if tool is not self._tool:
            effects.append(lambda: self._configure(tool))
        return effects

    def _configure(self, tool: SweepTool) -> None:
        self._tool = tool
        self._suggestions.configure(self._ahead())

    def _launch(self, closing: bool, over: bool) -> None:
        """`closing`: the search makes no new trials; `over`: nothing at all begins any more."""
        state = self._state
        paused = state.status is SweepStatus.PAUSED
        full = bool(self._disk.message)
        # Asked for by hand, and so before the search goes on, whatever budget of its own is used up.
        replicates = [] if over else self._views.replicates(self._tool, full=full)
        held = full or bool(replicates) or not self._search
        actions = self._scheduler.decide(self._views.view(self._tool, closing=closing, full=held))
        self._over = next((action.reason for action in actions if isinstance(action, Finish)), "")
        limit = self._tool.max_trials + len(state.replicates)
        wanted = any(isinstance(action, Create) for action in actions)
        self._suggestions.supply(state, limit, wanted and not closing)
        allowed = replicates + [action for action in actions if not closing or self._goes_on(action, over)]
        room = self._dispatcher.capacity(self._tool.cpus_per_trial, self._tool.gpus_per_trial).free
        starts: list[Job] = []
        if possible := self._intents.possible(allowed, room=room):
            with self._write() as tx:
                starts, stops = self._intents.write(tx, self._tool, possible)
            self._suggestions.taken(state.last_trial)
            if any(isinstance(action, Promote | Fork) for action in possible):
                self._suggestions.reconsider()
            self._jobs.waiting += starts
            for job in stops:
                self._jobs.cancel(job)
        if not (paused or self._disk.message) and (trouble := self._jobs.dispatch(self._tool)):
            self._disk.refuse(trouble)
        if starts:
            # The next suggestion is asked for as soon as the trial it may know of exists.
            self._suggestions.prepare(state.trials, state.ended, state.last_trial, limit, wanted=False)

    def _goes_on(self, action: Action, over: bool) -> bool:
        """Whether it belongs to what has begun, and so is done although nothing new may begin."""
        if isinstance(action, Train) and not over:
            return Flow.of(self._tool).prepared(self._store.jobs(action.trial))
        return isinstance(action, Evaluate | Stop)

    def _finished(self, broken: str) -> Ending | None:
        """The ending, once nothing runs and nothing more may."""
        if self._state.running_jobs or self._jobs.unwritten:
            return None
        verdict = verdict_on(
            self._tool,
            self._state,
            self._limit,
            broken,
            self._suggestions.exhausted,
            self._suggestions.error,
            self._over,
        )
        if not self._search and verdict is None and not any(trial.is_replicate for trial in self._state.active):
            verdict = self._before
        if verdict is None or (verdict.status is SweepStatus.FINISHED and not self._limit and self._more()):
            return None
        return self._conclude(verdict.status, verdict.reason, verdict.note)

    def _more(self) -> bool:
        """Nothing runs, but trials that have ended are to be trained on."""
        return self._search and self._views.goes_on(self._tool)

    def _conclude(self, status: SweepStatus, reason: str, note: str = "") -> Ending:
        with self._write() as tx:
            if note:
                tx.note(note, {"message": reason})
            tx.set_sweep(status=status, reason=reason, run_s=self._run_s())
        return ending(self._tool, self._state, status, reason, self._limit)

    def _wind_down(self) -> Ending | None:
        """After `interrupt`: ask every job to end, wait for the ends, and leave the trials queued."""
        if self._leave_running:
            running = len(self._state.running_jobs)
            said = f"let go; {running} trials run on" if running else "let go"
            return self._conclude(SweepStatus.INTERRUPTED, said)
        pending = [job for job in self._state.running_jobs.values() if job.ask is None]
        if pending:
            with self._write() as tx:
                for job in pending:
                    tx.set_job(job.id, ask=JobOutcome.INTERRUPTED, ask_reason="the sweep was interrupted")
        for job in pending:
            self._jobs.cancel(job)
        if self._state.running_jobs:
            return None
        return self._conclude(SweepStatus.INTERRUPTED, "interrupted; run the same command again to go on")

    # -- small parts ----------------------------------------------------------------------------------------------

    def _fresh_reports(self) -> dict[int, list[ParsedReport]]:
        """New reports of running jobs, looked for once a tick; those of a job that ended are read with its end."""
        now = time.monotonic()
        if now < self._reports_due:
            return {}
        self._reports_due = now + TICK_S / 2
        return self._ingest.fresh_reports(self._jobs.running())

    def _expire(self) -> None:
        if late := self._queued.late(self._tool, self._state):
            with self._write() as tx:
                fail_late(tx, late, self._tool, self._state.ended)

    def _ahead(self) -> int:
        """Suggestions prepared ahead."""
        if self._tool.suggest_ahead is not None:
            return self._tool.suggest_ahead
        return self._scheduler.suggest_ahead(self._tool.max_parallel_jobs)

    def _run_s(self) -> float:
        return self._state.run_s + time.monotonic() - self._clock_from

    def _note_disk(self) -> None:
        message = self._disk.check()
        if bool(message) != bool(self._disk_noted):
            with contextlib.suppress(StoreFullError), self._write() as tx:
                tx.note("disk", {"message": message or "there is room on the disk again"})
        self._disk_noted = message

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at >= HEARTBEAT_S:
            self._store.heartbeat()
            self._beat_at = now
            if self._tool.max_wall_time_s is not None:
                # What a crash can take from the wall-time budget is one heartbeat.
                with self._write() as tx:
                    tx.set_sweep(run_s=self._run_s())
                self._clock_from = time.monotonic()

    @contextlib.contextmanager
    def _write(self) -> Iterator[Transaction]:
        try:
            with self._store.transaction() as tx:
                yield tx
        except BaseException:
            self._ingest.forget_positions()
            raise
        self._announce(tx.changes)

    def _announce(self, changes: list[Change]) -> None:
        self._views.follow(changes)
        self._retention.follow(changes)
        self._ended_now.extend(c.trial for c in changes if c.trial is not None and "end_order" in c.data)
        if changes and self._listener is not None:
            self._listener(changes, self._state)

    def _insist(self, step: Callable[[], T]) -> T | Ending:
        """Do `step`, again and again where the disk is full or another process keeps the database locked.

        A write that did not go through changed nothing, so the whole step can be done again.
        """
        while True:
            try:
                return step()
            except (StoreFullError, StoreBusyError) as error:
                logger.warning("%s; trying again", error)
                if self._interrupted.wait(RETRY_S):
                    return self._give_up(error)

    def _give_up(self, error: Exception) -> Ending:
        """Interrupted while nothing can be written: the ends of the trials are on disk, the next run reads them."""
        if not self._leave_running:
            for job in self._state.running_jobs.values():
                self._jobs.cancel(job)
        return Ending(SweepStatus.INTERRUPTED, f"interrupted while nothing could be written: {error}", 130)

    def _wait(self) -> None:
        others = {*self._dispatcher.fileno_set(), self._optimizer.fileno()}
        self._bell.wait(others, 0 if self._jobs.unwritten else TICK_S)
