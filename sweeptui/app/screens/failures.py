"""Failed trials by their error: what went wrong, how often, and with which parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import work

from sweeptui.app import theme, wording
from sweeptui.app.columns import BOLD, HEADER, PLAIN, QUIET, Piece
from sweeptui.app.fields import run_time
from sweeptui.app.messages import Latest
from sweeptui.app.screens import about
from sweeptui.app.screens.lines import GAP, Line, Section, columns, fitted, inner, line, stacked, table, wrapped
from sweeptui.app.screens.page import LIST_SHARE, Page, actions_of, bindings_of
from sweeptui.app.screens.printed import Printed, read_end, shown
from sweeptui.core.analysis.triage import Group, groups, telling
from sweeptui.core.files import Files
from sweeptui.core.trial import BUILT_IN_STAGES, Job, Stage, Trial

if TYPE_CHECKING:
    from pathlib import Path

    from textual.binding import BindingType

    from sweeptui.app.panels import Part
    from sweeptui.app.snapshot import Snapshot

COUNT = 6
MOST_TRIALS = 20
NUMBERS = 20
"""So many characters of a group's trial numbers stand on its line."""


@dataclass
class EndRead(Latest):
    """The end of the log of a failed trial."""

    trial: int
    attempt: int
    printed: Printed


class FailuresPage(Page):
    """Groups of failed trials; below them, more about the one that the cursor is on."""

    NAME = "failures"
    KEYS = actions_of("failures")
    BINDINGS: ClassVar[list[BindingType]] = bindings_of(KEYS)

    def __init__(self, files: Files) -> None:
        super().__init__()
        self._files = files
        self._groups: list[Group] = []
        self._grouped: tuple[Trial, ...] = ()
        self._read: EndRead | None = None
        self._reading: tuple[int, int] | None = None

    @property
    def group(self) -> Group | None:
        """The one that the cursor is on."""
        found = (group for group in self._groups if _key(group) == self.sheet.cursor)
        return next(found, self._groups[0] if self._groups else None)

    # -- what it says

    def heading(self, snapshot: Snapshot) -> list[Piece]:
        self._group(snapshot)
        count = sum(len(group.trials) for group in self._groups)
        kinds = len(self._groups)
        about = f" {count} trial{'s' * (count != 1)}, {kinds} error{'s' * (kinds != 1)}" if count else ""
        return [("failures", BOLD), (about, QUIET)]

    def second_line(self, snapshot: Snapshot) -> list[Part]:
        done = snapshot.done
        failed = sum(len(group.trials) for group in self._groups)
        if not done:
            return []
        return [(0, [(f"{failed / done:.0%} of the trials that are over failed", QUIET)])]

    def empty(self, snapshot: Snapshot) -> str:  # noqa: ARG002
        return "✔ no trial has failed"

    def _group(self, snapshot: Snapshot) -> None:
        if snapshot.trials is not self._grouped:
            self._grouped = snapshot.trials
            self._groups = groups(snapshot.trials)

    def lines(self, snapshot: Snapshot, width: int) -> list[Line]:
        pointed = self.group
        if pointed is None:
            return []
        if not self.roomy:
            room = inner(width, ruled=self.ruled)
            sections = [self._errors(room), *self._detail(snapshot, pointed, room)]
            return stacked(sections, width, ruled=self.ruled)
        left = int(width * LIST_SHARE)
        right = width - left - 1
        newest = pointed.trials[-1]
        settings = about.settings(snapshot, newest, right - 4)
        beside_it = [
            replace(settings, title=f"{settings.title} of {newest.id}"),
            about.why(snapshot, newest, right - 4),
            self._trials(snapshot, pointed),
        ]
        mine = [self._errors(left - 4), *self._detail(snapshot, pointed, left - 4)]
        return columns(mine, beside_it, (left, right), self.sheet.size.height)

    def _trials(self, snapshot: Snapshot, group: Group) -> Section:
        """Those of the group, the newest first."""
        head: list[Piece] = [(title, HEADER) for title in ("trial", "try", "time", "cost", "failed")]
        rows = [head]
        for trial in list(reversed(group.trials))[:MOST_TRIALS]:
            ago = wording.UNKNOWN if trial.ended_at is None else wording.duration(self.cockpit.clock() - trial.ended_at)
            rows.append(
                [
                    (trial.id, BOLD),
                    (str(trial.attempt), PLAIN),
                    (wording.duration(run_time(trial, snapshot.at)), PLAIN),
                    (wording.cost(trial.cost, snapshot.cost_unit), PLAIN),
                    (f"{ago} ago" if trial.ended_at is not None else ago, QUIET),
                ]
            )
        more = len(group.trials) - MOST_TRIALS
        lines = [*table(rows), *([line((f"… {more} more", QUIET))] if more > 0 else [])]
        return Section("Trials with this error", tuple(lines), str(len(group.trials)))

    def _errors(self, room: int) -> Section:
        kinds = [wording.failure_word(group.failure) if group.failure is not None else "" for group in self._groups]
        errors = [
            wording.line(group.error) or kind or "no reason was given"
            for group, kind in zip(self._groups, kinds, strict=True)
        ]
        numbers = [
            _cut(" ".join(f"#{trial.number}" for trial in reversed(group.trials)), NUMBERS) for group in self._groups
        ]
        longest = room - COUNT - 2 * GAP - max(map(len, numbers))
        if self.wide:
            longest -= GAP + max(map(len, kinds))
        rows: list[list[Piece]] = []
        for group, kind, error, these in zip(self._groups, kinds, errors, numbers, strict=True):
            count = f"{len(group.trials)} ×"  # noqa: RUF001
            row = [(f"{count:>{COUNT}}", theme.style(theme.VERMILLION, bold=True)), (fitted(error, longest), BOLD)]
            rows.append([*row, *([(kind, QUIET)] if self.wide else []), (these, QUIET)])
        keys = [_key(group) for group in self._groups]
        return Section("Errors", tuple(table(rows, left=4, keys=keys)))

    def _detail(self, snapshot: Snapshot, group: Group, room: int) -> list[Section]:
        newest = group.trials[-1]
        self._look(newest)
        lines = wrapped(wording.line(newest.reason), room, theme.style(theme.VERMILLION))
        for found in telling(group, snapshot.trials):
            low, high = wording.number(found.low), wording.number(found.high)
            side = "never above" if found.bound < found.low else "never below"
            name = wording.short_names(tuple(newest.params))[found.name]
            lines.append(
                line(
                    (name, BOLD),
                    (f" is {low} to {high} here" if low != high else f" is {low} here", PLAIN),
                    (f", and {side} {wording.number(found.bound)} where trials succeeded", QUIET),
                )
            )
        sections = [Section("What went wrong", tuple(lines), newest.id)]
        read = self._read
        if read is not None and (read.trial, read.attempt) == (newest.number, _attempt(newest, self._files)[1]):
            if read.printed.lines:
                sections.append(
                    Section(
                        "Traceback" if read.printed.traceback else "Last lines of the log",
                        tuple(shown(read.printed, room)),
                        f"{newest.id}, the newest",
                    )
                )
            else:
                sections.append(Section("Last lines of the log", (line(("nothing was printed", QUIET)),), newest.id))
        return sections

    # -- the log of the newest one

    def _look(self, trial: Trial) -> None:
        wanted = (trial.number, _attempt(trial, self._files)[1])
        known = None if self._read is None else (self._read.trial, self._read.attempt)
        if wanted not in (known, self._reading):
            self._reading = wanted
            self._read_end(trial)

    @work(thread=True, group="look", exclusive=True)
    def _read_end(self, trial: Trial) -> None:
        stage, attempt = _attempt(trial, self._files)
        path = self._files.log(Job(id=0, trial=trial.number, stage=stage, attempt=attempt, created_at=0.0))
        self.post_message(EndRead(trial.number, attempt, read_end(path)))

    def on_end_read(self, message: EndRead) -> None:
        if (message.trial, message.attempt) == self._reading:
            self._reading = None
            self._read = message
            self.draw()

    # -- keys

    def choose(self) -> None:
        group = self.group
        if group is not None:
            self.cockpit.pages.select(group.trials)


def _key(group: Group) -> int:
    return group.trials[0].number


def _attempt(trial: Trial, files: Files) -> tuple[Stage, int]:
    """The one that failed."""
    added = [path for path in files.trial_dir(trial.number).glob("*.log") if _job_of(path)[0] not in BUILT_IN_STAGES]
    if added:  # the recipe has stages of its own: what was begun last has failed
        return _job_of(max(files.trial_dir(trial.number).glob("*.log"), key=lambda path: path.stat().st_mtime))
    if trial.eval_attempt and not trial.reason.startswith("train"):
        return Stage.EVAL, trial.eval_attempt
    return Stage.TRAIN, max(1, trial.attempt)


def _job_of(log: Path) -> tuple[Stage, int]:
    stage, _, attempt = log.stem.partition(".")
    return Stage(stage), int(attempt)


def _cut(text: str, width: int) -> str:
    """Trial numbers, as many as there is room for."""
    return text if len(text) <= width else text[: width - 1].rpartition(" ")[0] + " …"
