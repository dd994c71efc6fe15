"""Keeping away from where trials fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_FAILURES = 3
"""Fewer say more about bad luck than about a region."""
WIDTH = 0.15
"""Of the kernel, per square root of the number of axes."""


def log_success(
    points: NDArray[np.float64], succeeded: NDArray[np.float64], failed: NDArray[np.float64], axes: int
) -> NDArray[np.float64]:
    """Log of the share of successes near each point (Nadaraya-Watson), drawn to the overall share where data is thin.

    Rows are features. All zeros below `MIN_FAILURES` failures.
    """
    if len(failed) < MIN_FAILURES:
        return np.zeros(len(points))
    good, bad = (_weight(points, known, axes) for known in (succeeded, failed))
    overall = (len(succeeded) + 1) / (len(succeeded) + len(failed) + 2)
    log_share: NDArray[np.float64] = np.log((good + overall) / (good + bad + 1))
    return log_share


def _weight(points: NDArray[np.float64], known: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    squared = ((points**2).sum(axis=1)[:, None] + (known**2).sum(axis=1)[None, :] - 2 * points @ known.T).clip(min=0.0)
    weight: NDArray[np.float64] = np.exp(-0.5 * squared / (WIDTH**2 * axes)).sum(axis=1)
    return weight
