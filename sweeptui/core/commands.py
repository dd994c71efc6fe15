"""What users ask for, applied: pause, resume, kill, requeue, inject, unqueue, evaluate, validate, stop, set.

Every way to act on a trial ends here: a key in a cockpit, a command line on another terminal, a script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sweeptui.core import handmade
from sweeptui.core.analysis.summary import best_trial
from sweeptui.core.errors import UserError
from sweeptui.core.files import token
from sweeptui.core.flow import Flow
from sweeptui.core.ingest import afresh
from sweeptui.core.optimizers.seeding import trial_seed
from sweeptui.core.state import SweepStatus, before_it_was_queued
from sweeptui.core.trial import Job, JobOutcome, JobState, Trial, TrialStatus, training_was_stopped
from sweeptui.core.validating import Asked, missing

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool
    from sweeptui.core.dispatch import Dispatcher
    from sweeptui.core.state import Command
    from sweeptui.core.stores.sqlite import SqliteStore, Transaction

Effect = Callable[[], None]
OVER = frozenset({SweepStatus.FINISHED, SweepStatus.STOPPED, SweepStatus.BROKEN})


class _RefusedError(UserError):
    """Why a command does not apply: one sentence."""


class Commands:
    """Applies one command inside a transaction and returns what is to be done once that is committed."""

    def __init__(
        self,
        store: SqliteStore,
        dispatcher: Dispatcher,
        cancel: Callable[[Job], None],
        reconsider: Callable[[], None],
        allow_trials: Callable[[int], None],
    ) -> None:
        """`reconsider` is called when what suggestions may know has changed: those that are prepared do not hold.

        `allow_trials` is called with max_trials before it is changed or a trial is made by hand, and raises `UserError`
        where there may not be as many.
        """
        self._store = store
        self._dispatcher = dispatcher
        self._cancel = cancel
        self._reconsider = reconsider
        self._allow_trials = allow_trials

    def apply(
        self,
        tx: Transaction,
        command: Command,
        tool: SweepTool,
        config: Mapping[str, Any],
        jobs: dict[int, Job],
        order: Callable[[], int],
    ) -> tuple[list[Effect], SweepTool]:
        """Do what `command` asks, trial by trial, and write down what became of it.

        `config`: as stored; `jobs`: unfinished jobs by trial; `order`: gives the order of the next trial to end.
        Returns the effects to run after the commit and the configuration, changed or not. What does not apply is
        refused with the reason.
        """
        effects: list[Effect] = []
        done: list[str] = []
        refused: list[str] = []
        who = f"by {command.actor}"
        try:
            if command.verb == "stop":
                effects += self._stop(tx, bool(command.args.get("kill")), jobs, order, who)
                done.append("the sweep stops; running trials are ended" if effects else "the sweep stops")
            elif command.verb == "set":
                tool = self._set(tx, tool, config, command.args)
                done.append(", ".join(f"{key} is {value}" for key, value in command.args.items()))
            elif command.verb == "inject":
                source = command.args.get("from", "")
                trial = self._create(tx, tool, command, source, command.args.get("params") or {})
                effects.append(self._reconsider)
                done.append(f"{trial.id} is queued{_later(tx)}")
            elif command.verb == "validate":
                done.append(self._validate(tx, tool, command))
            elif command.verb in ("pause", "resume") and not command.args.get("trials"):
                if self._store.state.status in OVER:
                    raise _RefusedError(f"the sweep is {self._store.state.status}: run it again to go on")
                tx.set_sweep(
                    status=SweepStatus.PAUSED if command.verb == "pause" else SweepStatus.RUNNING,
                    reason=f"{command.verb}d {who}",
                )
                done.append(f"the sweep is {command.verb}d")
            else:
                for number in command.args.get("trials", []):
                    try:
                        trial = self._trial(tx, number)
                        said, new = self._one(tx, tool, command, trial, jobs.get(number), order)
                        effects += new
                        done.append(said)
                    except UserError as error:
                        refused.append(str(error))
        except UserError as error:
            refused.append(str(error))
        result = "; ".join(done + refused) or "nothing to do"
        tx.finish_command(command.id, "done" if done or not refused else "refused", result)
        return effects, tool

    def _trial(self, tx: Transaction, number: Any) -> Trial:
        try:
            return tx.trial(number)
        except (KeyError, TypeError):
            raise _RefusedError(f"there is no trial {number}") from None

    def _one(
        self,
        tx: Transaction,
        tool: SweepTool,
        command: Command,
        trial: Trial,
        job: Job | None,
        order: Callable[[], int],
    ) -> tuple[str, list[Effect]]:
        who = f"by {command.actor}"
        match command.verb:
            case "pause":
                return self._pause(tx, trial, job, who)
            case "resume":
                return self._resume(tx, trial, job, who)
            case "kill":
                return self._kill(tx, trial, job, order, who)
            case "requeue" if command.args.get("params"):
                new = self._create(tx, tool, command, trial.number, command.args["params"])
                return f"{new.id} is queued: {trial.id} with other parameters{_later(tx)}", [self._reconsider]
            case "requeue":
                return self._requeue(tx, tool, trial, who)
            case "unqueue":
                return self._unqueue(tx, trial, job, order, who)
            case "evaluate":
                return self._evaluate(tx, tool, trial, who)
        raise _RefusedError(f"there is no command {command.verb!r}")

    def _pause(self, tx: Transaction, trial: Trial, job: Job | None, who: str) -> tuple[str, list[Effect]]:
        if trial.status.terminal or trial.status is TrialStatus.PAUSED:
            raise _RefusedError(f"{trial.id} is {trial.status}: only a queued or running trial can be paused")
        effects: list[Effect] = []
        said = f"{trial.id} is paused"
        if job is not None:
            if job.state is JobState.INTENT:
                raise _RefusedError(f"{trial.id} is just being started; try again")
            if job.ask is not None:
                raise _RefusedError(f"{trial.id} is being ended: {job.ask_reason}")
            if reason := self._dispatcher.cannot_pause(token(job)):
                raise _RefusedError(f"{trial.id} {reason}")
            if self._dispatcher.pause_ends(token(job)):
                asked = tx.set_job(job.id, ask=JobOutcome.INTERRUPTED, ask_reason=f"paused {who}")
                effects.append(lambda: self._cancel(asked))
                said = f"{trial.id} is paused: its machine is given back, and it will go on from its checkpoint"
            else:
                tx.set_job(job.id, state=JobState.PAUSED)
                effects.append(lambda: self._dispatcher.pause(token(job)))
        tx.set_trial(trial.number, status=TrialStatus.PAUSED, paused_from=trial.status, reason=f"paused {who}")
        return said, effects

    def _resume(self, tx: Transaction, trial: Trial, job: Job | None, who: str) -> tuple[str, list[Effect]]:
        if trial.status is not TrialStatus.PAUSED:
            raise _RefusedError(f"{trial.id} is {trial.status}, not paused")
        effects: list[Effect] = []
        if job is not None and job.state is JobState.PAUSED:
            tx.set_job(job.id, state=JobState.RUNNING)
            effects.append(lambda: self._dispatcher.resume(token(job)))
        tx.set_trial(
            trial.number, status=trial.paused_from or TrialStatus.PENDING, paused_from=None, reason=f"resumed {who}"
        )
        return f"{trial.id} goes on", effects

    def _kill(
        self, tx: Transaction, trial: Trial, job: Job | None, order: Callable[[], int], who: str
    ) -> tuple[str, list[Effect]]:
        if trial.status.terminal:
            raise _RefusedError(f"{trial.id} is over already ({trial.status})")
        if job is None:
            tx.set_trial(
                trial.number,
                status=TrialStatus.KILLED,
                paused_from=None,
                reason=f"killed {who}",
                end_order=order(),
                ended_at=tx.now,
            )
            return f"{trial.id} is killed", []
        asked = tx.set_job(job.id, ask=JobOutcome.KILLED, ask_reason=f"killed {who}")
        return f"{trial.id} is being killed", [lambda: self._cancel(asked)]

    def _requeue(self, tx: Transaction, tool: SweepTool, trial: Trial, who: str) -> tuple[str, list[Effect]]:
        if not trial.status.terminal:
            raise _RefusedError(f"{trial.id} is {trial.status}; kill it first, or wait for its end")
        self._again(tx, tool, trial, TrialStatus.PENDING, f"requeued {who}")
        return f"{trial.id} is queued again{_later(tx)}", [self._reconsider]

    def _evaluate(self, tx: Transaction, tool: SweepTool, trial: Trial, who: str) -> tuple[str, list[Effect]]:
        flow, jobs = Flow.of(tool), self._store.jobs(trial.number)
        # A training that was stopped may be evaluated all the same, once or again.
        possible = bool(flow.late) if training_was_stopped(jobs) else any(job.stage in flow.late_stages for job in jobs)
        if not trial.status.terminal or not possible:
            raise _RefusedError(f"{trial.id} is {trial.status}; there is no finished evaluation to repeat")
        self._again(tx, tool, trial, TrialStatus.TRAINED, f"evaluation asked for again {who}")
        return f"{trial.id} will be evaluated again{_later(tx)}", [self._reconsider]

    def _create(
        self, tx: Transaction, tool: SweepTool, command: Command, source: str | int, edits: Mapping[str, Any]
    ) -> Trial:
        """A trial whose parameters a user chose, as the next one to be trained.

        It takes the next number, as any trial does, and so counts to `max_trials`.
        """
        searched = tx.trial_count - len(self._store.state.replicates)
        if searched >= tool.max_trials:
            raise _RefusedError(
                f"max_trials is {tool.max_trials} and there are {searched} trials; "
                f"set max_trials to {searched + 1} or more first"
            )
        if not isinstance(edits, Mapping):
            raise _RefusedError(f"params is {edits!r}; it must be a mapping of parameters to values")
        number, name = self._source(tx, source)
        base = tool.space.center() if source == handmade.CENTER else tx.trial(number).params if number else {}
        params = handmade.complete(tool.space, base, edits, name)
        self._allow_trials(tool.max_trials)  # of a sweep that was over, others may have taken what it had left
        provenance = {"method": "user", "from": number or source or None, "command": command.id}
        trial = tx.create_trial(
            params,
            trial_seed(tool.seed, tx.next_trial),
            {key: value for key, value in provenance.items() if value is not None},
        )
        # What had ended by now, as the store has it: the suggestions that come after it go by that number.
        known = self._store.state.ended
        return tx.set_trial(trial.number, known_ends=known, queued_at=tx.now, reason=f"queued by {command.actor}")

    def _validate(self, tx: Transaction, tool: SweepTool, command: Command) -> str:
        """Queue the replicates that are not there yet: beyond `max_trials`, which is of the search."""
        if self._store.state.status is SweepStatus.PAUSED:
            raise _RefusedError("the sweep is paused: resume it first")
        wanted = missing(self._store.state, tool, Asked.of(command.args))
        known = self._store.state.ended
        for each in wanted:
            trial = tx.create_trial(each.params, each.seed, {**each.provenance, "command": command.id})
            tx.set_trial(trial.number, known_ends=known, queued_at=tx.now, reason=f"queued by {command.actor}")
        return f"{len(wanted)} replicates are queued{_later(tx)}" if wanted else "all replicates are there already"

    def _source(self, tx: Transaction, source: str | int) -> tuple[int | None, str]:
        """The trial that parameters are taken from, if it is one, and what a message calls the source."""
        if source in ("", handmade.CENTER):
            return None, "the center" if source else ""
        if source != handmade.BEST:
            trial = self._trial(tx, source)
            return trial.number, trial.id
        best = best_trial(self._store.state)
        if best is None:
            raise _RefusedError("no trial has a score yet, so there is no best one; take the center")
        return best.number, best.id

    def _unqueue(
        self, tx: Transaction, trial: Trial, job: Job | None, order: Callable[[], int], who: str
    ) -> tuple[str, list[Effect]]:
        """Take a trial out of the queue: back to the end it had come to, or, where it never began, for good."""
        waits = trial.paused_from if trial.status is TrialStatus.PAUSED else trial.status
        if job is not None or waits not in (TrialStatus.PENDING, TrialStatus.TRAINED):
            raise _RefusedError(f"{trial.id} is {trial.status}; only a queued trial can be taken out of the queue")
        before = before_it_was_queued([*self._store.changes_of(trial.number), *tx.changes], trial.number)
        if before is not None:
            tx.restore_trial(before)
            return f"{trial.id} is {before.status} again, as it was", [self._reconsider]
        if trial.attempt:
            raise _RefusedError(f"{trial.id} has run since it was queued; kill it to end it")
        tx.set_trial(
            trial.number,
            status=TrialStatus.KILLED,
            paused_from=None,
            reason=f"withdrawn {who}",
            end_order=order(),
            ended_at=tx.now,
        )
        return f"{trial.id} is withdrawn; it keeps its number and counts to max_trials", []

    def _again(self, tx: Transaction, tool: SweepTool, trial: Trial, status: TrialStatus, reason: str) -> None:
        tx.set_trial(
            trial.number,
            status=status,
            reason=reason,
            failure=None,
            ended_at=None,
            queued_at=tx.now,
            **(afresh(Flow.of(tool), trial) if status is TrialStatus.PENDING else {}),
            requeued_after_job=max((job.id for job in self._store.jobs(trial.number)), default=0),
        )

    def _stop(
        self, tx: Transaction, kill: bool, jobs: dict[int, Job], order: Callable[[], int], who: str
    ) -> list[Effect]:
        tx.set_sweep(status=SweepStatus.STOPPING, reason=f"stopped {who}")
        effects: list[Effect] = []
        if kill:
            for number, job in jobs.items():
                effects += self._kill(tx, tx.trial(number), job, order, who)[1]
        return effects

    def _set(self, tx: Transaction, tool: SweepTool, config: Mapping[str, Any], args: Mapping[str, Any]) -> SweepTool:
        for key, value in args.items():
            if key not in ("max_trials", "max_parallel_jobs"):
                raise _RefusedError(f"{key} cannot be changed in a running sweep; max_trials and max_parallel_jobs can")
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise _RefusedError(f"{key} is {value!r}; it must be a whole number of at least 1")
        if "max_trials" in args:
            self._allow_trials(args["max_trials"])
        changed = tool.model_copy(update=args)
        tx.set_sweep(config={**config, **changed.to_json()})
        return changed


def _later(tx: Transaction) -> str:
    """Where nobody runs the sweep: how what was queued comes to run."""
    return "; it is started when the sweep is run again (sweeptui continue)" if tx.sweep_status.ended else ""
