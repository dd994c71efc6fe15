"""What a job printed at its end: the traceback, or else its last lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.app import theme
from sweeptui.app.columns import PLAIN, QUIET
from sweeptui.app.screens.lines import Line, line, wrapped
from sweeptui.core.analysis.triage import last_traceback
from sweeptui.core.ansi import sanitize
from sweeptui.core.failures import EXCEPTION_LINE, log_tail

if TYPE_CHECKING:
    from pathlib import Path

TAIL_BYTES = 256 * 1024
LAST_LINES = 60
FEW_LINES = 12
MAX_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Printed:
    """Safe text, line by line."""

    lines: tuple[str, ...] = ()
    traceback: bool = False
    """The lines are a traceback."""


def read_end(path: Path, *, failed: bool = True) -> Printed:
    """Read the end of a log: of a job that failed the traceback, where there is one. For threads only."""
    text = sanitize(log_tail(path, TAIL_BYTES), colour=False)
    found = last_traceback(text) if failed else []
    lines = found or [each for each in text.splitlines() if each.strip()][-LAST_LINES:]
    return Printed(tuple(each.expandtabs(8)[:MAX_CHARS] for each in lines), bool(found))


def shown(printed: Printed, width: int, rows: int = FEW_LINES) -> list[Line]:
    """A traceback with what matters in it set off; of other lines the last `rows`, each on one line."""
    if not printed.traceback:
        return [line((text, PLAIN)) for text in printed.lines[-rows:]]
    error = theme.style(theme.VERMILLION, bold=True)
    result = []
    for text in printed.lines:
        style = PLAIN
        if printed.traceback:
            if EXCEPTION_LINE.match(text):
                style = error
            elif text.lstrip().startswith(("File ", "Traceback ", "During ", "The above ")) or set(text.strip()) <= set(
                "~^ "
            ):
                style = QUIET
        result += wrapped(text, width, style)
    return result
