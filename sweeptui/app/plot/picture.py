"""A picture of a chart, as the screen takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.strip import Strip

    from sweeptui.app.plot.axes import Scale
    from sweeptui.app.plot.canvas import Canvas

Window = tuple[float, float]
"""The part of the x axis that is shown, in its values."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart drawn at one size."""

    lines: tuple[Strip, ...]
    canvas: Canvas | None = None
    left: int = 0
    """Where the canvas stands in the lines."""
    top: int = 0
    x: Scale | None = None
    """What part of the x axis is seen."""
    full: Scale | None = None
    """All of it."""

    def trial_at(self, column: int, row: int) -> int | None:
        return None if self.canvas is None else self.canvas.nearest(column - self.left, row - self.top)

    def share_at(self, column: int) -> float:
        """How far along the x axis a column stands: 0 to 1."""
        if self.canvas is None or self.canvas.columns < 2:
            return 0.5
        return max(0.0, min(1.0, (column - self.left) / (self.canvas.columns - 1)))
