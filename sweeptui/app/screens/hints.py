"""The line of keys at the foot of a screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app import theme
from sweeptui.app.columns import OFF, PLAIN

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Hint:
    key: str
    """As it is printed on a keyboard."""
    label: str
    action: str
    """Textual's name of what the key does; a click does the same."""
    applies: bool = True


class Hints(Widget):
    """Shows keys, those that do not apply now in grey; the last ones stand at the right end."""

    def __init__(self, *, last: int = 0, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._hints: Sequence[Hint] = ()
        self._last = last

    def show(self, hints: Sequence[Hint]) -> None:
        self._hints = hints
        self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        width, split = self.size.width, len(self._hints) - self._last
        last = [segment for hint in self._hints[split:] for segment in _segments(hint)]
        room = width - Segment.get_line_length(last)
        first: list[Segment] = []
        for hint in self._hints[:split]:
            segments = _segments(hint)
            if Segment.get_line_length(segments) > room:
                break
            first += segments
            room -= Segment.get_line_length(segments)
        return Strip([*first, Segment(" " * max(0, room)), *last]).crop(0, width).apply_style(self.rich_style)


def _segments(hint: Hint) -> list[Segment]:
    click = Style.from_meta({"@click": hint.action})
    key = theme.style(theme.ORANGE, bold=True) if hint.applies else OFF
    label = PLAIN if hint.applies else OFF
    return [Segment(f" {hint.key} ", key + click), Segment(f"{hint.label} ", label + click)]
