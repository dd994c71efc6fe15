"""The line in which the filter is written, with what it could become or what is wrong with it below."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.highlighter import Highlighter
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from sweeptui.app import theme, wording
from sweeptui.app.query import Completion, QueryError, complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from sweeptui.app.fields import Field
    from sweeptui.app.table import TrialTable

EXAMPLES = ("state:failed", "score>0.8", "#12", "try>1", "time<5m", 'reason:"out of memory"', "-state:done", "a or b")
OFFERED = 12
INDENT = 3
"""Where the query begins."""


class Wrong(Highlighter):
    """Marks in the query what is wrong with it."""

    def __init__(self) -> None:
        self.error: QueryError | None = None

    def highlight(self, text: Text) -> None:
        if self.error is not None and not self.error.unfinished:
            text.stylize(f"underline {theme.VERMILLION}", self.error.start, self.error.end)


class FilterBar(Vertical):
    """Filters the table at every key. Enter keeps the filter, Escape drops it; both go back to the table."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "drop", show=False, priority=True),
        Binding("tab", "complete(1)", show=False, priority=True),
        Binding("shift+tab", "complete(-1)", show=False, priority=True),
    ]

    def __init__(self, table: TrialTable, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._table = table
        self._wrong = Wrong()
        self._completion = Completion(0, 0, ())
        self._option = -1
        self._completed = ""
        """What completing made of the query: typing on begins anew."""
        self.input = Input(id="query", compact=True, select_on_focus=False, highlighter=self._wrong)
        self.count = Static(id="query-count")
        self.said = Static(id="query-said")
        self.display = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="query-line"):
            yield Static("/", id="query-slash")
            yield self.input
            yield self.count
        yield self.said

    # -- opening and closing

    def open(self) -> None:
        self.display = True
        self._put(self._table.query_text)
        self._look()
        self._wrong.error = None
        self.input.focus()
        self.show()
        self._warm(iter((self._table.fields.anywhere, *self._table.fields.all)))

    def _warm(self, fields: Iterator[Field]) -> None:
        """Have one field read after the other, between the keys: with very many trials each takes a moment."""
        field = next(fields, None)
        if field is not None and self.display:
            self._table.shown.warm(field)
            self.call_after_refresh(self._warm, fields)

    def _close(self) -> None:
        self.display = False
        self._table.focus()

    def action_drop(self) -> None:
        self._table.filter("")
        self._close()

    @on(Input.Submitted)
    def _keep(self, event: Input.Submitted) -> None:
        event.stop()
        if self._wrong.error is None:
            self._close()
        else:
            self.app.bell()

    # -- writing

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if not self.display:
            return
        if event.value != self._completed:
            self._look()
        self._wrong.error = self._apply(event.value)
        self.show()

    def _apply(self, text: str) -> QueryError | None:
        """Filter by as much of the query as is understood; what is not.

        A word that no trial has, but that is the beginning of a field's name, is being written: it does not count yet.
        """
        try:
            self._table.filter(text)
            if not len(self._table.shown) and self._begun(text):
                self._table.filter(text[: self._completion.start])
        except QueryError as error:
            with suppress(QueryError):
                self._table.filter(text[: error.start])
            return error
        return None

    def _begun(self, text: str) -> bool:
        """The last word is the beginning of a name, and not of a value."""
        found = self._completion
        before = text[: found.start]
        return bool(found.options) and found.end == len(text) and (not before or before[-1] in " (-|")

    def _look(self) -> None:
        """The query was changed by hand."""
        self._completion = complete(self.input.value, self.input.cursor_position, self._table.fields)
        self._option = -1

    def action_complete(self, by: int) -> None:
        found = self._completion
        if not found.options:
            return
        start = self._option if self._option >= 0 or by > 0 else 0
        self._option = (start + by) % len(found.options)
        text, end = self.input.value, found.start + len(found.options[self._option])
        self._completed = text[: found.start] + found.options[self._option] + text[found.end :]
        self._completion = Completion(found.start, end, found.options)
        self._put(self._completed, end)
        self.show()

    def _put(self, text: str, cursor: int | None = None) -> None:
        self.input.value = text
        self.input.cursor_position = len(text) if cursor is None else cursor

    # -- what is said about it

    def show(self) -> None:
        """Bring the count and the hint up to date."""
        if not self.display:
            return
        shown, total = len(self._table.shown), self._table.total
        self.count.update(Text(f"{shown:,} of {total:,}", style=theme.QUIET if shown else f"bold {theme.YELLOW}"))
        error = self._wrong.error
        if error is not None and not (error.unfinished and self._completion.options):
            self.said.update(self._complaint(error))
        elif self.input.value and self._completion.options:
            self.said.update(self._offers())
        else:
            text = Text(" " * INDENT, style=theme.QUIET)
            text.append("Enter keeps it  Esc shows all again" if self.input.value else "  ".join(EXAMPLES))
            self.said.update(text)

    def _complaint(self, error: QueryError) -> Text:
        """The sentence, below the place that it is about where there is room for it."""
        said = wording.line(str(error))
        colour = theme.QUIET if error.unfinished else theme.VERMILLION
        start = INDENT + cell_len(self.input.value[: error.start])
        width = max(1, cell_len(self.input.value[error.start : error.end]))
        if start + width + 1 + cell_len(said) < self.size.width:
            return Text(" " * start + "^" * width + " " + said, style=colour)
        return Text(" " * INDENT + said, style=colour)

    def _offers(self) -> Text:
        text = Text(" " * INDENT + "Tab ", style=theme.QUIET, no_wrap=True, overflow="ellipsis")
        first = max(0, self._option - OFFERED // 2)
        for index, option in enumerate(self._completion.options[first : first + OFFERED], start=first):
            chosen = index == self._option
            text.append(f" {option} ", style=f"bold {theme.BACKGROUND} on {theme.SKY}" if chosen else theme.TEXT)
        return text
