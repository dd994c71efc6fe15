"""What the charts are made of: figures as plotly.js takes them, with colours by name so that the page picks the scheme.

Labels are escaped here: plotly.js reads a little HTML in every text that it is given, and ours come from trials.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeptui.core.ansi import sanitize

if TYPE_CHECKING:
    from collections.abc import Sequence

INK, QUIET, GRID = "var(--ink)", "var(--quiet)", "var(--grid)"
POINT, BEST, BAD, OTHER = "var(--point)", "var(--best)", "var(--bad)", "var(--other)"
"""Told apart by their shapes, too; from the colour-blind safe palette of Okabe and Ito."""
SHADES = 8
"""Steps of one hue, from `shade(0)`, which stands out most from the page, to the palest."""
MAX_LABEL = 60


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart. `data` and `layout` are plotly.js's own."""

    id: str
    title: str
    said: str
    """What it shows, in a sentence or two: its caption, and what a screen reader says."""
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 380
    wide: bool = False
    """Not to be squeezed onto a phone: there it is scrolled sideways."""
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers behind a chart, or what has no chart."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str = ""
    numeric: frozenset[int] = field(default_factory=frozenset)
    """Which columns are numbers."""


def label(text: str) -> str:
    """Foreign text for a chart: on one line, not too long, and nothing in it is markup."""
    line = " ".join(sanitize(text, colour=False).split())
    return html.escape(line if len(line) <= MAX_LABEL else line[: MAX_LABEL - 1] + "…")


def shade(step: int) -> str:
    return f"var(--shade-{step})"


def drawn(value: float | None) -> float | None:
    """A number with as many digits as a chart can show."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def all_drawn(values: Sequence[float | None]) -> list[float | None]:
    return [drawn(value) for value in values]


def axis(title: str, **more: Any) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 13}, "standoff": 10},
        "automargin": True,
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "tickfont": {"size": 12},
        **more,
    }


def layout(x: dict[str, Any], y: dict[str, Any], *, legend: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "xaxis": x,
        "yaxis": y,
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        "margin": {"l": 56, "r": 16, "t": 40 if legend else 16, "b": 48},
        "hovermode": "closest",
        **more,
    }


def view(values: Sequence[float]) -> tuple[float, float] | None:
    """What of an axis is shown first where a few values are so far off that all others would be one line; else None.

    That is where the whole range is more than ten times that between the 2nd and the 98th percentile.
    """
    ordered = sorted(values)
    if len(ordered) < 10:
        return None
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.02, 0.98))
    if high <= low or ordered[-1] - ordered[0] <= 10 * (high - low):
        return None
    margin = (high - low) / 4
    return max(ordered[0], low - margin), min(ordered[-1], high + margin)
