"""What came from the jobs, written to the store: reports as they arrive, and ends with what they mean."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeptui.core import scoring, tracking
from sweeptui.core.failures import judge, log_tail, tries_left
from sweeptui.core.files import Files
from sweeptui.core.flow import DUE, Flow
from sweeptui.core.objectives import number_in
from sweeptui.core.promises import kept_promises
from sweeptui.core.reports import LogReader, ParsedReport, ReportReader
from sweeptui.core.trial import (
    FailureKind,
    Job,
    JobOutcome,
    JobState,
    Report,
    Stage,
    TrialStatus,
    training_was_stopped,
)
from sweeptui.core.wandb_log import load_records, run_folders
from sweeptui.core.wandb_source import Question, WandbReader, is_online

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.core.config import SweepTool
    from sweeptui.core.dispatch import JobExit
    from sweeptui.core.stores.sqlite import SqliteStore, Transaction
    from sweeptui.core.tracking import WandbConfig
    from sweeptui.core.trial import Trial

Reader = ReportReader | LogReader | WandbReader


def afresh(flow: Flow, trial: Trial) -> dict[str, Any]:
    """What a trial that is trained again has not reached yet.

    Its checkpoint stays, for the training may go on from it, and so does what was prepared.
    """
    return {"score": None, "cost": None, "step": None, "metrics": flow.kept(trial.metrics)}


class Ingest:
    """Reads report files and judges ends. Keeps only file positions, which the store has too (`Job.report_offset`)."""

    def __init__(self, store: SqliteStore, tool: SweepTool, files: Files) -> None:
        self._store = store
        self._tool = tool
        self._files = files
        self._flow = Flow.of(tool)
        self._names = tuple(each.name for each in tool.protein_config.objectives)
        self._readers: dict[int, Reader] = {}
        self._questions: dict[int, Question] = {}
        """By job id: those that left no score on this machine, as far as W&B is asked for it."""
        if tool.metric_source == "wandb":
            # Now, and not when the first trial has logged something: it takes a second.
            load_records()

    def forget_positions(self) -> None:
        """After a write that failed: what was read since was not stored, so it is read again."""
        self._readers.clear()

    def fresh_reports(self, jobs: list[Job]) -> dict[int, list[ParsedReport]]:
        """New reports by job id, for jobs that have any."""
        found = {}
        for job in jobs:
            reports = self._reader(job).read()
            if reports:
                found[job.id] = reports
        return found

    def store_reports(self, tx: Transaction, job: Job, parsed: list[ParsedReport]) -> None:
        """Append reports to the job's curve and bring the trial's newest values up to date."""
        tx.set_trial(job.trial, **self._append(tx, job, parsed))
        tx.set_job(job.id, report_offset=self._reader(job).offset)

    def _append(self, tx: Transaction, job: Job, parsed: list[ParsedReport]) -> dict[str, Any]:
        """Append reports to the job's curve; returns the trial's newest values."""
        if parsed:
            rows = [self._report(job, item, tx.now) for item in parsed]
            tx.add_reports(rows)
            return self._newest(tx.trial(job.trial).metrics, rows, job.stage)
        return {}

    def _report(self, job: Job, item: ParsedReport, at: float) -> Report:
        step = self._flow.step(job.stage)
        values = scoring.values_of(item, self._names, step.simulation)
        # With several objectives each is a metric of its own name, whatever it was reported as.
        own = {} if len(self._names) == 1 else {name: _plain(value) for name, value in values.items()}
        return Report(
            trial=job.trial,
            job=job.id,
            stage=job.stage,
            at=at,
            step=item.step,
            total_steps=item.total_steps,
            score=values.get(self._names[0]),
            cost=item.cost,
            checkpoint=item.checkpoint,
            metrics={**item.metrics, **own},
        )

    def _values(self, job: Job, reports: list[Report]) -> dict[str, float | None]:
        """The last value of each objective that the job reported; what an evaluation leaves out, its training did."""
        first = self._names[0]
        found: dict[str, float | None] = dict.fromkeys(self._names)
        for report in reports:
            if report.score is not None:
                found[first] = report.score
            for name in self._names[1:]:
                value = number_in(report.metrics, name)
                found[name] = found[name] if value is None else value
        missing = [name for name, value in found.items() if value is None]
        if len(found) > 1 and missing and job.stage.evaluates:
            training = [report for report in self._store.reports(job.trial, Stage.TRAIN) if report.job < job.id]
            newest = max((report.job for report in training), default=None)
            for report in training:
                if report.job == newest:
                    found |= {name: value for name in missing if (value := number_in(report.metrics, name)) is not None}
        return found

    def settled(self, job: Job, end: JobExit) -> bool:
        """Whether all is known that the end needs. While it is not, W&B is being asked, for a limited time."""
        wandb = self._tool.wandb_runs
        if self._tool.metric_source != "wandb" or wandb is None or end.code != 0 or job.ask is not None:
            return True
        if not self._flow.scores(job.stage):
            return True
        question = self._questions.get(job.id)
        if question is None:
            question = self._ask(job, wandb)
        return question is None or question.over

    def _ask(self, job: Job, wandb: WandbConfig) -> Question | None:
        """Ask W&B for the score, where it is not on this machine and may be there."""
        reader = self._wandb_reader(job, 0)
        found = reader.read(final=True)
        while reader.more:
            found += reader.read(final=True)
        if any(report.score is not None for report in found) or reader.finished or not is_online(wandb, self._tool.env):
            return None
        entity, project = reader.project or ("", "")
        self._questions[job.id] = question = Question(
            entity or wandb.entity or os.environ.get("WANDB_ENTITY", ""),
            project or wandb.project or os.environ.get("WANDB_PROJECT", "uncategorized"),
            tracking.run_id(self._store.state.name, self._store.state.trials[job.trial], job),
            self._tool.protein_config.metric,
            wandb.metric_timeout_s,
        )
        return question

    def _where_looked(self, job: Job) -> str:
        """For a missing metric that comes from W&B: where it is not."""
        if self._tool.metric_source != "wandb":
            return ""
        folder = self._files.wandb(job)
        metric = self._tool.protein_config.metric
        looked = f"{folder} has no W&B run; does the script call wandb.init()?"
        if run_folders(folder):
            looked = f"neither the history nor the summary of the W&B run in {folder} has it"
        question = self._questions.get(job.id)
        if question is not None:
            looked += f"; asked W&B about {question.path}: {question.said}"
        return f"but never logged {metric!r}: {looked}"

    def end(self, tx: Transaction, job: Job, end: JobExit, order: int, **started: Any) -> bool:
        """Write the end of a job and what follows for its trial; True if the trial ended with it, as the order-th.

        `started`: fields of the job that are to be written with it.
        """
        reader = self._reader(job)
        parsed = reader.read(final=True)
        while reader.more:
            parsed += reader.read(final=True)
        question = self._questions.get(job.id)
        if question is not None and question.answer is not None:
            parsed.append(question.answer)
        fields = self._append(tx, job, parsed)
        reports = [r for r in self._store.reports(job.trial, job.stage) if r.job == job.id]
        values = self._values(job, reports)
        score = values[self._names[0]]
        cost, spent = self._cost(tx.trial(job.trial), job, reports, end)
        step, scores = self._flow.step(job.stage), self._flow.scores(job.stage)
        verdict = judge(
            job,
            end,
            log_tail(self._files.log(job)) if end.code != 0 else "",
            values=values,
            needs_metric=scores,
            where_looked=self._where_looked(job),
            title=step.title,
            timeout_field=step.timeout_field,
        )
        if verdict.outcome is JobOutcome.COMPLETED:
            verdict = kept_promises(step, reports) or verdict
        reason = verdict.reason
        if reader.rejected.count and verdict.outcome.failure is not None:
            skipped = reader.rejected
            reason = f"{reason} ({skipped.count} report lines were skipped, the first: {skipped.reason})"
        tx.set_job(
            job.id,
            state=JobState.ENDED,
            outcome=verdict.outcome,
            reason=reason,
            exit={
                key: value for key, value in asdict(end).items() if value is not False and value not in (None, "", {})
            },
            ended_at=end.ended_at or tx.now,
            report_offset=reader.offset,
            **started,
        )
        self._readers.pop(job.id, None)
        if question is not None:
            self._questions.pop(job.id).give_up()
        fields["spent"] = tx.trial(job.trial).spent + spent
        if job.stage is Stage.TRAIN:
            fields["cost"] = cost
        if scores and verdict.outcome.failure is None and (len(values) > 1 or step.simulation):
            metrics = fields.get("metrics", tx.trial(job.trial).metrics)
            fields["metrics"] = {**metrics, **scoring.settled(step, values)}
        fields |= self._consequence(tx, job, verdict.outcome, reason, {**fields, "score": score})
        terminal = fields["status"].terminal
        if terminal:
            fields |= {"end_order": order, "ended_at": tx.now}
        elif fields["status"] is TrialStatus.PENDING:
            fields["queued_at"] = tx.now
            if job.stage is Stage.TRAIN:
                fields |= afresh(self._flow, tx.trial(job.trial))
        fields["paused_from"] = None
        if verdict.outcome is JobOutcome.INTERRUPTED and _paused_by_ending(tx.trial(job.trial), job):
            fields |= {"status": TrialStatus.PAUSED, "paused_from": fields["status"]}
        tx.set_trial(job.trial, **fields)
        return bool(terminal)

    def _cost(self, trial: Trial, job: Job, reports: Sequence[Report], end: JobExit) -> tuple[float | None, float]:
        """What the training has cost since its beginning, and what of it this job has spent.

        A training that goes on from a checkpoint may count on from there, or from 0: its first report tells.
        """
        costs = [report.cost for report in reports if report.cost is not None]
        measured = {"seconds": end.run_s, "usd": end.cost_usd}.get(self._tool.cost_unit)
        own = costs[-1] if costs else measured
        if job.stage is Stage.TRAIN and costs and (begun_at := self._cost_at_checkpoint(job, reports)) is not None:
            return own, costs[-1] - begun_at
        before = trial.cost if trial.cost is not None else trial.provenance.get("cost")
        if own is None or not before or job.stage is not Stage.TRAIN:
            return own, own or 0.0
        counts_on = bool(costs) and costs[0] >= before
        return (own, own - before) if counts_on else (before + own, own)

    def _cost_at_checkpoint(self, job: Job, reports: Sequence[Report]) -> float | None:
        """The cost of an earlier attempt at its last checkpoint, where this one counts on from there; else None."""
        kept: Report | None = None
        for report in self._store.reports(job.trial, Stage.TRAIN):
            if report.job < job.id and report.checkpoint is not None:
                kept = report
        first = next(report for report in reports if report.cost is not None)
        if kept is None or kept.cost is None or first.cost is None or first.cost < kept.cost:
            return None
        begun_anew = kept.step is not None and first.step is not None and first.step <= kept.step
        return None if begun_anew else kept.cost

    def _consequence(
        self, tx: Transaction, job: Job, outcome: JobOutcome, reason: str, reached: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What follows for the trial. `reached`: its metrics, and the score of this job."""
        step, late = self._flow.step(job.stage), job.stage in self._flow.late_stages
        again = TrialStatus.TRAINED if late else TrialStatus.PENDING
        match outcome:
            case JobOutcome.COMPLETED:
                return self._done(tx, job, reason, reached)
            case JobOutcome.INTERRUPTED:
                return {"status": again, "reason": reason}
            case JobOutcome.KILLED:
                return {"status": TrialStatus.KILLED, "reason": reason}
            case JobOutcome.STOPPED:
                return self._stopped(tx.trial(job.trial), reason, reached["score"])
        trial = tx.trial(job.trial)
        earlier = [
            other
            for other in self._store.jobs(job.trial)
            if other.stage is job.stage and trial.requeued_after_job < other.id < job.id
        ]
        left = tries_left(outcome, earlier, step.retries(self._tool.retries))
        if left > 0:
            return {"status": again, "reason": f"will be tried again ({left} left for {outcome}): {reason}"}
        if step.given.may_fail:
            return self._done(tx, job, f"goes on without {step.title}: {reason}", reached)
        if late and training_was_stopped(self._store.jobs(job.trial)):
            # What the training came to is known, whatever became of its evaluation.
            trained = [each.score for each in self._store.reports(job.trial, Stage.TRAIN) if each.score is not None]
            score = trained[-1] if trained else None
            return self._stopped(trial, f"its evaluation failed ({outcome}): {reason}", score)
        return {"status": TrialStatus.FAILED, "failure": outcome.failure, "reason": reason}

    def _done(self, tx: Transaction, job: Job, reason: str, reached: Mapping[str, Any]) -> dict[str, Any]:
        """What follows where a stage is behind the trial: the next one, or its end."""
        trial, flow = tx.trial(job.trial), self._flow
        fields: dict[str, Any] = {"reason": reason}
        if job.stage not in flow.late_stages and job.stage is not Stage.TRAIN:
            return {"reason": f"{reason}{DUE}", "status": TrialStatus.PENDING}
        jobs = self._store.jobs(job.trial) if flow.late else []
        evaluated = job.stage.evaluates and not flow.left(jobs, trial.requeued_after_job, evaluations=True)
        if evaluated and flow.step(job.stage).simulation:
            fields |= scoring.aggregated(flow, self._names, reached["metrics"])
        elif flow.scores(job.stage) and not flow.step(job.stage).simulation:
            fields["score"] = reached["score"]
        if flow.left(jobs, trial.requeued_after_job):
            return {**fields, "status": TrialStatus.TRAINED}
        if jobs and training_was_stopped(jobs):
            stopped = self._stopped(trial, f"{reason}, of a training that was stopped", fields.get("score"))
            return {**fields, **stopped}
        return {**fields, "status": TrialStatus.COMPLETED, "failure": None}

    def _stopped(self, trial: Trial, reason: str, score: float | None) -> dict[str, Any]:
        """An observation at the fidelity it reached; one that diverged failed, as it would have at its end."""
        score = trial.score if score is None else score
        if score is not None and not math.isfinite(score):
            invalid = FailureKind.INVALID_METRIC
            return {"status": TrialStatus.FAILED, "failure": invalid, "reason": reason}
        return {"status": TrialStatus.STOPPED, "score": score, "reason": reason, "failure": None}

    def _newest(self, metrics: Any, rows: list[Report], stage: Stage) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        merged = dict(metrics)
        step = self._flow.step(stage)
        # One simulation is not all of the score.
        scores = (stage is Stage.TRAIN or stage.evaluates) and step.simulation is None
        for row in rows:
            merged.update(row.metrics)
            if row.score is not None and scores:
                fields["score"] = row.score
            if row.checkpoint is not None:
                fields["checkpoint"] = row.checkpoint
            if stage is Stage.TRAIN:
                if row.step is not None:
                    fields["step"] = row.step
                if row.total_steps is not None:
                    fields["total_steps"] = row.total_steps
        if merged != metrics:
            fields["metrics"] = merged
        return fields

    def _reader(self, job: Job) -> Reader:
        reader = self._readers.get(job.id)
        if reader is None:
            own = job.stage is not Stage.TRAIN and not job.stage.evaluates
            if self._tool.metric_source == "log" and not own:
                reader = LogReader(self._files.log(job), job.report_offset, self._tool.metric_regex)
            elif self._tool.metric_source == "wandb" and not own:
                reader = self._wandb_reader(job, job.report_offset)
            else:
                reader = ReportReader(self._files.reports(job), job.report_offset)
            self._readers[job.id] = reader
        return reader

    def _wandb_reader(self, job: Job, offset: int) -> WandbReader:
        run_id = tracking.run_id(self._store.state.name, self._store.state.trials[job.trial], job)
        return WandbReader(self._files.wandb(job), run_id, self._tool.protein_config.metric, offset)


def _paused_by_ending(trial: Trial, job: Job) -> bool:
    """The trial was paused, but not the job: that was to end, and another one goes on when the pause is over."""
    return trial.status is TrialStatus.PAUSED and job.state is not JobState.PAUSED


def _plain(value: float) -> float | str:
    """As metrics are stored: JSON has no NaN and no infinities."""
    return value if math.isfinite(value) else str(value)
