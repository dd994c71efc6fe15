"""The trial table: only the rows on screen are ever formatted, and each only when its trial has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sweeptui.app.actions import ACTIONS
from sweeptui.app.arrange import MANY, Arrangement, Marks
from sweeptui.app.columns import PLAIN, QUIET, SORTED, Row, fit
from sweeptui.app.fields import Field, Fields
from sweeptui.app.kept import KeptLines
from sweeptui.app.layout import Seen
from sweeptui.app.moves import Move
from sweeptui.app.query import QueryError, parse
from sweeptui.app.rows import GUTTER, Key, Lines, Look, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from textual.events import Click, MouseScrollDown, MouseScrollUp
    from textual.geometry import Region

    from sweeptui.app.snapshot import Curve, Snapshot
    from sweeptui.core.trial import Trial

_NO_CURVE: Curve = ()


class Follow(Enum):
    """Where the cursor goes by itself."""

    OFF = ""
    NEWEST = "newest"
    BEST = "best"


class TrialTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows the trials of a snapshot, those that meet the filter, in the order that was asked for.

    The cursor stays on its trial, whatever rows come and go; `cursor` is a trial's number.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"app.act('{action.id}')", action.help, id=action.id, show=False)
        for action in ACTIONS
        if action.pane == "table"
    ]

    cursor: reactive[int | None] = reactive(None, repaint=False)
    offered: reactive[Sequence[str]] = reactive(("no trial yet",), layout=False)
    """What is shown while there is no trial."""

    class Looked(Message):
        """Other rows are on screen, or another one is selected, or others are marked."""

    def __init__(self, *, clock: Callable[[], float] = time.time, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._styles_cache = KeptLines()
        self._clock = clock
        self._now = 0.0
        """Up to when durations count. It stands between two looks, so that rows that have only moved are the same."""
        self._snapshot: Snapshot | None = None
        self.fields = Fields(())
        self._fields_key: tuple[object, ...] = ()
        self.shown = Arrangement(self.fields.find("#"))
        self.query_text: str = ""
        """The filter, as it was typed."""
        self._marks = Marks()
        self._seen = Seen()
        self._lines = Lines()
        self._painted: list[tuple[Key, Row]] = []
        """The rows that are on screen, as they look there."""
        self._base = Style.null()
        self._chosen: int | None = None
        """The trial that the cursor goes back to when it is shown again."""
        self.following = Follow.NEWEST

    # -- what is shown

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot, self._now = snapshot, self._clock()
        self._learn_fields(snapshot)
        news = self.shown.take(snapshot)
        # A column that is scrolled to is being read, and so is one that it is sorted by.
        self._seen.look(snapshot, news, still=self._lines.left > 0 or self.shown.field in self._swept)
        self._place_cursor()
        if self._lay_out() or not len(self.shown):
            self.refresh()
        else:
            self._repaint_changed()

    @property
    def _swept(self) -> Collection[Field]:
        return self.fields.by_param.values()

    def tick(self) -> None:
        """A second has passed."""
        if self._snapshot is not None and self._snapshot.active:
            self._now = self._clock()
            self._repaint_changed()

    def _repaint_changed(self) -> None:
        """Paint those rows on screen that look different than they did: of very many trials hardly any do.

        Rows that follow one another are painted in one go, which is cheaper.
        """
        old, self._painted = self._painted, self._keyed()
        pairs = zip_longest(old, self._painted)
        changed = [before is None or now is None or before[0] != now[0] for before, now in pairs]
        top = 1 + int(self.scroll_y)
        for different, run in groupby(enumerate(changed), key=itemgetter(1)):
            if different:
                (first, _), *others = run
                self.refresh_lines(top + first, 1 + len(others))

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

    def _keyed(self) -> list[tuple[Key, Row]]:
        return [(key_of(row), row) for row in self._visible()]

    def _lay_out(self) -> bool:
        """Arrange columns and rows; True where every row looks different now."""
        if self._snapshot is None or self._view.width <= GUTTER:
            return False
        other = self._lines.lay_out(self._seen.layout(self._room, self.fields, self.shown), self._room, self._visible())
        self.virtual_size = Size(self._view.width, len(self.shown) + 1)
        if self.following is not Follow.OFF:
            self._reveal(animate=False)
        return other

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
            self._now,
            snapshot.goal == "maximize",
            snapshot.stages,
        )

    def render_lines(self, crop: Region) -> list[Strip]:
        self._base = self.rich_style  # of all lines, and found out with some effort
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        if not self._lines or not len(self.shown):
            return self._empty_line(y, self._view.width)
        if y == 0:
            return self._lines.header(self._base)
        index = int(self.scroll_y) + y - 1
        if index >= len(self.shown):
            return Strip.blank(self._view.width, self._base)
        trial = self.shown[index]
        here = trial.number == self.cursor
        look = Look(self._base, trial.number in self.marked, here, here and not self.has_focus)
        return self._lines.line(self._row(trial), look)

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
        found = [(column.title, self.fields.named(column.by)) for column in self._lines.columns if column.by]
        return [(title, field) for title, field in found if field is not None]

    def put_first(self, params: Sequence[str] | None) -> None:
        """Have the columns of these parameters, by their paths, before the others; None: of the important ones."""
        self._seen.first = None if params is None else tuple(params)
        self._rearranged()

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
            if self._lines.sideways(1 if move is Move.RIGHT else -1):
                self.refresh()
            return
        page = max(1, self._view.height - 2)
        index = 0 if self.cursor is None else self.shown.near(self.cursor)
        index += {Move.UP: -1, Move.DOWN: 1, Move.PAGE_UP: -page, Move.PAGE_DOWN: page}.get(move, 0)
        if move in (Move.HOME, Move.END):
            index = 0 if move is Move.HOME else len(self.shown) - 1
        self.select(self.shown[max(0, min(index, len(self.shown) - 1))].number)

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
            self._painted = self._keyed()
            self.refresh()
            self.post_message(self.Looked())

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        """Textual's, before the paint that shows the new size: a `Resize` would come after it."""
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed or self._room != self._lines.room:  # with another frame around it, the same size has another room
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
