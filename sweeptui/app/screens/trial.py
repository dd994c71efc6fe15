"""Everything about one trial: what it tried, what came of it, and why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work

from sweeptui.app import theme, wording
from sweeptui.app.columns import BEST, BOLD, MARK, PLAIN, QUIET, RULE, Piece, progress_bar
from sweeptui.app.fields import run_time, share_done
from sweeptui.app.lineage import lineage
from sweeptui.app.messages import Latest
from sweeptui.app.parameters import configuration, difference, value_text
from sweeptui.app.plot import curves, order
from sweeptui.app.plot.chart import picture
from sweeptui.app.screens.lines import (
    Line,
    Section,
    beside,
    chart,
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
LINEAGE = ("parent", "generation", "mutation", "checkpoint", "cost")
"""Of a provenance: what the lineage shows, and what only the engine needs."""
LEFT_SHARE = 0.45
CURVE_SHARE = 0.3
"""Of the height, for the learning curve."""
LEAST_CURVE, MOST_CURVE = 7, 18
MAX_LEFT = 84
SPREAD = 3.0
"""The strip of a prediction reaches so many standard deviations to either side."""


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
        state = wording.trial_state(trial, snapshot.running.get(trial.number))
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
        state = wording.trial_state(trial, snapshot.running.get(trial.number))
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
        if not self.wide:
            room = inner(width, ruled=self.ruled)
            end = self._end(trial, room)
            first, last = ([end], []) if trial.status is TrialStatus.FAILED else ([], [end])
            sections = [
                *first,
                self._why(snapshot, trial, room),
                lineage(snapshot, trial),
                self._configuration(snapshot, trial, room),
                self._attempts(snapshot, trial, room),
                self._curve(snapshot, trial, room),
                self._usage(snapshot, trial),
                self._metrics(trial, room),
                *last,
            ]
            return stacked([section for section in sections if section is not None], width, ruled=self.ruled)
        left = min(MAX_LEFT, int(width * LEFT_SHARE))
        right = width - left - 1
        mine = [
            self._configuration(snapshot, trial, left - 4),
            self._metrics(trial, left - 4),
            self._usage(snapshot, trial),
            self._attempts(snapshot, trial, left - 4),
        ]
        other = [
            self._why(snapshot, trial, right - 4),
            lineage(snapshot, trial),
            self._curve(snapshot, trial, right - 4),
        ]
        sides = [[section for section in side if section is not None] for side in (mine, other)]
        height = self.sheet.size.height
        end = self._end(trial, right - 4, max(FEW_LINES, height - rows_of(sides[1]) - 2))
        return columns(sides[0], [*sides[1], end] if end is not None else sides[1], (left, right), height)

    def _curve(self, snapshot: Snapshot, trial: Trial, width: int) -> Section | None:
        if not snapshot.series.get(trial.number):
            return None
        rows = max(LEAST_CURVE, min(MOST_CURVE, int(self.size.height * CURVE_SHARE)))
        drawn = picture(curves.chart(snapshot, trial.number, (), order.Across.STEP), width, rows)
        return Section("Learning curve", tuple(chart(drawn)))

    def _configuration(self, snapshot: Snapshot, trial: Trial, width: int) -> Section:
        others = []
        if snapshot.best is not None and snapshot.best.number != trial.number:
            others.append((f"best #{snapshot.best.number}", snapshot.best.params))
        elif snapshot.runner_up is not None:
            others.append((f"next #{snapshot.runner_up.number}", snapshot.runner_up.params))
        if snapshot.center:
            others.append(("center", snapshot.center))
        rows = [Line(tuple(row)) for row in configuration(trial.params, others, width)]
        return Section("Configuration", tuple(rows), f"seed {trial.seed}")

    def _metrics(self, trial: Trial, width: int) -> Section:
        if not trial.metrics:
            return Section("Metrics", (said("nothing beside the score was reported", QUIET),))
        rows = [(wording.line(name), [(value_text(value), PLAIN)]) for name, value in sorted(trial.metrics.items())]
        half = (len(rows) + 1) // 2
        sides = [fields(rows[:half]), fields(rows[half:])]
        cut = width // 2
        if len(rows) > 1 and all(width_of(each) < cut for side in sides for each in side):
            padded = [line(*each.pieces, (" " * (cut - width_of(each)), PLAIN)) for each in sides[0]]
            return Section("Metrics", tuple(beside(padded, sides[1], cut, gap=0)), str(len(rows)))
        return Section("Metrics", tuple(fields(rows)), str(len(rows)))

    def _why(self, snapshot: Snapshot, trial: Trial, width: int) -> Section:
        how = trial.provenance
        rows: list[tuple[str, list[Piece]]] = [("chosen by", [(wording.param(how.get("method", "unknown")), BOLD)])]
        if (mean := _number(how.get("score_mean"))) is not None:
            rows.append(("score", _against(mean, _number(how.get("score_std")), trial, width - 11)))
        if (expected := _number(how.get("cost_mean"))) is not None:
            came: list[Piece] = [(f"predicted {wording.cost(expected, snapshot.cost_unit)}", PLAIN)]
            if trial.cost is not None:
                came += [(", came ", QUIET), (wording.cost(trial.cost, snapshot.cost_unit), BOLD)]
                came += [(f"  {difference(trial.cost, expected)}", QUIET)]
            rows.append(("cost", came))
        known = {"method", "score_mean", "score_std", "cost_mean", "fallback", *LINEAGE}
        rows += [
            (wording.line(str(name)).replace("_", " "), [(wording.param(value), PLAIN)])
            for name, value in how.items()
            if name not in known and value is not None
        ]
        lines = fields(rows)
        if reason := how.get("fallback"):
            lines += wrapped(
                f"! not by the model: {wording.param(reason)}", width, theme.style(theme.YELLOW, bold=True)
            )
        return Section("Why this trial", tuple(lines), f"{trial.known_ends} results were known")

    def _attempts(self, snapshot: Snapshot, trial: Trial, width: int) -> Section:
        jobs = self._jobs(snapshot)
        if not jobs:
            waits = "it waits for a free slot" if trial.status is TrialStatus.PENDING else "it was never started"
            return Section("Attempts", (said(waits if not trial.attempt else "…", QUIET),))
        lines: list[Line] = []
        for job in jobs:
            lines += self._attempt(job, width)
        return Section("Attempts", tuple(lines), str(len(jobs)))

    def _attempt(self, job: Job, width: int) -> list[Line]:
        state = wording.job_state(job)
        now = self.cockpit.clock()
        pieces: list[Piece] = [
            (f"{job.stage} {job.attempt}".ljust(8), BOLD),
            (str(state).ljust(14), theme.style(state.colour)),
        ]
        if job.started_at is not None:
            pieces.append((time.strftime("%m-%d %H:%M:%S", time.localtime(job.started_at)), PLAIN))
            ended = job.ended_at if job.ended_at is not None else now
            pieces.append((f"  {wording.duration(ended - job.started_at)}", BOLD))
        place, remote = wording.slot(job.slot), wording.remote(job.slot)
        pieces += [(f"  {place}", QUIET)] if place and not remote else []
        lines = [line(*pieces)]
        if remote:
            lines += [Line((("        ", PLAIN), *row.pieces)) for row in wrapped(place, width - 8, QUIET)]
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


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _cores(cores: float | None) -> str:
    return "…" if cores is None else f"{cores * 100:.0f}% ({cores:.1f} cores)" if cores >= 1 else f"{cores * 100:.0f}%"


def _against(mean: float, std: float | None, trial: Trial, room: int) -> list[Piece]:
    """What was predicted, what came, and on a strip of the prediction where that lies.

    The prediction is of the end: what a trial has until then is not held against it.
    """
    came = trial.score
    pieces: list[Piece] = [(f"predicted {wording.number(mean)}", PLAIN)]
    if std is not None:
        pieces.append((f" ± {wording.number(std, 2)}", PLAIN))
    if came is None:
        return pieces
    pieces += [(", came " if trial.status.terminal else ", so far ", QUIET), (wording.number(came), BOLD)]
    if not std or not trial.status.terminal:
        return pieces
    off = (came - mean) / std
    # Within two standard deviations nothing is surprising, if the model is right about how sure it is.
    colour = theme.GREEN if abs(off) <= 2 else theme.YELLOW if abs(off) <= SPREAD else theme.ORANGE
    pieces.append((f"  {off:+.1f}\N{GREEK SMALL LETTER SIGMA}", theme.style(colour, bold=True)))
    width = min(25, room - sum(len(text) for text, _ in pieces) - 2)
    if width >= 9:
        at = round((max(-SPREAD, min(SPREAD, off)) + SPREAD) / (2 * SPREAD) * (width - 1))
        strip = "".join("┬" if cell == width // 2 else "─" for cell in range(width))
        pieces += [("  ", PLAIN), (strip[:at], RULE), ("●", theme.style(colour, bold=True)), (strip[at + 1 :], RULE)]
    return pieces
