"""The log pane of the cockpit: which log it shows, and what its keys do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Vertical
from textual.widgets import Input

from sweeptui.app import theme
from sweeptui.app.actions import BY_ID
from sweeptui.app.keymap import keymap_of
from sweeptui.app.log.bar import LogBar
from sweeptui.app.log.line import FILTER, SEARCH, LogLine
from sweeptui.app.log.view import LogView
from sweeptui.app.messages import PageRead
from sweeptui.core.ansi import sanitize
from sweeptui.core.trial import Job, Stage, trial_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.widget import Widget

    from sweeptui.app.cockpit import Cockpit
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.files import Files
    from sweeptui.core.trial import Trial

HINTS = (("log_search", "search"), ("log_filter", "filter"), ("log_wrap", "wrap"), ("log_copy", "copy"))


class LogPane(Vertical):
    """The log of the selected trial: of the stage and the attempt that were asked for, else the newest."""

    def __init__(self, first: Widget, files: Files, *, id: str | None = None) -> None:  # noqa: A002
        """`first` stands above the log."""
        super().__init__(id=id)
        self._first = first
        self._files = files
        self._trial: Trial | None = None
        self._jobs: Sequence[Job] = ()
        self._stage: Stage | None = None
        self._attempt: int | None = None
        self._later = False
        self._titled: tuple[str, list[str]] | None = None
        """What its border says."""
        self.view: LogView = LogView(id="log")
        self.bar = LogBar(id="log-bar")
        self.line = LogLine(self.view, id="log-line")

    @property
    def cockpit(self) -> Cockpit:
        return self.app  # type: ignore[return-value]

    def compose(self) -> ComposeResult:
        yield self._first
        yield self.view
        yield self.bar
        yield self.line

    # -- what is shown

    def show(self, snapshot: Snapshot, trial: Trial | None) -> None:
        if trial is None or self._trial is None or trial.number != self._trial.number:
            self._stage = self._attempt = None
        self._trial = trial
        self._jobs = () if trial is None else _jobs(snapshot, trial)
        job = self.job
        # Nothing says how long a log was at a moment of the past.
        self._later = snapshot.past is not None and job is not None and job.outcome is None
        path = None if job is None else self._files.log(job)
        if path != self.view.page.path:
            self.view.open(path, "")
        if trial is None:
            self.view.offer("the log of the selected trial will be here")
        elif job is None:
            read = snapshot.focus is not None and snapshot.focus.trial == trial.number
            self.view.offer(f"{trial.id} has not been started yet" if read else f"reading the log of {trial.id}")
        else:
            self.view.offer("nothing was printed yet" if job.outcome is None else "nothing was printed")
        self._title()

    @property
    def job(self) -> Job | None:
        """The one whose log is shown."""
        jobs = [job for job in self._jobs if self._stage in (None, job.stage)]
        pinned = [job for job in jobs if job.attempt == self._attempt]
        return next(reversed(pinned or jobs), None)

    def _title(self) -> None:
        title = "Log" if self._trial is None else f"Log {self._trial.id}"
        if (job := self.job) is not None:
            title += f" {job.stage}"
            if (newest := self._attempts()[-1]) > 1:
                title += f", attempt {job.attempt}" + (f" of {newest}" if job.attempt < newest else "")
            if self._later:
                title += ", with what was printed later"
        keymap = keymap_of(self.app)
        hints = [f"{keymap.first(BY_ID[id_])} {label}" for id_, label in HINTS] if self.view.has_focus else []
        if (title, hints) != self._titled:  # to set one paints the whole pane
            self._titled = title, hints
            self.border_title = title
            self.border_subtitle = Text("  ".join(hints), style=theme.QUIET)

    def on_page_read(self, message: PageRead) -> None:
        message.stop()
        new = bool(self.view.page.lines) or self.cockpit.lull.passing
        if new and self.cockpit.table.has_focus:  # new in a log that is looked at meanwhile, or in one that keys pass
            self.cockpit.lull.do("log", lambda: self._turn(message))
        else:
            self._turn(message)

    def _turn(self, message: PageRead) -> None:
        """Show the newest: until now it may have been renewed."""
        self.view.turn(message.page)
        self._show_bar()

    def _show_bar(self) -> None:
        self.bar.show(self.view.page, self.line.said, writing=self.line.display)

    def on_input_changed(self, message: Input.Changed) -> None:
        message.stop()
        self._show_bar()

    def on_descendant_focus(self) -> None:
        self._title()
        self._show_bar()

    def on_descendant_blur(self) -> None:
        self._title()
        self._show_bar()

    # -- which log

    def switch_stage(self) -> None:
        """To the log of the trial's next stage, and after the last one to that of the first."""
        job, stages = self.job, list(dict.fromkeys(job.stage for job in self._jobs))
        if job is None:
            return
        self._stage = stages[(stages.index(job.stage) + 1) % len(stages)]
        self._attempt = None
        self._reopen()

    def switch_attempt(self, by: int) -> None:
        """To the log of the attempt before, or after, and round."""
        job, attempts = self.job, self._attempts()
        if job is None or self._trial is None:
            return
        if len(attempts) < 2:
            self.app.notify(f"{self._trial.id} has had one {job.stage} attempt so far", severity="warning")
            return
        attempt = attempts[(attempts.index(job.attempt) + by) % len(attempts)]
        self._stage = job.stage
        self._attempt = None if attempt == attempts[-1] else attempt  # the newest may be followed by another one
        self._reopen()

    def _attempts(self) -> list[int]:
        """Of the stage that is shown."""
        job = self.job
        return [] if job is None else sorted({other.attempt for other in self._jobs if other.stage is job.stage})

    def _reopen(self) -> None:
        if self.cockpit.snapshot is not None:
            self.show(self.cockpit.snapshot, self._trial)

    # -- searching and filtering

    def search(self) -> None:
        self._open(SEARCH, "")

    def filter(self) -> None:
        self._open(FILTER, self.view.page.filter)

    def _open(self, sign: str, text: str) -> None:
        self.line.open(sign, text)
        self._show_bar()

    def find(self, *, forward: bool) -> None:
        if self.view.page.search is None:
            key = keymap_of(self.app).first(BY_ID["log_search"])
            self.app.notify(f"nothing is searched for: {key} begins", severity="warning", markup=False)
        else:
            self.view.reader.find(forward=forward)

    def leave(self) -> None:
        """End what is being searched for, else the search, else the filter; else go to the table."""
        page, reader = self.view.page, self.view.reader
        if page.search is not None and page.search.searching is not None:
            reader.stop()
        elif page.search is not None:
            reader.search(None)
        elif page.filter:
            reader.filter(None)
        else:
            self.cockpit.plotting.leave()

    # -- copying

    def copy(self, *, line: bool = False) -> None:
        """The lines on screen, or the one that the search has come to, without colours."""
        page, job = self.view.page, self.job
        lines = page.lines
        if line:
            lines = () if page.current is None else (lines[page.current],)
        if not lines or job is None:
            said = "the search has come to no line: / begins" if line else "there is no line to copy"
            self.app.notify(said, severity="warning", markup=False)
            return
        text = "".join(f"{sanitize(each, colour=False)}\n" for each in lines)
        what = "the line" if line else f"{len(lines)} lines" if len(lines) > 1 else "1 line"
        self.app.copy_to_clipboard(text)
        if self.cockpit.read_only:
            self.app.notify(f"{what} copied", markup=False)
            return
        from sweeptui.app.screens.copy import FOLDER  # noqa: PLC0415

        path = self.cockpit.folder / FOLDER / f"{trial_id(job.trial)}.{job.stage}.{job.attempt}.log.txt"
        self.cockpit.pages.write(path, text, f"{what} copied; where the terminal has no clipboard, take it from ")


def _jobs(snapshot: Snapshot, trial: Trial) -> Sequence[Job]:
    focus = snapshot.focus
    if focus is not None and focus.trial == trial.number:
        return focus.jobs
    running = snapshot.running.get(trial.number)
    return () if running is None else (running,)
