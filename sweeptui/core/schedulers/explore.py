"""How a copied member's parameters change. Whatever is done, they stay inside the search space."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeptui.core.schedulers.base import View
    from sweeptui.core.space import Distribution, Space
    from sweeptui.core.trial import Params, Trial

Explorer = Callable[["View", "Trial", random.Random], "Params"]

FACTORS = (0.8, 1.2)
"""As in the paper."""
RESAMPLE_SHARE = 0.25
"""How often `perturb` draws a parameter anew instead."""
TRIES = 100
"""For parameters that satisfy the constraints; after that they stay as they are."""


def changed(old: Params, new: Params) -> dict[str, Any]:
    """The parameters that differ, with their new values."""
    return {name: value for name, value in new.items() if old.get(name) != value}


def perturb(view: View, parent: Trial, draw: random.Random) -> Params:
    """Each number times 0.8 or 1.2, each choice to one beside it; one in four is drawn anew."""

    def one(distribution: Distribution, value: Any) -> Any:
        if draw.random() < RESAMPLE_SHARE:
            return distribution.from_unit(draw.random())
        return _neighbour(distribution, value, draw)

    return _allowed(view, parent.params, one)


def resample(view: View, parent: Trial, draw: random.Random) -> Params:
    """Each parameter is drawn anew, as the search space draws it."""
    return _allowed(view, parent.params, lambda distribution, _: distribution.from_unit(draw.random()))


def _allowed(view: View, base: Params, one: Callable[[Distribution, Any], Any]) -> Params:
    space: Space | None = view.space
    assert space is not None
    for _ in range(TRIES):
        params = {
            name: one(distribution, base[name]) if name in base else distribution.from_unit(0.5)
            for name, distribution in space.distributions.items()
        }
        params = space.existing(params)
        if space.contains(params) and space.allows(params):
            return params
    return dict(base)


def _neighbour(distribution: Distribution, value: Any, draw: random.Random) -> Any:
    fields: Mapping[str, Any] = distribution.to_json()
    low, high, count = fields.get("min"), fields.get("max"), distribution.cardinality
    factor, side = draw.choice(FACTORS), draw.choice((-1, 1))
    if isinstance(low, int | float) and isinstance(high, int | float):
        moved = min(max(value * factor, low), high)
        if count is None:
            # Through the unit interval and back: with no more digits than a suggestion has.
            return distribution.from_unit(distribution.to_unit(moved))
        if round(moved) != value and distribution.contains(round(moved)):
            return round(moved)
    if not count:
        return value
    at = distribution.to_unit(value) + side / count
    return distribution.from_unit(min(max(at, 0.5 / count), 1 - 0.5 / count))


def pb2(view: View, parent: Trial, draw: random.Random) -> Params:
    """The candidate that a Gaussian process of what improved how much, fading with time, thinks best of.

    As Parker-Holder et al., 2020, with an upper confidence bound over drawn candidates; what trains now narrows the
    uncertainty around it. Before there is anything to learn from, `perturb`.
    """
    assert view.space is not None
    assert view.rungs is not None
    points: list[tuple[list[float], float]] = []
    gains: list[float] = []
    for number in sorted(view.trials, reverse=True):
        trial = view.trials[number]
        before = view.trials.get(int(trial.provenance.get("parent", 0)))
        mine, theirs = view.rungs.highest(trial), before and view.rungs.highest(before)
        if mine and theirs and math.isfinite(mine.loss + theirs.loss):
            points.append((view.space.encode(trial.params), float(trial.provenance["generation"])))
            gains.append(theirs.loss - mine.loss)
        if len(points) == MAX_POINTS:
            break
    if len(points) < MIN_POINTS:
        return perturb(view, parent, draw)
    now = max(time for _, time in points) + 1
    running = [(view.space.encode(trial.params), now) for trial in view.active]
    model = _Process(points, gains, running[:MAX_POINTS])
    tried = [resample(view, parent, draw) for _ in range(CANDIDATES)]
    tried += [perturb(view, parent, draw) for _ in range(CANDIDATES)]
    return max(tried, key=lambda params: model.bound(view.space.encode(params), now))  # type: ignore[union-attr]


MIN_POINTS = 4
MAX_POINTS = 40
CANDIDATES = 25
LENGTH = 0.3
"""Of the kernel, in the unit cube, times the root of the number of axes."""
FORGETTING = 0.1
"""Per generation, as in the paper."""
NOISE = 0.1
KAPPA = 2.0


class _Process:
    """A small Gaussian process in plain Python: a squared exponential over parameters, a decay over generations."""

    def __init__(
        self,
        points: Sequence[tuple[Sequence[float], float]],
        values: Sequence[float],
        running: Sequence[tuple[Sequence[float], float]],
    ) -> None:
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)) or 1.0
        self._points = list(points)
        self._known = _cholesky(self._points)
        scaled = [(value - mean) / spread for value in values]
        self._weights = _solve(self._known, scaled)
        self._all = [*points, *running]
        self._wide = _cholesky(self._all)

    def bound(self, at: Sequence[float], time: float) -> float:
        """Mean plus `KAPPA` standard deviations."""
        here = (at, time)
        mean = sum(
            a * b
            for a, b in zip(_solve(self._known, [_kernel(here, p) for p in self._points]), self._weights, strict=True)
        )
        half = _solve(self._wide, [_kernel(here, p) for p in self._all])
        return float(mean) + KAPPA * math.sqrt(max(0.0, 1.0 - sum(a * a for a in half)))


def _kernel(one: tuple[Sequence[float], float], other: tuple[Sequence[float], float]) -> float:
    apart = sum((a - b) ** 2 for a, b in zip(one[0], other[0], strict=True)) / max(1, len(one[0]))
    return math.exp(-apart / (2 * LENGTH**2)) * math.pow(1 - FORGETTING, abs(one[1] - other[1]) / 2)


def _cholesky(points: Sequence[tuple[Sequence[float], float]]) -> list[list[float]]:
    lower: list[list[float]] = []
    for i, point in enumerate(points):
        row: list[float] = []
        for j in range(i):
            done = sum(a * b for a, b in zip(row, lower[j], strict=False))
            row.append((_kernel(point, points[j]) - done) / lower[j][j])
        row.append(math.sqrt(max(1e-9, 1.0 + NOISE - sum(a * a for a in row))))
        lower.append(row)
    return lower


def _solve(lower: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """x with `lower` x = `right`: the half of a solution that means and variances are made of."""
    found: list[float] = []
    for row, value in zip(lower, right, strict=True):
        found.append((value - sum(a * b for a, b in zip(row, found, strict=False))) / row[-1])
    return found


EXPLORERS: Mapping[str, Explorer] = {"perturb": perturb, "resample": resample, "pb2": pb2}
