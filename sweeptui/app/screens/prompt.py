"""The command line, at the bottom of the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from sweeptui.app import theme, wording
from sweeptui.app.commandline import Completion, Prepared, completions, prepare, usage
from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from sweeptui.app.cockpit import Cockpit

HINT = "Enter does it, Tab completes, ↑ ↓ what was entered before, Esc closes"
ROWS = 7
"""Completions that are shown at once."""
WORD_WIDTH = 24


class Prompt(ModalScreen[Prepared]):
    """Ends with the line that was entered, checked; a line that is no command stays, with a sentence about it."""

    CSS_PATH = "steering.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", show=False, priority=True),
        Binding("tab", "complete(1)", show=False, priority=True),
        Binding("shift+tab", "complete(-1)", show=False, priority=True),
        Binding("up", "recall(-1)", show=False, priority=True),
        Binding("down", "recall(1)", show=False, priority=True),
    ]

    def __init__(self, cockpit: Cockpit, history: Sequence[str], text: str = "") -> None:
        super().__init__()
        self._cockpit = cockpit
        self._lines = [*history, text]
        self._at = len(history)
        """Which of `_lines` is shown; the last is the one that is being written."""
        self._found: list[Completion] = []
        self._chosen = -1
        self._completed = text
        """What the last completion made of the line: typing on begins anew."""
        self.input = Input(text, id="line", compact=True, select_on_focus=False)
        self.offers = Static(id="offers")
        self.said = Static(id="said")

    def compose(self) -> ComposeResult:
        with Vertical(id="prompt"):
            yield self.offers
            yield self.said
            with Horizontal(id="entry"):
                yield Static(":", id="colon")
                yield self.input

    def on_mount(self) -> None:
        self.input.focus()
        self._look()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value != self._completed:
            self._look()

    def _look(self) -> None:
        """The line was changed by hand."""
        self._found, self._chosen = completions(self._cockpit, self.input.value), -1
        self._completed = self.input.value
        self._say(usage(self.input.value) or ("" if self.input.value.strip() else HINT))
        self._show()

    def _show(self) -> None:
        top = max(0, min(self._chosen - ROWS // 2, len(self._found) - ROWS))
        text = Text(no_wrap=True, overflow="ellipsis")
        for index, item in enumerate(self._found[top : top + ROWS], start=top):
            style = f"bold {theme.BACKGROUND} on {theme.SKY}" if index == self._chosen else f"bold {theme.ORANGE}"
            word = wording.line(item.word)
            text.append("\n" if index > top else "")
            text.append(f" {word:<{WORD_WIDTH}} ", style=style).append(f" {item.help}", style=theme.QUIET)
        self.offers.update(text)
        self.offers.display = bool(self._found)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        style = f"bold {theme.VERMILLION}" if wrong else theme.QUIET
        self.said.update(Text(f"{'✗ ' if wrong else ''}{wording.line(text)}", style=style))
        self.said.display = bool(text)

    def action_complete(self, by: int) -> None:
        if not self._found:
            return
        start = self._chosen if self._chosen >= 0 or by > 0 else 0
        self._chosen = (start + by) % len(self._found)
        self._completed = self._found[self._chosen].line
        self._put(self._completed)
        if len(self._found) == 1:  # nothing to choose from: on to the next word
            self._completed += "" if self._completed.endswith("=") else " "
            self._put(self._completed)
            self._look()
        else:
            self._show()

    def action_recall(self, by: int) -> None:
        if self._at == len(self._lines) - 1:
            self._lines[-1] = self.input.value
        self._at = max(0, min(len(self._lines) - 1, self._at + by))
        self._put(self._lines[self._at])
        self._look()

    def _put(self, line: str) -> None:
        self.input.value = line
        self.input.cursor_position = len(line)

    def on_input_submitted(self) -> None:
        if not self.input.value.strip():
            self.dismiss(None)
            return
        try:
            prepared = prepare(self._cockpit, self.input.value)
        except UserError as error:
            self._say(str(error), wrong=True)
            return
        self.dismiss(prepared)

    def action_cancel(self) -> None:
        self.dismiss(None)
