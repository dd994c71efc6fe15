"""How good configurations are over several seeds, and whether they beat another one: intervals and tests by SciPy.

Nothing here knows of sweeps; `sweeptui.core.validating` says which trials are replicates of what.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

LEVEL = 0.95
ROUNDING = 1e-12
"""Differences that are this small beside the scores are none."""
Verdict = Literal["real", "worse", "not shown", "no noise", "too few"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The score of one configuration, over its replicates."""

    count: int
    mean: float | None
    std: float | None
    """Of a single training, with n - 1; None below two of them."""
    low: float | None
    high: float | None
    """The 95% interval of the mean, by Student's t; None below two of them."""


def estimate(scores: Sequence[float]) -> Estimate:
    """Of the scores of one configuration with different seeds."""
    if len(scores) < 2:
        return Estimate(len(scores), scores[0] if scores else None, None, None, None)
    from scipy import stats  # noqa: PLC0415 - takes a quarter of a second

    mean, spread = fmean(scores), stdev(scores)
    if spread <= ROUNDING * abs(mean):
        return Estimate(len(scores), mean, 0.0, mean, mean)
    low, high = stats.ttest_1samp(scores, 0.0).confidence_interval(LEVEL)
    return Estimate(len(scores), mean, spread, float(low), float(high))


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better one configuration is than another, in the metric's unit; more is better, whatever the goal."""

    pairs: int
    """Seeds that both have a score with."""
    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    """Of the two-sided paired t-test, times the number of comparisons."""
    verdict: Verdict

    @property
    def sentence(self) -> str:
        match self.verdict:
            case "real":
                return "the gain is real"
            case "worse":
                return "it is worse than the default"
            case "not shown":
                return "no gain is shown: chance alone may be behind it"
            case "no noise":
                return "it is the same with every seed, so the difference is what it is"
        return "fewer than two seeds have a score of both, so nothing can be said"


def gain(ours: Mapping[int, float], theirs: Mapping[int, float], goal: str, comparisons: int = 1) -> Gain:
    """Compare two configurations on the seeds that both were trained with.

    A paired t-test: what a seed does to both of them cancels. With several `comparisons` each interval is widened so
    that all hold together with 95% (Bonferroni), and a gain is "real" where its interval lies above 0.
    """
    sign = -1.0 if goal == "minimize" else 1.0
    seeds = sorted(ours.keys() & theirs.keys())
    differences = [sign * (ours[seed] - theirs[seed]) for seed in seeds]
    if len(differences) < 2:
        return Gain(len(seeds), differences[0] if differences else None, None, None, None, "too few")
    mean = fmean(differences)
    if max(differences) - min(differences) <= ROUNDING * max(map(abs, [*ours.values(), *theirs.values()])):
        return Gain(len(seeds), mean, mean, mean, None, "no noise")
    from scipy import stats  # noqa: PLC0415 - takes a quarter of a second

    test = stats.ttest_rel([sign * ours[seed] for seed in seeds], [sign * theirs[seed] for seed in seeds])
    low, high = test.confidence_interval(1 - (1 - LEVEL) / comparisons)
    verdict: Verdict = "real" if low > 0 else "worse" if high < 0 else "not shown"
    p = float(test.pvalue)
    return Gain(
        len(seeds), mean, float(low), float(high), min(1.0, comparisons * p) if math.isfinite(p) else None, verdict
    )
