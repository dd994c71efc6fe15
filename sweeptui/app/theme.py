"""Colours: after Okabe and Ito, told apart with every kind of colour vision ("Color Universal Design", 2008)."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

SKY = "#6cc3f2"
GREEN = "#35c99a"
YELLOW = "#f0e442"
ORANGE = "#f0a830"
VERMILLION = "#ff8052"
PURPLE = "#e08fbd"
TEXT = "#d8dee6"
QUIET = "#8b98a8"
FAINT = "#4b5766"
BACKGROUND = "#0e1319"
SURFACE = "#121920"
CURSOR = "#27415a"
CURSOR_AWAY = "#1c2836"

THEME = Theme(
    name="sweeptui",
    primary=SKY,
    secondary=GREEN,
    accent=ORANGE,
    warning=YELLOW,
    error=VERMILLION,
    success=GREEN,
    foreground=TEXT,
    background=BACKGROUND,
    surface=SURFACE,
    panel="#1a232d",
    boost="#1f2a36",
    dark=True,
    variables={"border": FAINT, "scrollbar": "#2b3846", "scrollbar-background": SURFACE},
)


def _ascii_dots(dots: int) -> str:
    """A braille cell by where its dots are: in its upper half, its lower half, or both."""
    upper, lower = dots & 0b00011011, dots & 0b11100100
    return ":" if upper and lower else "'" if upper else "." if lower else " "


_ASCII = str.maketrans(
    {
        **dict(zip("▁▂▃▄▅▆▇█", "__..--^^", strict=True)),
        **dict(zip("▶✔✗‖◌✂☠★…–±·━╸─│╭╮╰╯┃→↑↓█▔▕▏☆", ">+x=o%#*.-+.==-|....|>^v#-||.", strict=True)),  # noqa: RUF001
        **{chr(0x2800 + dots): _ascii_dots(dots) for dots in range(256)},
        **dict(zip("┤┬└•●◆", "|++.o@", strict=True)),
        **dict(zip("├÷×≈σ", "|/x~s", strict=True)),  # noqa: RUF001
    }
)


class AsciiOnly(LineFilter):
    """For a terminal that does not speak UTF-8: every glyph as the nearest ASCII character, cell for cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        return [
            segment if segment.text.isascii() else Segment(_ascii(segment), segment.style, segment.control)
            for segment in segments
        ]


def _ascii(segment: Segment) -> str:
    text = segment.text.translate(_ASCII)
    if text.isascii():
        return text
    text = text.encode("ascii", "replace").decode()
    return text[: segment.cell_length].ljust(segment.cell_length, "?")


def style(colour: str = TEXT, *, bold: bool = False) -> Style:
    return Style(color=colour, bold=bold)
