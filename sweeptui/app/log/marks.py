"""Where in the lines on screen a search is found: looked for once in each line, as long as it stays there."""

from __future__ import annotations

from collections.abc import Sequence

from sweeptui.app.log.pattern import Pattern, Span
from sweeptui.core.ansi import sanitize

MOST_KEPT = 10
"""Pages of lines."""


class Marks:
    def __init__(self) -> None:
        self._pattern: Pattern | None = None
        self._known: dict[str, tuple[Span, ...]] = {}

    def of(self, lines: Sequence[str], pattern: Pattern) -> tuple[tuple[Span, ...], ...]:
        """Of each line, in its text without colours. Raises `TooSlowError`."""
        if pattern != self._pattern or len(self._known) > MOST_KEPT * len(lines):
            self._pattern, self._known = pattern, {}
        for line in lines:
            if line not in self._known:
                self._known[line] = pattern.spans(sanitize(line, colour=False))
        return tuple(self._known[line] for line in lines)
