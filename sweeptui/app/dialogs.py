"""What stands in front of the cockpit: questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from sweeptui.app import theme

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Key


@dataclass(frozen=True, slots=True)
class Choice:
    id: str
    label: str
    key: str
    help: str = ""


class Ask(ModalScreen[str]):
    """A question with a few answers. Ends with the id of the chosen one; Escape is the last of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "escape", show=False),
        Binding("left,shift+tab,up", "app.focus_previous", show=False),
        Binding("right,tab,down", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, choices: tuple[Choice, ...], default: str) -> None:
        super().__init__()
        self._question = question
        self._choices = choices
        self._default = default

    def compose(self) -> ComposeResult:
        with Vertical(id="ask"):
            yield Static(Text(self._question), id="question")
            for choice in self._choices:
                if choice.help:
                    line = Text(f"{choice.label}: ", style=f"bold {theme.TEXT}")
                    yield Static(line.append(choice.help, style=theme.QUIET), classes="choice-help")
            with Horizontal(id="choices"):
                for choice in self._choices:
                    label = Text(choice.label)
                    at = choice.label.lower().find(choice.key)
                    label.stylize("underline", at, at + 1)
                    yield Button(label, id=choice.id, classes="default" if choice.id == self._default else "")

    def on_mount(self) -> None:
        self.query_one(f"#{self._default}", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id)

    def on_key(self, event: Key) -> None:
        """Each answer has a letter; Ctrl+C once more takes the one that is offered."""
        keys = {choice.key: choice.id for choice in self._choices} | {"ctrl+c": self._default}
        if event.key in keys:
            event.stop()
            self.dismiss(keys[event.key])

    def action_escape(self) -> None:
        self.dismiss(self._choices[-1].id)


KILL_CHOICES = (Choice("yes", "Yes, kill it", "y"), Choice("no", "No", "n"))
QUIT_CHOICES = (
    Choice("detach", "Detach", "d", "the sweep goes on in the background; come back with attach"),
    Choice(
        "finish", "Finish", "f", "as Detach, but no trial is launched any more: the sweep stops after the running ones"
    ),
    Choice("stop", "Kill all", "k", "running trials are ended, and queued again for the next run"),
    Choice("cancel", "Cancel", "c", "stay here"),
)
