"""Which parameters the trials tell of: in milliseconds and by no library, for what is looked at all the time.

    told(names, [(trial.params, trial.score), ...])       # {"lr": 0.41, "width": 0.12}; the others cannot be told

A test of Kruskal and Wallis (1952) for each parameter: whether the ranks of the scores differ between the parts of its
axis. It sees what a parameter does by itself, whatever the shape; what two do only together is for `importance`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

LEAST_TRIALS = 10
MOST_TRIALS = 2000
"""Of longer sweeps so many, drawn evenly: a sort of each parameter's values is a millisecond then."""
PARTS = 4
"""Of an axis of many values, with equally many trials in each."""
LEAST_IN_PART = 3
LEVEL = 0.01
"""For all parameters together. It is looked at again and again while a sweep grows, so it is not 5%."""


def told(
    names: Sequence[str], results: Sequence[tuple[Mapping[str, Any], float]], level: float = LEVEL
) -> dict[str, float]:
    """The parameters that make a difference beyond chance, the most important first.

    With each stands the share of the variance of the scores' ranks that it explains (epsilon squared: what chance alone
    would explain is taken off). `results` are trials with finite scores, in the user's sign or not: only their ranks
    count. A trial without a parameter has no say in it. By Holm (1979) one sweep in 1 / `level` in which none matters
    calls any important.
    """
    if len(results) < LEAST_TRIALS:
        return {}
    if len(results) > MOST_TRIALS:
        results = [results[round(k * (len(results) - 1) / (MOST_TRIALS - 1))] for k in range(MOST_TRIALS)]
    ranks = midranks([score for _, score in results])
    found: list[tuple[float, str, float]] = []
    for name in names:
        values = [(params[name], rank) for (params, _), rank in zip(results, ranks, strict=True) if name in params]
        parts = _parts(values)
        if (tested := kruskal(parts)) is not None:
            statistic, freedom = tested
            count = sum(map(len, parts))
            found.append((chance(statistic, freedom), name, (statistic - freedom) / (count - 1 - freedom)))
    found.sort()
    shares: dict[str, float] = {}
    for place, (p, name, share) in enumerate(found):
        if p > level / (len(found) - place):
            break
        shares[name] = share
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def midranks(values: Sequence[float]) -> list[float]:
    """The rank of each, from 1; equals share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in order[first : last + 1]:
            ranks[place] = (first + last) / 2 + 1
        first = last + 1
    return ranks


def kruskal(parts: Sequence[Sequence[float]]) -> tuple[float, int] | None:
    """The statistic H, corrected for ties, and its degrees of freedom. None where nothing can be compared."""
    ranks = [rank for part in parts for rank in part]
    freedom = len(parts) - 1
    if freedom < 1 or len(ranks) <= len(parts):
        return None
    mean = math.fsum(ranks) / len(ranks)
    total = math.fsum((rank - mean) ** 2 for rank in ranks)
    if total <= 0:
        return None
    between = math.fsum(len(part) * (math.fsum(part) / len(part) - mean) ** 2 for part in parts)
    return (len(ranks) - 1) * between / total, freedom


def chance(statistic: float, freedom: int) -> float:
    """How likely chance alone makes H so large: the upper tail of chi squared, by Wilson and Hilferty (1931)."""
    spread = 2 / (9 * freedom)
    return 1 - NormalDist().cdf(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def _parts(values: Sequence[tuple[Any, float]]) -> list[list[float]]:
    """The ranks of the scores by the parts of the axis; values that are no numbers, or few, are parts of their own."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value, _ in values)
    if numbers and len({value for value, _ in values}) > PARTS:
        return _quantiles(values)
    groups: dict[Hashable, list[float]] = {}
    for value, rank in values:
        groups.setdefault(repr(value), []).append(rank)
    return [group for group in groups.values() if len(group) >= LEAST_IN_PART]


def _quantiles(values: Sequence[tuple[float, float]]) -> list[list[float]]:
    """As many trials in each part, but equal values in the same one."""
    ordered = sorted(values, key=lambda pair: pair[0])
    count = min(PARTS, len(ordered) // LEAST_IN_PART)
    parts: list[list[float]] = []
    for index, (value, rank) in enumerate(ordered):
        begins = index * count // len(ordered) >= len(parts) and (index == 0 or value != ordered[index - 1][0])
        if begins:
            parts.append([])
        parts[-1].append(rank)
    return [part for part in parts if len(part) >= LEAST_IN_PART]
