"""A frame as text that people can review: the screen as it is, and below it what looks how.

Each line of the second part has the number of its line and then its runs: so many cells in a style. A style is the
name of its colour from the theme, `!` where it is bold, `_` underlined, `~` italic, and after a slash what it stands
on, where that is not the surface. Of blanks only what they stand on counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.style import Style
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.strip import Strip

from sweeptui.app import theme

NAMES = {
    theme.TEXT: "t", theme.QUIET: "q", theme.OFF: "off", theme.RULE: "rule", theme.SKY: "sky", theme.GREEN: "green",
    theme.YELLOW: "yellow", theme.ORANGE: "orange", theme.VERMILLION: "verm", theme.PURPLE: "purple",
    theme.BACKGROUND: "back", theme.SURFACE: "", theme.PANEL: "panel", theme.BOOST: "boost", theme.CURSOR: "cursor",
    theme.CURSOR_AWAY: "away", theme.TRACK: "track",
}  # fmt: skip
"""By their colours; others are written in hexadecimal."""


class FrameExtension(SingleFileSnapshotExtension):
    """One file for each scene."""

    _file_extension = "txt"
    _write_mode = WriteMode.TEXT


def page(strips: Sequence[Strip]) -> str:
    """A frame."""
    styles = "\n".join(
        f"{number:>2} {runs}" for number, strip in enumerate(strips, start=1) if (runs := " ".join(_runs(strip)))
    )
    return f"{words(strips)}{styles}\n"


def words(strips: Sequence[Strip]) -> str:
    """Its first part: quicker made, and enough to see that a frame is not there yet."""
    return "".join(f"{strip.text.rstrip()}\n" for strip in strips) + "· " * 19 + "·\n"


def book(pages: dict[str, str]) -> str:
    """Frames of several sizes."""
    return "\n".join(f"{'=' * 20} {size} {'=' * 20}\n{text}" for size, text in pages.items())


def pages(text: str) -> dict[str, str]:
    """What `book` was given."""
    _, *parts = f"\n{text}".split(f"\n{'=' * 20} ")
    found = {}
    for part in parts:
        head, _, body = part.partition("\n")
        found[head.split()[0]] = body if body.endswith("\n") else f"{body}\n"
    return found


def _runs(strip: Strip) -> Iterator[str]:
    cells: list[str] = []
    ink = ""
    for segment in strip:
        style = segment.style or Style()
        paper = _paper(style)
        for character in segment.text:
            ink = ink if character == " " and not style.reverse else _ink(style)
            looks = f"{'' if character == ' ' and not paper else ink}{paper}"
            cells.extend([looks] * cell_len(character))
    runs = [(looks, len(list(run))) for looks, run in groupby(cells)]
    while runs and not runs[-1][0]:
        runs.pop()
    for looks, size in runs:
        yield f"{size}{looks or '.'}"


def _ink(style: Style) -> str:
    colour = style.color
    name = "-" if colour is None else _name(colour.triplet.hex) if colour.triplet else colour.name
    marks = "".join(mark for mark, on in (("!", style.bold), ("_", style.underline), ("~", style.italic)) if on)
    return f"{name}{marks}{'^' if style.reverse else ''}"


def _paper(style: Style) -> str:
    colour = style.bgcolor
    if colour is None or colour.triplet is None:
        return ""
    name = _name(colour.triplet.hex)
    return f"/{name}" if name else ""


def _name(colour: str) -> str:
    return NAMES.get(colour.lower(), colour.lower())
