"""How well text can be read on what it stands on, after WCAG 2.2, "Contrast (Minimum)"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.color import Color
from textual.strip import Strip

LEAST = 4.5
"""For text of the usual size, level AA."""


def luminance(colour: Color) -> float:
    """Relative: 0 black, 1 white."""
    parts = (part / 255 for part in colour.rgb)
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def faint(strips: Sequence[Strip]) -> Iterator[tuple[str, float]]:
    """Words of a frame that are hard to read, each with its contrast; those in the terminal's own colours left out."""
    for strip in strips:
        for segment in strip:
            style = segment.style
            if style is None or not any(letter.isalnum() for letter in segment.text):
                continue
            if style.color is None or style.bgcolor is None or not (style.color.triplet and style.bgcolor.triplet):
                continue
            ink, paper = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
            if (found := contrast(ink, paper)) < LEAST:
                yield segment.text.strip(), found
