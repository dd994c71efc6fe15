"""`show` and `logs`: what became of a sweep's trials."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from sweeptui.cli.complete import TrialName
from sweeptui.cli.listing import holder_name, print_table
from sweeptui.cli.options import (
    WholeNumber,
    at_option,
    json_option,
    parse_trials,
    root_option,
    sweep_argument,
    sweep_to_read,
)
from sweeptui.core import warmstart
from sweeptui.core.analysis.summary import json_line, show_json, truth
from sweeptui.core.ansi import sanitize
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files
from sweeptui.core.logs import LogTail, colours_wanted
from sweeptui.core.moments import said
from sweeptui.core.stagewords import doing
from sweeptui.core.stores.wandb.book import standing
from sweeptui.core.trial import TrialStatus
from sweeptui.survey import any_alive, open_sweep, sight

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.stores.past import Past
    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.core.trial import Job, Trial

FOLLOW_INTERVAL_S = 0.2


@click.command()
@sweep_argument
@at_option
@json_option
@root_option
def show(*, sweep: str, at: str | None, as_json: bool, root: Path) -> int:
    """Show a sweep's trials, now or as they were."""

    folder = sweep_to_read(root, sweep)
    with open_sweep(folder) as store:
        if at is not None:
            shape, words = _past_json(store, folder, at)
        else:
            seen = sight(folder, store)
            jobs = [job for number in store.state.trials for job in store.jobs(number)]
            shape = show_json(store.state, jobs, label=seen.label, path=str(folder), holder=holder_name(seen.holder))
            words = _doing(store)
        taken_over = warmstart.told(store.state.config)
    if as_json:
        click.echo(json_line(shape))
        return 0
    by = f", run by {shape['holder']}" if shape["holder"] else ""
    because = f": {shape['reason']}" if shape["reason"] else ""
    is_ = "is" if at is None else f"at {said(shape['at'])} was"
    click.echo(f"{shape['name']} {is_} {shape['state']}{because}{by}")
    if at is None and shape["wandb"] and (mirror := standing(folder)) is not None:
        click.echo(mirror.sentence(time.time()))
    if taken_over:
        click.echo(f"warm start: {taken_over}")
    rows = [("TRIAL", "STATUS", "SCORE", "COST", "TRY", "REASON")]
    for trial in shape["trials"]:
        failure = f" ({trial['failure']})" if trial["failure"] else ""
        rows.append(
            (
                trial["id"],
                (words.get(trial["id"]) or trial["status"]) + failure,
                "-" if trial["score"] is None else repr(trial["score"]),
                "-" if trial["cost"] is None else f"{trial['cost']:.4g}",
                str(trial["attempts"]),
                trial["reason"],
            )
        )
    print_table(rows)
    if shape["best"]:
        click.echo(f"\nbest: {shape['best']['id']} with {shape['best']['score']!r}; more with: sweeptui best {sweep}")
    return 0


def _doing(store: SqliteStore | Past) -> dict[str, str]:
    """What trials are said to do, by id, where their status does not say it."""
    state = store.state
    words = doing(state.config, state.active, store.jobs)
    at_work = (trial for trial in state.active if trial.status is not TrialStatus.PAUSED)
    return {trial.id: words.of(trial, state.running_jobs.get(trial.number)) for trial in at_work}


def _past_json(store: SqliteStore, folder: Path, at: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What `show` says of a moment of the past, `at`, when that was, and what trials did. Raises `UserError`."""
    from sweeptui.core.moments import moment_of  # noqa: PLC0415 - few ask for the past
    from sweeptui.core.stores.past import Past  # noqa: PLC0415

    past = Past(store)
    past.go_to(moment_of(past, at))
    jobs = past.state.jobs.values()
    label = truth(past.state, held=True, jobs_alive=False)
    return {**show_json(past.state, jobs, label=label, path=str(folder), holder=None), "at": past.at}, _doing(past)


@click.command()
@sweep_argument
@click.argument("trial", type=TrialName())
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the trial ends.")
@click.option("--stage", help="train, eval, or another one of the recipe; the newest job's where not given.")
@click.option("--attempt", type=WholeNumber(1), help="The newest one where not given.")
@root_option
def logs(*, sweep: str, trial: str, follow: bool, stage: str | None, attempt: int | None, root: Path) -> int:
    """Print or follow a trial's log."""

    [number] = parse_trials([trial])
    folder = sweep_to_read(root, sweep)
    with open_sweep(folder) as store:
        known = store.state.trials.get(number)
        if known is None:
            raise UserError(f"sweep {sweep} has no trial {number}; it has {len(store.state.trials)}")
        chosen = _jobs(store, known, stage, attempt)
        if not chosen:
            wanted = f"{stage or 'job'}{f' attempt {attempt}' if attempt else ''}"
            had = ", ".join(dict.fromkeys(job.stage for job in _jobs(store, known, None, None)))
            there = f"; there are logs of {had}" if had else ""
            raise UserError(f"{known.id} of sweep {sweep} has no {wanted} yet (it is {known.status}){there}")
        shown: set[int] = set()
        job: Job | None = chosen[-1]
        while job is not None:
            shown.add(job.id)
            _print_log(store, Files(folder).log(job), job if follow else None)
            job = _next_job(store, number, stage, shown) if follow and attempt is None else None
    return 0


def _jobs(store: SqliteStore, trial: Trial, stage: str | None, attempt: int | None) -> list[Job]:
    jobs = store.jobs(trial.number)
    return [job for job in jobs if stage in (None, job.stage) and attempt in (None, job.attempt)]


def _print_log(store: SqliteStore, path: Path, following: Job | None) -> None:
    """Print a log to its end; of a job that still runs, to the job's end."""

    tail = LogTail(path)
    colour = colours_wanted()
    while True:
        over = following is None or not _still_written(store, following)
        for line in tail.rest() if over else tail.lines():
            click.echo(sanitize(line, colour=colour), color=colour)
        if over:
            return
        time.sleep(FOLLOW_INTERVAL_S)
        store.refresh()


def _still_written(store: SqliteStore, job: Job) -> bool:
    """Whether the job runs: so the store says, and somebody runs the sweep or the job's own processes live."""

    if all(running.id != job.id for running in store.state.running_jobs.values()):
        return False
    lease = store.lease()
    return (lease is not None and lease.alive) or any_alive(store.path.parent, [job])


def _next_job(store: SqliteStore, number: int, stage: str | None, shown: set[int]) -> Job | None:
    """Wait for the next job of a trial that has not ended. None where there will be none."""
    while True:
        store.refresh()
        trial = store.state.trials[number]
        new = [job for job in _jobs(store, trial, stage, None) if job.id not in shown]
        if new:
            return new[0]
        lease = store.lease()
        if trial.status.terminal or lease is None or not lease.alive:
            return None
        time.sleep(FOLLOW_INTERVAL_S)
