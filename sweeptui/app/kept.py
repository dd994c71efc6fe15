"""Lines that have only moved are painted as they were: with the same frame around them, and the same bytes.

Textual keeps what was painted by its place on the screen, so where a list scrolls by a row it makes all rows anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual._styles_cache import StylesCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.color import Color
    from textual.css.styles import StylesBase
    from textual.geometry import Size, Spacing
    from textual.strip import Strip

MAX_KEPT = 500


class KeptLines(StylesCache):
    """For a widget without an outline whose `render_line` gives the same strip again for what looks the same."""

    def __init__(self) -> None:
        super().__init__()
        self._look: tuple[object, ...] = ()
        """What the frame around a line depends on, beside its place."""
        self._kept: dict[int, tuple[Strip, Strip]] = {}
        """By the identity of a line, which is kept alive: the line, and how it looks with all that is around it."""

    def render_line(
        self,
        styles: StylesBase,
        y: int,
        size: Size,
        content_size: Size,
        padding: Spacing,
        base_background: Color,
        background: Color,
        render_content_line: Callable[[int], Strip],
        border_title: Any,
        border_subtitle: Any,
        opacity: float,
        *themes: Any,
    ) -> Strip:
        def render(content: Callable[[int], Strip]) -> Strip:
            titles = border_title, border_subtitle
            return super(KeptLines, self).render_line(
                styles, y, size, content_size, padding, base_background, background, content, *titles, opacity, *themes
            )

        row = y - styles.gutter.top
        if not 0 <= row < content_size.height:
            return render(render_content_line)
        place = size.width, content_size.width, padding, styles.border
        look = *place, base_background, background, opacity, styles.text_opacity, styles.tint, themes
        if look != self._look or len(self._kept) > MAX_KEPT:
            self._look = look
            self._kept.clear()
        line = render_content_line(row)
        kept = self._kept.get(id(line))
        if kept is None:
            kept = self._kept[id(line)] = line, render(lambda _: line)
        return kept[1]
