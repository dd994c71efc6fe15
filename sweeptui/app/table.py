"""The trial table: only the rows on screen are ever formatted, and each only when its trial has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sweeptui.app import theme
from sweeptui.app.actions import ACTIONS
from sweeptui.app.arrange import MANY, Arrangement, Marks
from sweeptui.app.columns import HEADER, PLAIN, QUIET, SORTED, Columns, Row, fit
from sweeptui.app.fields import Field, Fields
from sweeptui.app.layout import Seen
from sweeptui.app.moves import Move
from sweeptui.app.query import QueryError, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.events import Click, MouseScrollDown, MouseScrollUp

    from sweeptui.app.snapshot import Curve, Snapshot
    from sweeptui.core.trial import Trial

_NO_CURVE: Curve = ()
_CURSOR = Style(bgcolor=theme.CURSOR)
_CURSOR_AWAY = Style(bgcolor=theme.CURSOR_AWAY)
_MARKED = Segment("●", theme.style(theme.ORANGE, bold=True))
_UNMARKED = Segment(" ")
GUTTER = 1
"""For the mark, left of the columns."""
MAX_CACHED = 2000


class Follow(Enum):
    """Where the cursor goes by itself."""

    OFF = ""
    NEWEST = "newest"
    BEST = "best"


@dataclass(frozen=True, slots=True)
class _Key:
    """Two rows with the same key look the same. Trials and curves are immutable, so that identity will do."""

    trial: int
    curve: int
    job: int
    best: bool
    second: int
    """0 for a trial that is over: it does not change with time."""


class TrialTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows the trials of a snapshot, those that meet the filter, in the order that was asked for.

    The cursor stays on its trial, whatever rows come and go; `cursor` is a trial's number.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"app.act('{action.id}')", action.help, id=action.id, show=False)
        for action in ACTIONS
        if action.pane == "table"
    ]

    cursor: reactive[int | None] = reactive(None)
    offered: reactive[Sequence[str]] = reactive(("no trial yet",), layout=False)
    """What is shown while there is no trial."""

    class Looked(Message):
        """Other rows are on screen, or another one is selected, or others are marked."""

    def __init__(self, *, clock: Callable[[], float] = time.time, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self.fields = Fields(())
        self._fields_key: tuple[object, ...] = ()
        self.shown = Arrangement(self.fields.find("#"))
        self.query_text: str = ""
        """The filter, as it was typed."""
        self._marks = Marks()
        self._seen = Seen()
        self._columns: Columns | None = None
        self._left = 0
        """So many columns are scrolled away to the left."""
        self._cache: dict[int, tuple[_Key, Row, Strip]] = {}
        self._chosen: int | None = None
        """The trial that the cursor goes back to when it is shown again."""
        self.following = Follow.NEWEST

    # -- what is shown

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._learn_fields(snapshot)
        news = self.shown.take(snapshot)
        self._seen.look(snapshot, news)
        self._place_cursor()
        self._lay_out()
        self.refresh()

    def tick(self) -> None:
        """A second has passed."""
        if self._snapshot is not None and self._snapshot.active:
            self.refresh()

    def on_screen(self) -> frozenset[int]:
        """The numbers of the trials that can be seen."""
        return frozenset(row.trial.number for row in self._visible())

    @property
    def _view(self) -> Size:
        """What is left beside the scrollbar; one line of it is the header."""
        return self.scrollable_content_region.size

    @property
    def _room(self) -> int:
        return self._view.width - GUTTER

    def _learn_fields(self, snapshot: Snapshot) -> None:
        key = Fields.key(snapshot)
        if key == self._fields_key:
            return
        self._fields_key, self.fields = key, Fields.of(snapshot)
        field = self.fields.named(self.shown.field.name)
        self.shown.sort(field or self.fields.find("#"), descending=field is not None and self.shown.descending)
        try:
            self.filter(self.query_text)
        except QueryError:  # by a field that there is no more
            self.filter("")

    def _lay_out(self) -> None:
        if self._snapshot is None or self._view.width <= GUTTER:
            return
        layout = self._seen.layout(self._room, self.fields, self.shown)
        if self._columns is None or layout != self._columns.layout:
            self._columns = Columns(layout)
            self._cache.clear()
        if self._columns.learn(self._visible()):
            self._cache.clear()
        self.virtual_size = Size(self._view.width, len(self.shown) + 1)
        if self.following is not Follow.OFF:
            self._reveal(animate=False)

    def _visible(self) -> list[Row]:
        top = int(self.scroll_y)
        return [self._row(self.shown[index]) for index in range(top, min(top + self._view.height - 1, len(self.shown)))]

    def _row(self, trial: Trial) -> Row:
        assert self._snapshot is not None
        snapshot = self._snapshot
        return Row(
            trial,
            snapshot.running.get(trial.number),
            snapshot.curves.get(trial.number, _NO_CURVE),
            snapshot.best is not None and snapshot.best.number == trial.number,
            snapshot.cost_unit,
            self._clock(),
            snapshot.goal == "maximize",
        )

    def render_line(self, y: int) -> Strip:
        width = self._view.width
        if self._columns is None or not len(self.shown):
            return self._empty_line(y, width)
        if y == 0:
            return self._header(width).apply_style(self.rich_style)
        index = int(self.scroll_y) + y - 1
        if index >= len(self.shown):
            return Strip.blank(width, self.rich_style)
        row = self._row(self.shown[index])
        number = row.trial.number
        line, _ = self._columns.window(self._line(row), self._left, self._room)
        strip = Strip.join([Strip([_MARKED if number in self.marked else _UNMARKED]), line])
        if number == self.cursor:
            strip = strip.apply_style(_CURSOR if self.has_focus else _CURSOR_AWAY)
        return strip.apply_style(self.rich_style).apply_meta({"trial": number})

    def _line(self, row: Row) -> Strip:
        assert self._columns is not None
        number = row.trial.number
        key = _Key(id(row.trial), id(row.curve), id(row.job), row.best, 0 if row.trial.status.terminal else int(row.at))
        known = self._cache.get(number)
        if known is not None and known[0] == key:
            return known[2]
        strip = self._columns.line(row)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[number] = key, row, strip  # the row keeps alive what its key names by identity
        return strip

    def _header(self, width: int) -> Strip:
        assert self._columns is not None
        line, more = self._columns.window(self._columns.header(), self._left, self._room)
        line = Strip.join([Strip([_UNMARKED]), line])
        return Strip.join([line.crop(0, width - 1), Strip([Segment("→", HEADER)])]) if more else line

    def _empty_line(self, y: int, width: int) -> Strip:
        hidden = self._snapshot is not None and bool(self._snapshot.trials)
        said = ["no trial matches", self.query_text, "Esc shows all again"] if hidden else self.offered
        top = max(0, (self._view.height - len(said)) // 2)
        if not top <= y < top + len(said):
            return Strip.blank(width, self.rich_style)
        text = said[y - top]
        line = Strip(
            fit(
                [
                    (" " * max(0, (width - cell_len(text)) // 2), PLAIN),
                    (text, SORTED if y == top + 1 else QUIET),
                ],
                width,
            )
        )
        return line.apply_style(self.rich_style)

    @property
    def total(self) -> int:
        """How many trials there are, shown or not."""
        return 0 if self._snapshot is None else self._snapshot.made

    # -- the order, the filter, the marks

    def sort_by(self, name: str, *, descending: bool | None = None) -> None:
        """Sort by a field in its usual direction; by the one that it is sorted by already, the other way round."""
        field = self.fields.named(name)
        if field is None:
            return
        if descending is None:
            descending = not self.shown.descending if field.name == self.shown.field.name else field.descending
        self.shown.sort(field, descending=descending)
        self._rearranged()

    def titles(self) -> list[tuple[str, Field]]:
        """The columns that it can be sorted by, with their fields."""
        columns = [] if self._columns is None else self._columns.columns
        found = [(column.title, self.fields.named(column.by)) for column in columns if column.by]
        return [(title, field) for title, field in found if field is not None]

    def reverse(self) -> None:
        self.sort_by(self.shown.field.name)

    def filter(self, text: str) -> None:
        """Show only the trials that meet a query. Raises `QueryError`, and then all stays as it is."""
        term = parse(text, self.fields)
        if term != self.shown.query:
            self.shown.filter(term)
        self.query_text = text.strip() if term is not None else ""
        self._rearranged()

    def _rearranged(self) -> None:
        self._place_cursor()
        self._lay_out()
        self._reveal()
        self.refresh()
        self.post_message(self.Looked())

    @property
    def marked(self) -> frozenset[int]:
        return self._marks.numbers

    def mark(self, numbers: Iterable[int]) -> None:
        """Mark these trials, and no others."""
        self._marks.clear()
        self._marks.add(numbers)
        self._remarked()

    def hidden_marks(self) -> int:
        """How many of the marked trials the filter hides."""
        if not self.query_text:
            return 0
        if len(self.marked) > MANY:
            return len(self.marked - self.shown.numbers())
        return sum(self.shown.row(number) is None for number in self.marked)

    def toggle_mark(self) -> None:
        if self.cursor is not None:
            self._marks.toggle(self.cursor)
            self._remarked()

    def mark_range(self) -> None:
        """Mark from the last mark to the cursor, as the rows are now."""
        if self.cursor is not None:
            self._marks.extend(self.shown, self.cursor)
            self._remarked()

    def mark_all(self) -> None:
        """Mark all that the filter shows."""
        self._marks.add(self.shown.numbers(), self.cursor)
        self._remarked()

    def unmark(self) -> None:
        self._marks.clear()
        self._remarked()

    def _remarked(self) -> None:
        self.refresh()
        self.post_message(self.Looked())

    # -- the cursor

    def select(self, number: int, *, follow: Follow = Follow.OFF) -> None:
        """Put the cursor on a trial, and let it go on where `follow` says. A filter that hides the trial goes."""
        self.following = follow
        self._chosen = number
        if self.query_text and self.shown.row(number) is None:
            self.filter("")
        self.cursor = number
        self._reveal()

    def follow(self, how: Follow) -> None:
        self.following = how
        self._rearranged()

    def _place_cursor(self) -> None:
        """On the trial that is followed, else on the one that was chosen, else on the one nearest to that."""
        snapshot = self._snapshot
        if snapshot is None or not len(self.shown):
            self.cursor = None
            return
        if self.following is Follow.NEWEST:
            newest = self.shown.newest()
            self._chosen = None if newest is None else newest.number
        elif self.following is Follow.BEST and snapshot.best is not None:
            self._chosen = snapshot.best.number
        chosen = snapshot.trials[-1].number if self._chosen is None else self._chosen
        row = self.shown.near(chosen)
        self.cursor = self.shown[min(row, len(self.shown) - 1)].number

    def move(self, move: Move) -> None:
        if not len(self.shown):
            return
        if move in (Move.LEFT, Move.RIGHT):
            self._sideways(1 if move is Move.RIGHT else -1)
            return
        page = max(1, self._view.height - 2)
        index = 0 if self.cursor is None else self.shown.near(self.cursor)
        index += {Move.UP: -1, Move.DOWN: 1, Move.PAGE_UP: -page, Move.PAGE_DOWN: page}.get(move, 0)
        if move in (Move.HOME, Move.END):
            index = 0 if move is Move.HOME else len(self.shown) - 1
        self.select(self.shown[max(0, min(index, len(self.shown) - 1))].number)

    def _sideways(self, step: int) -> None:
        if self._columns is not None:
            _, more = self._columns.window(self._columns.header(), self._left, self._room)
            if step < 0 or more:
                self._left = max(0, min(self._left + step, self._columns.last - 1))
                self.refresh()

    def _reveal(self, *, animate: bool = False) -> None:
        if self.cursor is None:
            return
        index, rows = self.shown.near(self.cursor), self._view.height - 1
        top = int(self.scroll_y)
        if index < top:
            self.scroll_to(y=index, animate=animate, force=True)
        elif rows > 0 and index >= top + rows:
            self.scroll_to(y=index - rows + 1, animate=animate, force=True)

    def watch_cursor(self, old: int | None, new: int | None) -> None:
        for number in (old, new):
            row = None if number is None else self.shown.row(number)
            if row is not None:
                self.refresh_line(1 + row)
        self.post_message(self.Looked())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if int(old_value) != int(new_value):
            self._lay_out()
            self.refresh()
            self.post_message(self.Looked())

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        """Textual's, before the paint that shows the new size: a `Resize` would come after it."""
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed:
            self._lay_out()
            self._reveal()
            self.post_message(self.Looked())
        return changed

    def on_click(self, event: Click) -> None:
        number, by = event.style.meta.get("trial"), event.style.meta.get("sort")
        if by is not None:
            self.sort_by(by)
        if number is not None:
            self.select(number)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.prevent_default()
        self._wheel(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.prevent_default()
        self._wheel(-3)

    def _wheel(self, rows: int) -> None:
        self.following = Follow.OFF
        self.scroll_relative(y=rows, animate=False)
        self.post_message(self.Looked())
