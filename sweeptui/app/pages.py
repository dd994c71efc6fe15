"""The screens beside the main one: which is open, and what their keys do.

Each is imported where it is opened: the first frame does not wait for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sweeptui.app import wording
from sweeptui.app.dialogs import Ask, Choice
from sweeptui.app.messages import Told
from sweeptui.app.moves import Move
from sweeptui.app.outlook import Outlooks
from sweeptui.app.screens.page import Page
from sweeptui.app.table import Follow
from sweeptui.core.files import Files

if TYPE_CHECKING:
    from sweeptui.app.cockpit import Cockpit
    from sweeptui.app.screens.edit import Edited
    from sweeptui.app.screens.usage import Sampler
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

P = TypeVar("P", bound=Page)


class Pages:
    """One for each cockpit."""

    def __init__(self, app: Cockpit, folder: Path) -> None:
        self._app = app
        self._folder = folder
        self._files = Files(folder)
        self.outlook = Outlooks(folder, app.post_message)
        self._left: tuple[int | None, Follow] = (None, Follow.OFF)
        """The trial that the table was on when a page was opened, and what it followed."""

    @cached_property
    def _sampler(self) -> Sampler:
        from sweeptui.app.screens.usage import Sampler  # noqa: PLC0415

        return Sampler(self._folder)

    def show(self, snapshot: Snapshot) -> None:
        """Bring those that are open up to date."""
        for page in self._open:
            page.show(snapshot)

    def plotted(self, snapshot: Snapshot) -> frozenset[int]:
        """The trials whose learning curves the open pages show."""
        return frozenset(number for page in self._open for number in page.plotted(snapshot))

    @property
    def _open(self) -> list[Page]:
        return [screen for screen in self._app.screen_stack if isinstance(screen, Page)]

    def _top(self, kind: type[P]) -> P | None:
        """The page of this kind that is seen. A key of its may have been chosen elsewhere, where it means nothing."""
        page = self._app.screen
        if isinstance(page, kind):
            return page
        name = kind.__name__.removesuffix("Page").lower()
        self._app.notify(f"that is a key of the {name} page", severity="warning")
        return None

    @property
    def trial(self) -> Trial | None:
        """The one trial that a page is about, None where there is no such page."""
        if not (pages := self._open):
            return None
        from sweeptui.app.screens.trial import TrialPage  # noqa: PLC0415

        return next((page.trial for page in reversed(pages) if isinstance(page, TrialPage)), None)

    def _push(self, page: Page) -> None:
        """Open it."""
        self._app.push_screen(page)
        if self._app.snapshot is not None:
            page.show(self._app.snapshot)
            self._app.lay_out()  # now its curves are wanted

    # -- what the keys do

    def move(self, move: Move) -> bool:
        """Move about on the page that is seen; False where there is none."""
        page = self._app.screen
        if isinstance(page, Page):
            page.move(move)
        return isinstance(page, Page)

    def open_trial(self, number: int | None = None) -> None:
        """Show everything about a trial, the selected one where none is named."""
        from sweeptui.app.screens.trial import TrialPage  # noqa: PLC0415

        table = self._app.table
        number = table.cursor if number is None else number
        if number is None:
            return
        self._left = (table.cursor, table.following)
        table.select(number)  # a page stays on its trial, whatever comes
        self._push(TrialPage(self._sampler, self._files))

    def step(self, move: Move) -> None:
        """Show the trial before or after this one, as the table has them."""
        from sweeptui.app.screens.trial import TrialPage  # noqa: PLC0415

        if self._top(TrialPage) is not None:
            self._app.table.move(move)

    def open_log(self) -> None:
        """Back to the log of this trial."""
        from sweeptui.app.screens.trial import TrialPage  # noqa: PLC0415

        if self._top(TrialPage) is not None:
            self.back()
            self._app.plotting.give_way()
            self._app.log_view.focus()

    def compare(self) -> None:
        """Compare the marked trials; where only one is meant, with the best one, or the best one with the next."""
        from sweeptui.app.screens.compare import FEWEST, MOST, ComparePage  # noqa: PLC0415

        app = self._app
        numbers = sorted(app.table.marked) or [trial.number for trial in app.targets()]
        snapshot = app.snapshot
        if len(numbers) == 1 and snapshot is not None:
            others = [trial for trial in (snapshot.best, snapshot.runner_up) if trial is not None]
            numbers += [trial.number for trial in others if trial.number not in numbers][:1]
        if len(numbers) > MOST:
            app.notify(f"{len(numbers)} trials are marked: {FEWEST} to {MOST} can be compared", severity="warning")
        elif len(numbers) < FEWEST:
            app.notify("there is nothing to compare it with: mark a second trial with space", severity="warning")
        else:
            self._push(ComparePage(numbers))

    def slots(self) -> None:
        from sweeptui.app.screens.slots import SlotsPage  # noqa: PLC0415

        self._push(SlotsPage(self._sampler, self._folder))

    def failures(self) -> None:
        from sweeptui.app.screens.failures import FailuresPage  # noqa: PLC0415

        self._push(FailuresPage(self._files))

    def optimizer(self) -> None:
        from sweeptui.app.screens.optimizer import OptimizerPage  # noqa: PLC0415

        self._push(OptimizerPage(self.outlook))

    def next_metric(self) -> None:
        """Show what is known of the next metric, on the optimizer page or in the plots."""
        app = self._app
        if app.snapshot is not None:
            self.outlook.next_metric(app.snapshot)
            app.lay_out()

    def copy(self) -> None:
        """The best configuration, or the selected trial's; on the page of a trial that one first."""
        from sweeptui.app.screens.copy import CopyMenu, Subject  # noqa: PLC0415
        from sweeptui.core.analysis.best import BEST  # noqa: PLC0415

        app, snapshot = self._app, self._app.snapshot
        if snapshot is None:
            return
        best = snapshot.best
        subjects = [] if best is None else [Subject(best, BEST)]
        if app.selected is not None and app.selected is not best:
            subjects.append(Subject(app.selected, app.selected.id))
        if self.trial is not None:
            subjects.reverse()
        if subjects:
            app.push_screen(CopyMenu(self._folder, tuple(subjects)))

    def choose(self) -> None:
        if (page := self._top(Page)) is not None:
            page.choose()

    def back(self) -> None:
        """Close the page; the table goes on following where it was when a trial's was opened, and it is on it still."""
        from sweeptui.app.screens.trial import TrialPage  # noqa: PLC0415

        if (page := self._top(Page)) is None:
            return
        page.dismiss(None)
        table = self._app.table
        number, following = self._left
        if isinstance(page, TrialPage) and table.cursor == number:
            table.follow(following)

    def requeue_group(self) -> None:
        """Try all trials of the group again that the cursor is on, once that was confirmed."""
        from sweeptui.app.screens.failures import FailuresPage  # noqa: PLC0415

        page = self._top(FailuresPage)
        group = None if page is None else page.group
        if page is None or group is None:
            return
        numbers = [trial.number for trial in group.trials]
        count = f"{len(numbers)} trials" if len(numbers) > 1 else group.trials[0].id
        error = wording.line(group.error)
        question = f"Try {count} again? {'They' if len(numbers) > 1 else 'It'} failed with: {error}"

        def answered(choice: str | None) -> None:
            if choice == "yes":
                self._app.command("requeue", trials=numbers)

        self._app.push_screen(Ask(question, _REQUEUE, "no"), answered)

    def edit_group(self) -> None:
        """Try all trials of the group with the same change to each, as new ones."""
        from sweeptui.app.screens.edit import Edit, Source  # noqa: PLC0415
        from sweeptui.app.screens.failures import FailuresPage  # noqa: PLC0415
        from sweeptui.core.space import Space  # noqa: PLC0415

        page, snapshot = self._top(FailuresPage), self._app.snapshot
        if page is None or page.group is None or snapshot is None:
            return
        trials = page.group.trials
        newest = trials[-1]

        def answered(edited: Edited | None) -> None:
            if edited is not None:
                self._app.command("requeue", trials=[trial.number for trial in trials], params=dict(edited.changed))

        if len(trials) == 1:
            self._app.push_screen(Edit.of_trial(snapshot, newest), answered)
            return
        form = Edit(
            f"Try {len(trials)} trials with other parameters",
            f"What is changed here is changed in each; else they stay as they are. Shown: {newest.id}.",
            Space.from_parameters(snapshot.parameters),
            [Source(newest.number, "", newest.id, newest.params)],
            unchanged="nothing is changed; change a parameter, or leave this and try them again as they are",
        )
        self._app.push_screen(form, answered)

    def select(self, trials: Sequence[Trial]) -> None:
        """Back to the table, with these trials marked and the cursor on the newest of them."""
        self.back()
        self._app.table.mark(trial.number for trial in trials)
        self._app.table.select(trials[-1].number)

    # -- files

    def write(self, path: Path, text: str, said: str) -> None:
        """Write a file on a thread, and say what became of it; `said` goes before its path."""
        from sweeptui.app.screens.copy import write_private  # noqa: PLC0415

        def do() -> None:
            try:
                write_private(path, text)
            except OSError as error:
                self._app.post_message(Told(f"{path} cannot be written: {error.strerror}", warning=True))
            else:
                self._app.post_message(Told(f"{said}{_short(path)}"))

        self._app.run_worker(do, thread=True, group="copy", exit_on_error=False)


def _short(path: Path) -> str:
    """Relative to where the user is, where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


_REQUEUE = (Choice("yes", "Yes, try again", "y"), Choice("no", "No", "n"))
