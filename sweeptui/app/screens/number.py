"""Asking for a whole number."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from sweeptui.app import theme, wording

LEAST = 1


class AskNumber(ModalScreen[int]):
    """Ends with the number, or None where it was left with Escape."""

    CSS_PATH = "steering.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", show=False, priority=True),
        Binding("up,plus", "step(1)", show=False, priority=True),
        Binding("down,minus", "step(-1)", show=False, priority=True),
        Binding("pageup", "step(10)", show=False, priority=True),
        Binding("pagedown", "step(-10)", show=False, priority=True),
    ]

    def __init__(self, question: str, field: str, value: int, note: str) -> None:
        super().__init__()
        self._question = question
        self._field = field
        self._note = note
        self.input = Input(str(value), id="number", compact=True)
        self.said = Static(id="said")

    def compose(self) -> ComposeResult:
        with Vertical(id="ask-number", classes="form"):
            yield Static(Text(self._question), classes="form-title")
            with Horizontal(classes="field"):
                yield Static(Text(self._field), classes="field-name")
                yield self.input
            yield self.said
            yield Static(
                Text("Enter sets it   ↑ ↓ by 1   PgUp PgDn by 10   Esc closes", style=theme.QUIET), classes="form-end"
            )

    def on_mount(self) -> None:
        self.input.focus()

    def on_input_changed(self) -> None:
        wrong = self._wrong()
        self.input.set_class(bool(wrong), "-wrong")
        self.said.update(Text(f"✗ {wrong}", style=theme.VERMILLION) if wrong else Text(self._note, style=theme.QUIET))

    def on_input_submitted(self) -> None:
        if not self._wrong():
            self.dismiss(int(self.input.value))

    def action_step(self, by: int) -> None:
        if not self._wrong():
            self.input.value = str(max(LEAST, int(self.input.value) + by))
            self.input.cursor_position = len(self.input.value)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _wrong(self) -> str:
        text = self.input.value.strip()
        if text.isdecimal() and text.isascii() and int(text[:18]) >= LEAST:
            return "" if len(text) < 10 else f"{self._field} is far too large"
        return f"{self._field} is {wording.line(repr(text))}; it must be a whole number of at least {LEAST}"
