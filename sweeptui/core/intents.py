"""What a scheduler decided, written down before it is done."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from sweeptui.core.checkpoints import INHERITED
from sweeptui.core.errors import UserError
from sweeptui.core.flow import Flow
from sweeptui.core.jobspec import argv_of
from sweeptui.core.optimizers.seeding import trial_seed
from sweeptui.core.schedulers.base import Action, Create, Evaluate, Finish, Fork, Promote, Stop, Train
from sweeptui.core.stores.base import StoreFullError
from sweeptui.core.trial import Job, JobOutcome, Stage, TrialStatus, trial_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.core.checkpoints import Checkpoints
    from sweeptui.core.config import SweepTool
    from sweeptui.core.files import Files
    from sweeptui.core.stores.sqlite import SqliteStore, Transaction
    from sweeptui.core.suggesting import Suggestions


class Intents:
    """Turns actions into trials and jobs, inside a transaction."""

    def __init__(self, store: SqliteStore, files: Files, suggestions: Suggestions, checkpoints: Checkpoints) -> None:
        self._store = store
        self._state = store.state
        self._files = files
        self._suggestions = suggestions
        self._checkpoints = checkpoints

    def possible(self, actions: Sequence[Action], *, room: bool) -> list[Action]:
        """The actions that would write something now: a turn with nothing to write opens no transaction."""
        ready = self._suggestions.next(self._state.last_trial + 1) is not None
        return [
            action
            for action in actions
            if isinstance(action, Stop)
            or (room and not isinstance(action, Finish) and (ready or not isinstance(action, Create)))
        ]

    def write(self, tx: Transaction, tool: SweepTool, actions: Sequence[Action]) -> tuple[list[Job], list[Job]]:
        """Write the intents. Returns the jobs to start, and the running ones to end.

        Where GPUs are given out, it is one job at a time: the next turn, which follows at once, asks for room again.
        """
        starts: list[Job] = []
        stops: list[Job] = []
        for action in actions:
            if isinstance(action, Stop):
                stops += self._stop(tx, action)
            elif not (starts and tool.gpus_per_trial):
                starts += self._start(tx, tool, action)
        return starts, stops

    def _start(self, tx: Transaction, tool: SweepTool, action: Action) -> list[Job]:
        match action:
            case Create(n):
                return self._create(tx, tool, 1 if tool.gpus_per_trial else n)
            case Train(number):
                return [self._job(tx, tool, number)]
            case Evaluate(number):
                return self._after_training(tx, tool, number)
            case Promote(number, reason):
                tx.set_trial(number, status=TrialStatus.PENDING, queued_at=tx.now, ended_at=None)
                return [self._job(tx, tool, number, reason=reason)]
            case Fork():
                return self._fork(tx, tool, action)
        return []

    def _create(self, tx: Transaction, tool: SweepTool, count: int) -> list[Job]:
        jobs: list[Job] = []
        first, ended = self._state.last_trial + 1, self._state.ended
        for number in range(first, first + count):
            suggestion = self._suggestions.next(number)
            if suggestion is None:
                break
            provenance = self._suggestions.provenance(suggestion)
            trial = tx.create_trial(suggestion.params, trial_seed(tool.seed, number), provenance)
            jobs.append(self._job(tx, tool, trial.number, known_ends=ended, queued_at=tx.now))
        return jobs

    def _fork(self, tx: Transaction, tool: SweepTool, action: Fork) -> list[Job]:
        parent = self._state.trials[action.parent]
        number = tx.next_trial
        try:
            checkpoint = os.fspath(self._checkpoints.hand_over(parent, number))
        except FileNotFoundError:
            return []  # deleted by somebody since it was looked at: the next decision knows
        except OSError as error:
            # Tried again, as any write that finds no room.
            raise StoreFullError(self._files.folder, f"{parent.id}'s checkpoint cannot be copied: {error}") from error
        handed = {INHERITED: checkpoint, "cost": parent.cost}
        trial = tx.create_trial(action.params, trial_seed(tool.seed, number), {**action.provenance, **handed})
        tx.set_trial(number, checkpoint=checkpoint)
        reason = f"generation {action.provenance.get('generation')}, from {trial_id(action.parent)}"
        fields: dict[str, Any] = {"known_ends": self._state.ended, "queued_at": tx.now, "reason": reason}
        return [self._job(tx, tool, trial.number, **fields)]

    def _after_training(self, tx: Transaction, tool: SweepTool, number: int) -> list[Job]:
        trial, flow = tx.trial(number), Flow.of(tool)
        stage = flow.next_late(self._store.jobs(number), trial.requeued_after_job)
        if stage is None:
            # The recipe has fewer stages than when it was trained: what it had last is done once more.
            stage = flow.late[-1].stage if flow.late else Stage.EVAL
        return [self._job(tx, tool, number, stage)]

    def _job(self, tx: Transaction, tool: SweepTool, number: int, stage: Stage | None = None, **fields: Any) -> Job:
        """A job of a trial: of the stage that is next up to its training, where none is given."""
        trial, flow = tx.trial(number), Flow.of(tool)
        if stage is None:
            stage = flow.next_early(self._store.jobs(number)) if flow.early else Stage.TRAIN
        attempt = tx.next_attempt(number, stage)
        draft = Job(id=0, trial=number, stage=stage, attempt=attempt, created_at=tx.now)
        argv: list[str] = []
        # An argv that cannot be rendered is found by spec_of again, and ends the job as a dispatch error.
        with contextlib.suppress(UserError):
            argv = argv_of(tool, self._state.name, self._files, trial, draft)
        job = tx.create_job(number, stage, argv)
        status = TrialStatus.EVALUATING if stage in flow.late_stages else TrialStatus.TRAINING
        tx.set_trial(number, **{"status": status, "reason": "", "started_at": trial.started_at or tx.now, **fields})
        return job

    def _stop(self, tx: Transaction, action: Stop) -> list[Job]:
        job = self._state.running_jobs.get(action.trial)
        if job is None or job.ask is not None:
            return []
        return [tx.set_job(job.id, ask=JobOutcome.STOPPED, ask_reason=action.reason)]
