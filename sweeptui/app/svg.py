"""A frame of the cockpit as SVG, in which lines meet and blocks touch with whatever font there is.

Box drawing, blocks and braille are drawn as shapes, and letters word by word at the cells where they belong: a font
only decides what the letters look like. Nothing is loaded from anywhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.terminal_theme import DIMMED_MONOKAI
from textual.color import Color

from sweeptui.app import theme

if TYPE_CHECKING:
    from rich.color import Color as RichColor
    from rich.style import Style
    from textual.strip import Strip

CELL_W, CELL_H = 10, 20
FONT_SIZE = 16.6
"""The usual monospaced letter is 0.602 of it wide."""
BASELINE = 15
MARGIN, BAR = 12, 34
FONTS = "'JetBrains Mono', 'Fira Code', Menlo, 'DejaVu Sans Mono', Consolas, 'Liberation Mono', monospace"
LIGHT, HEAVY = 1.5, 3.0

_ARMS = {
    "─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "udr", "┤": "udl", "┬": "lrd", "┴": "lru",
    "┼": "lrud", "━": "LR", "┃": "UD", "╸": "L", "╺": "R", "╴": "l", "╶": "r", "╵": "u", "╷": "d",
}  # fmt: skip
"""Which ways a line goes from the middle of its cell: in capitals where it is heavy."""
_ARCS = {"╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu"}
_ENDS = {"l": (0, CELL_H / 2), "r": (CELL_W, CELL_H / 2), "u": (CELL_W / 2, 0), "d": (CELL_W / 2, CELL_H)}
_BLOCKS: dict[str, tuple[float, float, float, float]] = {
    **{chr(0x2580 + n): (0, 1 - n / 8, 1, n / 8) for n in range(1, 9)},
    **{chr(0x2590 - n): (0, 0, n / 8, 1) for n in range(1, 8)},
    "▀": (0, 0, 1, 0.5),
    "▐": (0.5, 0, 0.5, 1),
    "▔": (0, 0, 1, 0.125),
    "▕": (0.875, 0, 0.125, 1),
}
"""Left, top, width and height, in cells."""
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of each bit of a braille cell."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What of a style there is to see."""

    ink: str
    paper: str
    bold: bool
    italic: bool
    underline: bool


@dataclass
class _Shapes:
    """What is drawn, by colour, so that a whole frame is a few paths."""

    paper: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    filled: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    dots: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lines: dict[tuple[str, float], list[str]] = field(default_factory=lambda: defaultdict(list))
    text: list[str] = field(default_factory=list)


def svg(strips: Sequence[Strip], title: str) -> str:
    """The strips as an SVG document, in a window with a title. All strips must be of one width, in cells."""
    columns = max((strip.cell_length for strip in strips), default=0)
    width, height = columns * CELL_W + 2 * MARGIN, len(strips) * CELL_H + BAR + MARGIN
    shapes = _Shapes()
    for y, strip in enumerate(strips):
        x = 0
        for text, look in _runs(strip):
            x = _run(shapes, x, y, text, look)
    body = "\n".join(_elements(shapes))
    lights = "".join(
        f'<circle cx="{MARGIN + 10 + 20 * i}" cy="{BAR / 2:g}" r="6" fill="{colour}"/>'
        for i, colour in enumerate((theme.VERMILLION, theme.YELLOW, theme.GREEN))
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<title>{_xml(title)}</title>
<style>text {{ font-family: {FONTS}; font-size: {FONT_SIZE}px; white-space: pre; }} .b {{ font-weight: bold; }} \
.i {{ font-style: italic; }} .u {{ text-decoration: underline; }}</style>
<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" fill="{theme.BACKGROUND}" \
stroke="{theme.RULE}"/>
{lights}
<text x="{width / 2:g}" y="{BAR / 2 + 6:g}" fill="{theme.QUIET}" text-anchor="middle">{_xml(title)}</text>
<g transform="translate({MARGIN} {BAR})">
{body}
</g>
</svg>
"""


def _runs(strip: Strip) -> Iterator[tuple[str, _Look]]:
    """The strip's text, in one piece where it looks alike."""
    text, look = "", None
    for segment in strip:
        if segment.control:
            continue
        new = _look(segment.style)
        if look is not None and new != look:
            yield text, look
            text = ""
        text, look = text + segment.text, new
    if look is not None:
        yield text, look


def _look(style: Style | None) -> _Look:
    if style is None:
        return _Look(theme.TEXT, theme.BACKGROUND, False, False, False)
    ink, paper = _hex(style.color, theme.TEXT), _hex(style.bgcolor, theme.BACKGROUND)
    if style.reverse:
        ink, paper = paper, ink
    if style.dim:
        ink = Color.parse(ink).blend(Color.parse(paper), 0.4).hex
    return _Look(ink.lower(), paper.lower(), bool(style.bold), bool(style.italic), bool(style.underline))


def _hex(colour: RichColor | None, default: str) -> str:
    if colour is None or colour.is_default:
        return default
    return colour.get_truecolor(DIMMED_MONOKAI).hex


def _run(shapes: _Shapes, column: int, row: int, text: str, look: _Look) -> int:
    """Draw what looks alike; the column after it."""
    y = row * CELL_H
    cells = cell_len(text)
    if look.paper != theme.BACKGROUND:
        shapes.paper[look.paper].append(f"M{column * CELL_W} {y}h{cells * CELL_W}v{CELL_H}h-{cells * CELL_W}z")
    word, start = "", column
    for character in text:
        size = cell_len(character)
        drawn = character == " " or _shape(shapes, character, column * CELL_W, y, look.ink)
        if word and (drawn or not character.isascii()):
            shapes.text.append(_word(word, start, row, look))
            word = ""
        if not drawn and (character.isascii() or not size):
            start = start if word else column
            word += character
        elif not drawn:
            shapes.text.append(_symbol(character, column, size, row, look))
        column += size
    if word:
        shapes.text.append(_word(word, start, row, look))
    return column


def _shape(shapes: _Shapes, character: str, x: float, y: float, ink: str) -> bool:
    """Draw the character as a shape, if it is one."""
    if character in _BLOCKS:
        left, top, width, height = _BLOCKS[character]
        w = width * CELL_W
        shapes.filled[ink].append(f"M{x + left * CELL_W:g} {y + top * CELL_H:g}h{w:g}v{height * CELL_H:g}h-{w:g}z")
    elif character in _ARMS:
        for arm in _ARMS[character]:
            end_x, end_y = _ENDS[arm.lower()]
            weight = HEAVY if arm.isupper() else LIGHT
            shapes.lines[ink, weight].append(f"M{x + CELL_W / 2:g} {y + CELL_H / 2:g}L{x + end_x:g} {y + end_y:g}")
    elif character in _ARCS:
        (x1, y1), (x2, y2) = (_ENDS[arm] for arm in _ARCS[character])
        middle = f"{x + CELL_W / 2:g} {y + CELL_H / 2:g}"
        shapes.lines[ink, LIGHT].append(f"M{x + x1:g} {y + y1:g}Q{middle} {x + x2:g} {y + y2:g}")
    elif 0x2800 <= ord(character) <= 0x28FF:
        for bit, (dot_x, dot_y) in enumerate(_DOTS):
            if ord(character) >> bit & 1:
                shapes.dots[ink].append(f"M{x + 2.5 + 5 * dot_x:g} {y + 2.5 + 5 * dot_y:g}h0")
    else:
        return False
    return True


def _word(word: str, column: int, row: int, look: _Look) -> str:
    length = cell_len(word) * CELL_W
    fitted = f' textLength="{length}" lengthAdjust="spacingAndGlyphs"' if length > CELL_W else ""
    return _text(column * CELL_W, row, look, _xml(word), fitted)


def _symbol(character: str, column: int, size: int, row: int, look: _Look) -> str:
    """A character that may come from another font: in the middle of its cells, however wide it is there."""
    return _text((column + size / 2) * CELL_W, row, look, _xml(character), ' text-anchor="middle"')


def _xml(text: str) -> str:
    """The text as XML takes it, which has no place for some characters at all."""
    return escape(_NOT_XML.sub("\ufffd", text), quote=False)


def _text(x: float, row: int, look: _Look, text: str, more: str) -> str:
    classes = "".join(("b" * look.bold, " i" * look.italic, " u" * look.underline)).strip()
    classed = f' class="{classes}"' if classes else ""
    return f'<text x="{x:g}" y="{row * CELL_H + BASELINE}" fill="{look.ink}"{classed}{more}>{text}</text>'


def _elements(shapes: _Shapes) -> Iterable[str]:
    for colour, path in shapes.paper.items():
        yield f'<path fill="{colour}" shape-rendering="crispEdges" d="{"".join(path)}"/>'
    for colour, path in shapes.filled.items():
        yield f'<path fill="{colour}" shape-rendering="crispEdges" d="{"".join(path)}"/>'
    for (colour, weight), path in shapes.lines.items():
        yield f'<path fill="none" stroke="{colour}" stroke-width="{weight:g}" d="{"".join(path)}"/>'
    for colour, path in shapes.dots.items():
        yield f'<path stroke="{colour}" stroke-width="3.4" stroke-linecap="round" d="{"".join(path)}"/>'
    yield from shapes.text
