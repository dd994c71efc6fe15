"""How numbers, times, costs and names are said, on a screen, on a page and in a message alike."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAIN_BELOW = 1e6
"""Greater numbers are written with an exponent."""
UNKNOWN = "–"  # noqa: RUF001


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many digits; a whole one without a point, and of one that has more, all before the point."""
    if value is None:
        return UNKNOWN
    return f"{value:.0f}" if 10**digits <= abs(value) < PLAIN_BELOW else f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """`4.2s`, `45s`, `3m12s`, `1h05m`, `2d03h`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if 0 < seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = max(0, int(seconds))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d{h:02}h"
    if hours:
        return f"{h}h{m:02}m"
    return f"{m}m{s:02}s" if m else f"{s}s"


def cost(value: float | None, unit: str) -> str:
    """A cost with its unit."""
    if value is None:
        return UNKNOWN
    if unit == "seconds":
        return f"{value:.2f}s" if value < 10 else f"{value:.1f}s" if value < 60 else duration(value)
    return f"${value:.2f}" if unit in ("usd", "dollars") else f"{value:.4g} {unit}"


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """For each dot path its last part, with as much of what comes before as makes it unique."""
    names = {path: path.rpartition(".")[2] for path in paths}
    for depth in range(2, 1 + max((path.count(".") + 1 for path in paths), default=0)):
        taken = Counter(names.values())
        for path, name in names.items():
            if taken[name] > 1:
                names[path] = ".".join(path.split(".")[-depth:])
    return names
