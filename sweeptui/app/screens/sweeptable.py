"""The table of all sweeps: what it shows of each, in which order."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sweeptui.app import theme, wording
from sweeptui.app.columns import BEST, BOLD, GAP, HEADER, PLAIN, QUIET, Piece, fit, progress_bar
from sweeptui.app.inventory import EXPERIMENT, LOCKED, STAGE, UNREADABLE, Entry
from sweeptui.app.moves import Move
from sweeptui.app.nesting import below, experiment_around, path_to
from sweeptui.app.wording import State

if TYPE_CHECKING:
    from textual.events import Click, MouseScrollDown, MouseScrollUp

_STATES = {
    UNREADABLE: State("✗", UNREADABLE, theme.VERMILLION),
    LOCKED: State("‖", LOCKED, theme.YELLOW),
}
_BAR = 10
_CURSOR = Style(bgcolor=theme.CURSOR)
_CURSOR_AWAY = Style(bgcolor=theme.CURSOR_AWAY)


def shown_path(path: Path | str) -> str:
    """A path as one writes it: from the home folder on where it is in there."""
    home, text = f"{Path.home()}/", str(path)
    return wording.line(f"~/{text.removeprefix(home)}" if text.startswith(home) else text)


def state_of(entry: Entry) -> State:
    return _STATES.get(entry.label) or wording.sweep_state(entry.label)


def holder_of(entry: Entry) -> str:
    """Who runs it, with the machine where it is another one."""
    holder = entry.holder
    if holder is None:
        return ""
    where = "" if holder.host == socket.gethostname() else f" on {holder.host}"
    return wording.line(f"{holder.label} {holder.pid}{where}")


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    cell: Callable[[Entry, float], list[Piece]]
    """What is shown at a time, in epoch seconds."""
    least: int
    most: int
    right: bool = False
    from_width: int = 0
    """In narrower tables it is left out; 0 for what always stands there, even if there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Order:
    """A way to sort."""

    title: str
    """Of the column that it goes by."""
    key: Callable[[Entry], tuple[object, ...]]


def _name(entry: Entry, _now: float) -> list[Piece]:
    name = wording.line(entry.title if entry.depth else entry.name)
    inside: list[Piece] = [("  " * (entry.depth - 1), PLAIN)] if entry.depth > 1 else []
    if entry.kind == STAGE:
        return [*inside, (name, QUIET)]
    return [*inside, *([("▸ ", theme.style(theme.SKY))] if entry.kind == EXPERIMENT else []), (name, BOLD)]


def _state(entry: Entry, _now: float) -> list[Piece]:
    state = state_of(entry)
    return [(str(state), theme.style(state.colour))]


def _without_trials(entry: Entry) -> bool:
    return entry.created_at is None or (entry.kind == STAGE and not entry.max_trials)


def _done(entry: Entry, _now: float) -> list[Piece]:
    return [] if _without_trials(entry) else [(f"{entry.done}/{entry.max_trials}", PLAIN)]


def _bar(entry: Entry, _now: float) -> list[Piece]:
    if _without_trials(entry):
        return []
    share = entry.done / entry.max_trials if entry.max_trials else 0.0
    return progress_bar(share, _BAR, theme.SKY if entry.lives else theme.QUIET)


def _failed(entry: Entry, _now: float) -> list[Piece]:
    return [(f"✗ {entry.failed}", theme.style(theme.VERMILLION))] if entry.failed else []


def _best(entry: Entry, _now: float) -> list[Piece]:
    if entry.best is None or entry.best.score is None:
        return [] if entry.kind == STAGE and not entry.max_trials else [(wording.UNKNOWN, QUIET)]
    return [(wording.even(entry.best.score), BEST), (f" #{entry.best.number}", QUIET)]


def _age(entry: Entry, now: float) -> list[Piece]:
    return [] if entry.created_at is None else [(wording.duration(float(int(now - entry.created_at))), QUIET)]


def _recipe(entry: Entry, _now: float) -> list[Piece]:
    return [(wording.line(entry.recipe), QUIET)] if entry.recipe else []


def _run_by(entry: Entry, _now: float) -> list[Piece]:
    return [(holder_of(entry), QUIET)] if entry.holder is not None else []


COLUMNS = (
    Column("sweep", _name, 12, 40),
    Column("state", _state, 11, 13),
    Column("", _bar, _BAR, _BAR, from_width=90),
    Column("trials", _done, 6, 11, right=True),
    Column("failed", _failed, 6, 7, right=True, from_width=60),
    Column("best", _best, 10, 18, right=True),
    Column("age", _age, 5, 7, right=True),
    Column("recipe", _recipe, 6, 30, from_width=80),
    Column("run by", _run_by, 6, 40, from_width=100),
)

_RANK = ("running", "stopping", "paused", "detached", "locked", "interrupted", "broken", "unreadable", "created")


def _by_score(entry: Entry) -> tuple[object, ...]:
    if entry.best is None or entry.best.score is None:
        return (math.inf,)
    return (-entry.best.score if entry.goal == "maximize" else entry.best.score,)


ORDERS = (
    Order("age", lambda entry: (entry.created_at is None, -(entry.created_at or 0.0))),
    Order("state", lambda entry: (_RANK.index(entry.label) if entry.label in _RANK else len(_RANK),)),
    Order("sweep", lambda entry: (entry.name,)),
    Order("trials", lambda entry: (-entry.done,)),
    Order("best", _by_score),
)
"""Each begins with what one looks for first: the newest, the running, the best."""


def matches(entry: Entry, words: Sequence[str]) -> bool:
    """Whether the sweep has every word, in its name, state, recipe or metric, and none that begins with a dash."""
    text = entry.text
    return all((word[1:] not in text) if len(word) > 1 and word[0] == "-" else word in text for word in words)


class SweepTable(ScrollView, can_focus=True, inherit_bindings=False):
    """The cursor stays on its sweep, however the others come, go and are sorted."""

    class Looked(Message):
        """Another sweep is selected, or others are shown."""

    class Opened(Message):
        """A sweep was clicked twice."""

    def __init__(self, *, clock: Callable[[], float] = time.time, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._all: tuple[Entry, ...] = ()
        self.entries: tuple[Entry, ...] = ()
        """Those that are shown, as they are shown."""
        self.words: tuple[str, ...] = ()
        self.order, self.reverse = ORDERS[0], False
        self.at = ""
        """The name of the experiment whose inside is shown; "" for all sweeps and the outermost experiments."""
        self.cursor: str | None = None
        """The name of the selected sweep."""
        self._columns: list[Column] = []
        self._widths: list[int] = []

    @property
    def selected(self) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == self.cursor), None)

    def show(self, entries: tuple[Entry, ...]) -> None:
        self._all = entries
        self._arrange()

    def search(self, text: str) -> None:
        """Show only the sweeps that have all words of `text`."""
        self.words = tuple(text.lower().split())
        self._arrange()

    def sort(self) -> None:
        """By the next column."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self.reverse = False
        self._arrange()

    def turn(self) -> None:
        """The other way round."""
        self.reverse = not self.reverse
        self._arrange()

    def _arrange(self) -> None:
        at = self._index
        if self.at and all(entry.name != self.at for entry in self._all):
            self.at = ""
        self.entries = tuple(self._flat() if self.words else self._tree())
        if self.selected is None:
            self.cursor = self.entries[min(at, len(self.entries) - 1)].name if self.entries else None
        self._lay_out()
        self.refresh()
        self.post_message(self.Looked())

    def _tree(self) -> list[Entry]:
        """What is at this place, one under the other, and inside of an experiment all that is in there."""
        inside: dict[str, list[Entry]] = {}
        for entry in self._all:
            inside.setdefault(entry.parent, []).append(entry)
        found: list[Entry] = []

        def descend(name: str, depth: int) -> None:
            for entry in self._ordered(inside.get(name, ())):
                found.append(replace(entry, depth=depth))
                if self.at:
                    descend(entry.name, depth + 1)

        descend(self.at, 1 if self.at else 0)
        return found

    def _flat(self) -> list[Entry]:
        """What has all words, here or further inside, but stages, which have no names of their own."""
        places = below(self.at, self._all)
        return self._ordered([each for each in places if each.kind != STAGE and matches(each, self.words)])

    def _ordered(self, entries: Iterable[Entry]) -> list[Entry]:
        by_name = sorted(entries, key=lambda entry: entry.name)
        ordered = sorted(by_name, key=self.order.key, reverse=self.reverse)
        return sorted(ordered, key=lambda entry: (entry.kind != STAGE, entry.index))

    def enter(self, name: str) -> None:
        """Show what is inside of an experiment."""
        self.at, self.cursor = name, None
        self._arrange()

    def leave(self) -> None:
        """Back to what is around it, with the cursor where one came from."""
        left = self.at
        around = path_to(left, self._all)[:-1]
        self.at, self.cursor = around[-1].name if around else "", left
        self._arrange()

    @property
    def around(self) -> list[Entry]:
        """The experiments from the outermost one to where this is."""
        return path_to(self.at, self._all)

    def inside(self, name: str) -> list[Entry]:
        """All that is inside of an entry, shown or not."""
        return below(name, self._all)

    def experiment_of(self, entry: Entry) -> Entry:
        """The entry itself, or of a stage its experiment."""
        return experiment_around(entry, self._all)

    @property
    def _index(self) -> int:
        return next((index for index, entry in enumerate(self.entries) if entry.name == self.cursor), 0)

    def _lay_out(self) -> None:
        width, now = self.size.width, self._clock()
        self._columns = [
            column
            for column in COLUMNS
            if not column.from_width
            or (width >= column.from_width and any(column.cell(entry, now) for entry in self.entries))
        ]
        self._widths = []
        for column in self._columns:
            needed = max(
                (sum(cell_len(text) for text, _ in column.cell(entry, now)) for entry in self.entries), default=0
            )
            title = cell_len(column.title) + (column.title == self.order.title)
            self._widths.append(min(column.most, max(column.least, title, needed)))
        # The name is what gives way: it is what one knows already.
        spare = width - sum(self._widths) - GAP * (len(self._widths) - 1)
        if self._widths and spare < 0:
            self._widths[0] = max(8, self._widths[0] + spare)
        self.virtual_size = Size(width, len(self.entries) + 1)
        self._reveal()

    # -- the lines

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._header().extend_cell_length(width).crop(0, width).apply_style(self.rich_style)
        index = int(self.scroll_y) + y - 1
        if index >= len(self.entries):
            if not self.entries and self._all and y == 2:
                line = Strip([Segment("no sweep has all of these words", QUIET)])
                return line.extend_cell_length(width).apply_style(self.rich_style)
            return Strip.blank(width, self.rich_style)
        entry, now = self.entries[index], self._clock()
        cells = [column.cell(entry, now) for column in self._columns]
        strip = self._strip(cells).extend_cell_length(width).crop(0, width)
        if entry.name == self.cursor:
            strip = strip.apply_style(_CURSOR if self.has_focus else _CURSOR_AWAY)
        return strip.apply_style(self.rich_style).apply_meta({"sweep": entry.name})

    def _header(self) -> Strip:
        cells: list[list[Piece]] = []
        for column in self._columns:
            sorted_by = column.title == self.order.title
            arrow = ("↑" if self.reverse else "↓") if sorted_by else ""
            cells.append([(column.title + arrow, theme.style(theme.SKY, bold=True) if sorted_by else HEADER)])
        return self._strip(cells)

    def _strip(self, cells: list[list[Piece]]) -> Strip:
        segments: list[Segment] = []
        for column, width, cell in zip(self._columns, self._widths, cells, strict=True):
            segments += fit(cell, width, right=column.right)
            segments.append(Segment(" " * GAP))
        return Strip(segments)

    # -- the cursor

    def select(self, name: str) -> None:
        self.cursor = name
        self._reveal()
        self.refresh()
        self.post_message(self.Looked())

    def move(self, move: Move) -> None:
        if not self.entries:
            return
        page = max(1, self.size.height - 2)
        step = {Move.UP: -1, Move.DOWN: 1, Move.PAGE_UP: -page, Move.PAGE_DOWN: page}.get(move, 0)
        index = self._index + step
        if move in (Move.HOME, Move.END):
            index = 0 if move is Move.HOME else len(self.entries) - 1
        self.select(self.entries[max(0, min(index, len(self.entries) - 1))].name)

    def _reveal(self) -> None:
        index, rows, top = self._index, self.size.height - 1, int(self.scroll_y)
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif rows > 0 and index >= top + rows:
            self.scroll_to(y=index - rows + 1, animate=False)

    def on_resize(self) -> None:
        self._lay_out()

    def on_click(self, event: Click) -> None:
        name = event.style.meta.get("sweep")
        if name is not None:
            self.select(name)
            if event.chain == 2:
                self.post_message(self.Opened())

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.prevent_default()
        self.scroll_relative(y=3, animate=False)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.prevent_default()
        self.scroll_relative(y=-3, animate=False)
