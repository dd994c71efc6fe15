"""What the screens beside the main one have in common: a title, a page of lines, and their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import on
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app import wording
from sweeptui.app.actions import ACTIONS, Action
from sweeptui.app.columns import BOLD, QUIET, Piece, fit
from sweeptui.app.panels import KeyBar, Part, arrange
from sweeptui.app.screens.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from sweeptui.app.cockpit import Cockpit
    from sweeptui.app.moves import Move
    from sweeptui.app.screens.lines import Line
    from sweeptui.app.snapshot import Snapshot

EVERYWHERE = ("up", "down", "page_up", "page_down", "home", "end", "help")
"""What the keys of the main screen mean on every page, too."""
NARROW, WIDE = 100, 120
"""Columns: below the first there are rules instead of frames, from the second on two columns of sections."""
ROOMY = (150, 40)
"""From so many columns and lines on, a list has beside it what its cursor is on."""
LIST_SHARE = 0.58
"""Of the columns, for the list then."""
SHORT = 30
"""Lines: below these there are no frames, either."""
PAGE = "page"
"""The pane of the actions that every page has."""


def actions_of(page: str, shared: Sequence[str] = ()) -> tuple[Action, ...]:
    """The actions of a page: its own, those of every page, and some of the main screen's, by their ids."""
    return tuple(
        action
        for action in ACTIONS
        if action.pane in (page, PAGE) or (not action.pane and action.id in (*shared, *EVERYWHERE))
    )


def bindings_of(actions: Sequence[Action]) -> list[BindingType]:
    keys = [
        Binding(",".join(each.keys), f"app.act('{each.id}')", each.help, id=each.id, show=False) for each in actions
    ]
    return [*keys, Binding("ctrl+c,ctrl+q", "app.act('quit')", show=False)]


class Title(Widget):
    """Which page this is, of which sweep, and in a second line what matters about it."""

    def __init__(self) -> None:
        super().__init__(id="page-title")
        self._parts: Sequence[Part] = ()
        self._second: Sequence[Part] = ()

    def show(self, parts: Sequence[Part], second: Sequence[Part]) -> None:
        self._parts, self._second = parts, second
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width - 2
        pieces = arrange((self._parts, self._second)[min(y, 1)], width)
        return Strip([Segment(" "), *fit(pieces, width), Segment(" ")]).apply_style(self.rich_style)


class Page(ModalScreen[None], inherit_bindings=False):
    """A full screen of lines. The keys of what is below it do not reach through.

    `show` is called with each new snapshot; nothing else changes what is shown.
    """

    CSS_PATH = "pages.tcss"
    NAME: ClassVar[str]
    """The pane of its own actions."""
    KEYS: ClassVar[tuple[Action, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.title_bar = Title()
        self.sheet = Sheet(id="sheet")
        self.keys = KeyBar(self.KEYS, ("page_back", "help"), id="keys")
        self.shown: Snapshot | None = None

    @property
    def cockpit(self) -> Cockpit:
        return self.app  # type: ignore[return-value]

    def compose(self) -> ComposeResult:
        yield self.title_bar
        yield self.sheet
        yield self.keys

    def on_mount(self) -> None:
        self.keys.read_only = self.cockpit.keys.read_only
        self.sheet.focus()
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self.draw)

    def _tick(self) -> None:
        """A second has passed: what runs has run longer."""
        if self.shown is not None and self.shown.active:
            self.draw()

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    def show(self, snapshot: Snapshot) -> None:
        self.shown = snapshot
        self.draw()

    @on(Sheet.Pointed)
    def _pointed(self, message: Sheet.Pointed) -> None:
        if message.chosen:
            self.choose()
        else:
            self.draw()

    def draw(self) -> None:
        """Lay all out anew."""
        snapshot = self.shown
        if snapshot is None or not self.is_attached or not self.sheet.room:
            return
        name: Part = (3, [(snapshot.name, QUIET)])
        title = [name, (0, self.heading(snapshot)), *self.state_parts(snapshot)]
        self.title_bar.show(title, self.second_line(snapshot))
        self.sheet.show(self.lines(snapshot, self.sheet.room), self.empty(snapshot))
        self.keys.show(snapshot, self.cockpit.selected)

    @property
    def ruled(self) -> bool:
        """There is no room for frames."""
        return self.size.width < NARROW or self.size.height < SHORT

    @property
    def wide(self) -> bool:
        return self.size.width >= WIDE

    @property
    def roomy(self) -> bool:
        """Beside a list there is room for what its cursor is on."""
        return self.size.width >= ROOMY[0] and self.size.height >= ROOMY[1]

    # -- what a page says

    def heading(self, snapshot: Snapshot) -> list[Piece]:  # noqa: ARG002
        return [(self.NAME, BOLD)]

    def state_parts(self, snapshot: Snapshot) -> list[Part]:
        """Beside the heading."""
        state = wording.sweep_state(snapshot.label)
        return [(1, [(str(state), QUIET)])]

    def second_line(self, snapshot: Snapshot) -> list[Part]:  # noqa: ARG002
        return []

    def plotted(self, snapshot: Snapshot) -> frozenset[int]:  # noqa: ARG002
        """The trials whose learning curves it shows."""
        return frozenset()

    def lines(self, snapshot: Snapshot, width: int) -> list[Line]:
        raise NotImplementedError

    def empty(self, snapshot: Snapshot) -> str:  # noqa: ARG002
        """Said where there are no lines."""
        return ""

    # -- keys

    def move(self, move: Move) -> None:
        self.sheet.move(move)

    def choose(self) -> None:
        """A line was clicked twice, or Enter was pressed on it."""
