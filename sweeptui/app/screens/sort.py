"""The menu of what the table can be sorted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from sweeptui.app import theme
from sweeptui.app.fields import Field, Kind

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Key


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
    """Ends with the name of the field; None where it was left with Escape. A letter goes to the next one so called."""

    CSS_PATH = "steering.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "cancel", show=False, priority=True)]

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._choices = choices
        self.list = OptionList(
            *(Option(_row(choice), id=choice.name) for choice in choices), id="actions", compact=True
        )

    def compose(self) -> ComposeResult:
        with Vertical(id="sort", classes="form"):
            yield Static("Sort by", classes="form-title")
            yield self.list
            yield Static(Text("Enter sorts; again: the other way   Esc closes", style=theme.QUIET), classes="form-end")

    def on_mount(self) -> None:
        self.list.highlighted = next((index for index, choice in enumerate(self._choices) if choice.now), 0)
        self.list.focus()

    def on_key(self, event: Key) -> None:
        if event.character is None or not event.is_printable or event.character == " ":
            return
        event.stop()
        start = 1 + (self.list.highlighted or 0)
        order = [*range(start, len(self._choices)), *range(start)]
        begins = (index for index in order if self._choices[index].title.lower().startswith(event.character.lower()))
        self.list.highlighted = next(begins, self.list.highlighted)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

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
