"""Colours: after Okabe and Ito, told apart with every kind of colour vision ("Color Universal Design", 2008)."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
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
QUIET = "#9aa7b6"
OFF = "#8591a0"
"""For keys that do nothing now: the faintest that text may be, and never on the cursor."""
RULE = "#4b5766"
"""For frames, rules and the tracks of bars; never for text."""
BACKGROUND = "#0e1319"
SURFACE = "#121920"
CURSOR = "#233a50"
CURSOR_AWAY = "#1c2836"
PANEL = "#1a232d"
BOOST = "#1f2a36"
TRACK = "#2b3846"

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
    panel=PANEL,
    boost=BOOST,
    dark=True,
    variables={
        "border": RULE,
        "cursor": CURSOR,
        "quiet": QUIET,
        "button": "#2e3d4d",
        "scrollbar": TRACK,
        "scrollbar-background": SURFACE,
    },
)

ANSI = TerminalTheme(
    Color.parse(SURFACE).rgb,
    Color.parse(TEXT).rgb,
    [Color.parse(colour).rgb for colour in (OFF, VERMILLION, GREEN, ORANGE, "#8fb4ff", PURPLE, "#5fd0d8", TEXT)],
    [
        Color.parse(colour).rgb
        for colour in (QUIET, "#ff9f7d", "#6fe0ba", YELLOW, "#b0caff", "#f0b4d6", "#8ce4ea", "#f2f5f8")
    ],
)
"""The sixteen colours that logs are written in, so that each of them can be read here."""


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
        **dict(zip("├÷×≈σ±←", "|/x~s~<", strict=True)),  # noqa: RUF001
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
