"""What the log's thread tells its pane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweeptui.app.log.pattern import Span


@dataclass(frozen=True, slots=True)
class Found:
    """How far a search is."""

    text: str
    """What is searched for, as it was written."""
    number: int | None = None
    """Which of the lines that it is in it has come to, from 1; None where that is not known."""
    total: int = 0
    """In how many lines it is, as far as they were counted."""
    more: bool = False
    """There may be more lines than `total`."""
    at: int | None = None
    """Where in the file the line starts that it has come to."""
    searching: float | None = None
    """How much of the file was looked through; None once that is over."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of a log that are on screen."""

    path: Path | None
    lines: tuple[str, ...] = ()
    """Safe text; colours are SGR sequences."""
    following: bool = True
    new_lines: int = 0
    """How many came since the end was left."""
    start: float = 0.0
    """Where the page starts and stops in the file, as shares of its size."""
    stop: float = 1.0
    size: int = 0
    """Bytes in the file."""
    marks: tuple[tuple[Span, ...], ...] = ()
    """Of each line: where in its text, without colours, the search is found."""
    current: int | None = None
    """Which of the lines is the one that the search has come to."""
    search: Found | None = None
    filter: str = ""
    """The filter as it was written; empty where all lines are shown."""
    filling: float | None = None
    """How much of the file was looked through for lines of this page; None once it has all that there are."""
    problem: str = ""
    """What went wrong: a sentence."""
