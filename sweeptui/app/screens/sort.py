"""The menu of what the table can be sorted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from sweeptui.app import theme
from sweeptui.app.fields import Field, Kind

if TYPE_CHECKING:
    from textual.app import ComposeResult


@dataclass(frozen=True, slots=True)
class Choice:
    name: str
    """The field's."""
    title: str
    first: str
    """What would come first."""
    now: str = ""
    """The direction that it is sorted in by it now: an arrow."""


class SortMenu(ModalScreen[str]):
    """Ends with the name of the field; None where it was left with Escape. What is typed leaves those that have it."""

    CSS_PATH = "steering.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", show=False, priority=True),
        Binding("down,tab", "move('cursor_down')", show=False, priority=True),
        Binding("up,shift+tab", "move('cursor_up')", show=False, priority=True),
        Binding("pagedown", "move('page_down')", show=False, priority=True),
        Binding("pageup", "move('page_up')", show=False, priority=True),
    ]

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._choices = choices
        self.list = OptionList(id="actions", compact=True)
        self.list.can_focus = False
        self.input = Input(placeholder="some letters of the column", id="search", compact=True)
        self.end = Static(classes="form-end")

    def compose(self) -> ComposeResult:
        with Vertical(id="sort", classes="form"):
            yield Static("Sort by", classes="form-title")
            yield self.input
            yield self.list
            yield self.end

    def on_mount(self) -> None:
        self.input.focus()
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._search(event.value.strip().lower())

    def on_input_submitted(self) -> None:
        self.list.action_select()

    def _search(self, letters: str) -> None:
        """Show the columns that have these letters, those first that begin with them."""
        found = [choice for choice in self._choices if letters in choice.title.lower()]
        if letters:
            found.sort(key=lambda choice: not choice.title.lower().startswith(letters))
        self.list.clear_options()
        self.list.add_options([Option(_row(choice), id=choice.name) for choice in found])
        now = next((index for index, choice in enumerate(found) if choice.now and not letters), 0)
        self.list.highlighted = now if found else None
        said = "Enter sorts; again: the other way   Esc closes" if found else "no column has these letters"
        self.end.update(Text(said, style=theme.QUIET if found else theme.YELLOW))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def action_move(self, how: str) -> None:
        getattr(self.list, f"action_{how}")()

    def action_cancel(self) -> None:
        self.dismiss(None)


def choices(titles: Iterable[tuple[str, Field]], by: Field, *, descending: bool) -> list[Choice]:
    """The fields under the titles of their columns; `by` is the one that it is sorted by now."""
    arrow = "↓" if descending else "↑"
    return [Choice(field.name, title, _first(field), arrow if field is by else "") for title, field in titles]


def _first(field: Field) -> str:
    """What comes first in the usual direction."""
    if field.name == "#":
        return "oldest first"
    if field.kind is Kind.STATE:
        return "what runs first"
    if not field.numeric:
        return "a to z"
    return "greatest first" if field.descending else "least first"


def _row(choice: Choice) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {choice.now or ' '} ", style=f"bold {theme.SKY}")
    text.append(f"{choice.title:<24}", style=f"bold {theme.SKY}" if choice.now else theme.TEXT)
    return text.append(f" {choice.first}", style=theme.QUIET)
