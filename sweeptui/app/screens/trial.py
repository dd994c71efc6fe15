"""Everything about one trial: what it tried, what came of it, and why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import work

from sweeptui.app import theme, wording
from sweeptui.app.columns import BEST, BOLD, MARK, PLAIN, QUIET, Piece, progress_bar
from sweeptui.app.fields import run_time, share_done
from sweeptui.app.lineage import lineage
from sweeptui.app.messages import Latest
from sweeptui.app.plot import order
from sweeptui.app.screens import about
from sweeptui.app.screens.lines import (
    Line,
    Section,
    columns,
    fields,
    inner,
    line,
    rows_of,
    said,
    stacked,
    width_of,
    wrapped,
)
from sweeptui.app.screens.page import Page, actions_of, bindings_of
from sweeptui.app.screens.printed import FEW_LINES, Printed, read_end, shown
from sweeptui.app.screens.usage import Sampler, Usage
from sweeptui.core.files import Files
from sweeptui.core.trial import Job, JobState, Trial, TrialStatus

if TYPE_CHECKING:
    from textual.binding import BindingType

    from sweeptui.app.panels import Part
    from sweeptui.app.snapshot import Snapshot

LOOK_S = 2.0
LEFT_SHARE = 0.45
CURVE_SHARE = 0.3
"""Of the height, for the learning curve."""
LEAST_CURVE, MOST_CURVE = 7, 18
MAX_LEFT = 84


@dataclass
class Looked(Latest):
    """What a thread found out about a trial."""

    trial: int
    job: Job | None
    printed: Printed
    usage: Usage | None


class TrialPage(Page):
    """Shows the trial that the cursor of the table is on."""

    NAME = "trial"
    KEYS = actions_of("trial", ("pause", "kill", "requeue", "edit", "evaluate", "undo", "best", "copy"))
    BINDINGS: ClassVar[list[BindingType]] = bindings_of(KEYS)

    def __init__(self, sampler: Sampler, files: Files) -> None:
        super().__init__()
        self._sampler = sampler
        self._files = files
        self._looked: Looked | None = None
        self._looking = False

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(LOOK_S, self._look)

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        job = self._job(snapshot)
        old = self._looked
        if job is not None and (old is None or old.job is None or (old.job.id, old.job.state) != (job.id, job.state)):
            self._look()

    # -- what a thread looks at

    def _job(self, snapshot: Snapshot) -> Job | None:
        """The newest job of the trial."""
        jobs = self._jobs(snapshot)
        return jobs[-1] if jobs else None

    def _jobs(self, snapshot: Snapshot) -> tuple[Job, ...]:
        focus = snapshot.focus
        return focus.jobs if focus is not None and focus.trial == self.cockpit.table.cursor else ()

    def _look(self) -> None:
        job = None if self.shown is None else self._job(self.shown)
        old = self._looked
        settled = old is not None and old.job == job and (job is None or job.state is JobState.ENDED)
        if job is not None and not settled and not self._looking:
            self._looking = True
            self._look_at(job)

    @work(thread=True, group="look")
    def _look_at(self, job: Job) -> None:
        ended = job.state is JobState.ENDED
        usage = {} if ended else self._sampler.look([job])
        printed = read_end(self._files.log(job), failed=job.outcome is not None and job.outcome.failure is not None)
        self.post_message(Looked(job.trial, job, printed, usage.get(job.id)))

    def on_looked(self, message: Looked) -> None:
        self._looking = False
        self._looked = message
        self.draw()
        if self.shown is not None and (job := self._job(self.shown)) is not None and job != message.job:
            self._look()

    # -- what it says

    @property
    def trial(self) -> Trial | None:
        return None if self.shown is None else self.shown.trial(self.cockpit.table.cursor)

    def heading(self, snapshot: Snapshot) -> list[Piece]:  # noqa: ARG002
        trial = self.trial
        return [(trial.id if trial is not None else "no trial", BOLD)]

    def state_parts(self, snapshot: Snapshot) -> list[Part]:
        trial = self.trial
        if trial is None:
            return []
        state = wording.trial_state(trial, snapshot.running.get(trial.number), snapshot.stages)
        score: list[Piece] = (
            [("score ", QUIET), (wording.param(trial.score, full=True), BOLD)] if trial.score is not None else []
        )
        if snapshot.best is not None and snapshot.best.number == trial.number:
            score = [(f"{MARK} ", BEST), (wording.param(trial.score, full=True), BEST), (" the best", QUIET)]
        share = share_done(trial)
        done: list[Piece] = []
        if share is not None and not trial.status.terminal:
            done = [*progress_bar(share, 12, state.colour), (f" {int(share * 100)}%", PLAIN)]
        return [
            (0, [(str(state), theme.style(state.colour, bold=True))]),
            (2, done),
            (1, score),
            (4, [("time ", QUIET), (wording.duration(run_time(trial, self.cockpit.clock())), PLAIN)]),
            (5, [("cost ", QUIET), (wording.cost(trial.cost, snapshot.cost_unit), PLAIN)]),
        ]

    def second_line(self, snapshot: Snapshot) -> list[Part]:
        trial = self.trial
        if trial is None:
            return []
        if not trial.reason:
            tries = f"try {trial.attempt}" if trial.attempt else "not started yet"
            return [(0, [(tries, QUIET)]), (1, [(_steps(trial), QUIET)])]
        state = wording.trial_state(trial, snapshot.running.get(trial.number), snapshot.stages)
        colour = state.colour if trial.status in (TrialStatus.FAILED, TrialStatus.KILLED) else theme.QUIET
        return [(0, [(wording.line(trial.reason), theme.style(colour))])]

    def plotted(self, snapshot: Snapshot) -> frozenset[int]:
        return order.wanted(snapshot, self.cockpit.table.cursor, ())

    def empty(self, snapshot: Snapshot) -> str:  # noqa: ARG002
        return "there is no trial yet"

    def lines(self, snapshot: Snapshot, width: int) -> list[Line]:
        trial = self.trial
        if trial is None:
            return []
        rows = max(LEAST_CURVE, min(MOST_CURVE, int(self.size.height * CURVE_SHARE)))
        if not self.wide:
            room = inner(width, ruled=self.ruled)
            end = self._end(trial, room)
            first, last = ([end], []) if trial.status is TrialStatus.FAILED else ([], [end])
            sections = [
                *first,
                about.why(snapshot, trial, room),
                lineage(snapshot, trial),
                about.settings(snapshot, trial, room),
                self._attempts(snapshot, trial, room),
                about.curve(snapshot, trial, room, rows),
                self._usage(snapshot, trial),
                about.metrics(trial, room),
                *last,
            ]
            return stacked([section for section in sections if section is not None], width, ruled=self.ruled)
        left = min(MAX_LEFT, int(width * LEFT_SHARE))
        right = width - left - 1
        mine = [
            about.settings(snapshot, trial, left - 4),
            about.metrics(trial, left - 4),
            self._usage(snapshot, trial),
            self._attempts(snapshot, trial, left - 4),
        ]
        other = [
            about.why(snapshot, trial, right - 4),
            lineage(snapshot, trial),
            about.curve(snapshot, trial, right - 4, rows),
        ]
        sides = [[section for section in side if section is not None] for side in (mine, other)]
        height = self.sheet.size.height
        end = self._end(trial, right - 4, max(FEW_LINES, height - rows_of(sides[1]) - 2))
        return columns(sides[0], [*sides[1], end] if end is not None else sides[1], (left, right), height)

    def _attempts(self, snapshot: Snapshot, trial: Trial, width: int) -> Section:
        jobs = self._jobs(snapshot)
        if not jobs:
            waits = "it waits for a free slot" if trial.status is TrialStatus.PENDING else "it was never started"
            return Section("Attempts", (said(waits if not trial.attempt else "…", QUIET),))
        lines: list[Line] = []
        room = max(8, 1 + max(len(f"{job.stage} {job.attempt}") for job in jobs))
        for job in jobs:
            lines += self._attempt(job, width, min(room, 24))
        return Section("Attempts", tuple(lines), str(len(jobs)))

    def _attempt(self, job: Job, width: int, room: int) -> list[Line]:
        state = wording.job_state(job)
        now = self.cockpit.clock()
        pieces: list[Piece] = [
            (f"{job.stage} {job.attempt}".ljust(room), BOLD),
            (str(state).ljust(14), theme.style(state.colour)),
        ]
        if job.started_at is not None:
            # Beside the long names of simulations there is no room for the day.
            form = "%m-%d %H:%M:%S" if room < 15 else "%H:%M:%S"
            pieces.append((time.strftime(form, time.localtime(job.started_at)), PLAIN))
            ended = job.ended_at if job.ended_at is not None else now
            pieces.append((f"  {wording.duration(ended - job.started_at)}", BOLD))
        lines = [line(*pieces)]
        if place := wording.slot(job.slot):
            beside_it = line(*pieces, (f"  {place}", QUIET))
            below = [Line((("        ", PLAIN), *row.pieces)) for row in wrapped(place, width - 8, QUIET)]
            fits = width_of(beside_it) <= width and not wording.remote(job.slot)  # of a machine there is much to say
            lines = [beside_it] if fits else [*lines, *below]
        used = wording.exit_summary(job.exit)
        if used:
            lines += [Line((("        ", PLAIN), *row.pieces)) for row in wrapped(used, width - 8, QUIET)]
        told = job.ask_reason if job.outcome is None else job.reason
        if told and job.outcome is not None and job.outcome.failure is not None:
            lines += [
                Line((("        ", PLAIN), *row.pieces))
                for row in wrapped(wording.line(told), width - 8, theme.style(theme.VERMILLION))
            ]
        elif told:
            lines += [Line((("        ", PLAIN), *row.pieces)) for row in wrapped(wording.line(told), width - 8, QUIET)]
        return lines

    def _usage(self, snapshot: Snapshot, trial: Trial) -> Section | None:
        job = snapshot.running.get(trial.number)
        if job is None:
            return None
        looked = self._looked
        if looked is None or looked.job is None or looked.job.id != job.id:
            return Section("Resources", (said("looking at its processes …", QUIET),))
        usage = looked.usage
        if usage is None:
            return Section("Resources", (said("none of its processes is on this machine", QUIET),))
        rows: list[tuple[str, list[Piece]]] = [
            ("cpu", [(_cores(usage.cores), BOLD)]),
            ("memory", [(wording.size(usage.memory), BOLD)]),
        ]
        if usage.gpu_memory is not None:
            rows.append(("gpu memory", [(wording.size(usage.gpu_memory), BOLD)]))
        rows.append(("processes", [(str(usage.processes), PLAIN), (f", {usage.threads} threads", QUIET)]))
        return Section("Resources", tuple(fields(rows)), f"process {usage.pid}")

    def _end(self, trial: Trial, width: int, rows: int = FEW_LINES) -> Section | None:
        """The traceback of a job that failed, or the last lines of the log."""
        looked = self._looked
        if looked is None or looked.trial != trial.number or looked.job is None or not looked.printed.lines:
            return None
        title = "Traceback" if looked.printed.traceback else "Last lines of the log"
        return Section(title, tuple(shown(looked.printed, width, rows)), f"{looked.job.stage} {looked.job.attempt}")


def _steps(trial: Trial) -> str:
    if trial.step is None:
        return ""
    of = f" of {trial.total_steps:,.0f}" if trial.total_steps else ""
    return f"step {trial.step:,.0f}{of}"


def _cores(cores: float | None) -> str:
    return "…" if cores is None else f"{cores * 100:.0f}% ({cores:.1f} cores)" if cores >= 1 else f"{cores * 100:.0f}%"
