"""A Pareto-genetic search: offspring of the trials that no other one beats in both score and cost.

After PufferLib's `ParetoGenetic` (the search centre first, then mutations of the member of the front that is the most
isolated in cost), with its three faults mended: goals to minimize, costs of zero, and ties. Crossover and tournaments
are those of NSGA-II (Deb et al., 2002).
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from sweeptui.core.objectives import dominates
from sweeptui.core.optimizers.base import Suggestion
from sweeptui.core.optimizers.configurations import (
    check_not_exhausted,
    configuration_key,
    draw_unused,
    is_complete,
    is_new,
    one_by_one,
    used_configurations,
)
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.optimizers.base import History
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Observation

CROSSOVER = 0.5
"""Chance that a child has two parents."""
MUTATED = 2.0
"""How many axes a mutation changes, on average; at least one."""
POPULATION = 16
"""Parents, at least, with several objectives."""
TRIES = 64
"""Children that were tried before are made again so often, with a wider reach each time."""


class GeneticOptimizer:
    """A population that lives in the history: its parents are the Pareto front of score and cost.

    With several `goals` they are the first fronts of all objectives, and tournaments are won by the front, then by the
    crowding distance (NSGA-II); cost has no say then.

    Of the settings it takes `seed_with_search_center`, `num_random_samples` (the first generation) and
    `global_search_scale` (how far a mutation reaches). Raises `SpaceExhaustedError` when nothing is left.
    """

    def __init__(
        self, space: Space, *, goal: str, goals: Sequence[str] = (), settings: Mapping[str, Any], seed: int
    ) -> None:
        self._space = space
        self._signs = [-1.0 if each == "minimize" else 1.0 for each in goals or (goal,)]
        self._seed = seed
        self._centre_first = bool(settings.get("seed_with_search_center", True))
        self._first_generation = int(settings.get("num_random_samples", 5))
        self._scale = float(settings.get("global_search_scale", 1.0))

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        used = used_configurations(self._space, history)
        position = sum(
            is_complete(self._space, entry.params)
            for part in (history.observations, history.failures, history.pending)
            for entry in part
        )
        observations = [o for o in history.observations if is_complete(self._space, o.params)]
        front = self._front(observations) if len(self._signs) == 1 else self._population(observations)

        def choose(number: int) -> Suggestion:
            rng = random.Random(stream_seed(self._seed, number, "genetic"))  # noqa: S311 - not cryptography
            suggestion = self._choose(position + number - first_number, front, used, rng)
            used.add(configuration_key(self._space, suggestion.params))
            return suggestion

        return one_by_one(choose, first_number, n)

    def _choose(self, position: int, front: Sequence[_Member], used: set[str], rng: random.Random) -> Suggestion:
        check_not_exhausted(self._space, used)
        if position == 0 and self._centre_first:
            return Suggestion(self._space.center(), {"method": "center"})
        if position < self._first_generation + int(self._centre_first) or not front:
            return Suggestion(draw_unused(self._space, used, rng), {"method": "random"})
        first = _tournament(front, rng)
        second = _tournament(front, rng) if rng.random() < CROSSOVER else first
        parents = sorted({first.number, second.number})
        for attempt in range(TRIES):
            params = self._space.decode(self._child(first, second, 1.0 + attempt / 8, rng))
            if is_new(self._space, params, used):
                return Suggestion(params, {"method": "genetic", "parents": parents})
        return Suggestion(
            draw_unused(self._space, used, rng),
            {"method": "random", "fallback": f"{TRIES} children in a row had been tried before or were forbidden"},
        )

    def _child(self, first: _Member, second: _Member, widened: float, rng: random.Random) -> list[float]:
        point = [rng.choice(pair) for pair in zip(first.point, second.point, strict=True)]
        chosen = [axis for axis in range(len(point)) if rng.random() < MUTATED / len(point)]
        for axis in chosen or [rng.randrange(len(point))]:
            distribution = self._space.distributions[self._space.axes[axis]]
            if distribution.kind == "categorical":
                point[axis] = rng.random()
                continue
            # `scale` is in units of an axis from -1 to 1. Whole numbers have to reach at least the next one.
            reach = max(self._scale * distribution.scale / 2, 1 / (distribution.cardinality or math.inf))
            point[axis] = _reflected(rng.gauss(point[axis], widened * reach / 2))
        return point

    def _front(self, observations: Sequence[Observation]) -> list[_Member]:
        """The observations that no other one beats, cheapest first. A cost that is not positive counts as the least."""
        found = [o for o in observations if math.isfinite(o.score)]
        known = [o.cost for o in found if o.cost > 0 and math.isfinite(o.cost)]
        least = min(known, default=1.0)
        members: list[_Member] = []
        rows = [
            (o.cost if o.cost > 0 and math.isfinite(o.cost) else least, -self._signs[0] * o.score, o.number, o)
            for o in found
        ]
        best = math.inf
        for cost, loss, number, observation in sorted(rows, key=lambda row: row[:3]):
            if loss < best:
                best = loss
                members.append(_Member(number, self._space.encode(observation.params), math.log(cost)))
        _measure_isolation(members)
        return members

    def _population(self, observations: Sequence[Observation]) -> list[_Member]:
        """With several objectives: the front, and as many fronts below it as make `POPULATION` parents."""
        usable = [o for o in observations if len(o.scores) == len(self._signs) and all(map(math.isfinite, o.scores))]
        left = [
            (o, tuple(sign * score for sign, score in zip(self._signs, o.scores, strict=True)))
            for o in sorted(usable, key=lambda o: o.number)
        ]
        members: list[_Member] = []
        rank = 0
        while left and len(members) < POPULATION:
            front: list[tuple[Observation, tuple[float, ...]]] = []
            for item in left:
                if not any(dominates(other, item[1]) for _, other in front):
                    front = [each for each in front if not dominates(item[1], each[1])]
                    front.append(item)
            taken = {o.number for o, _ in front}
            left = [item for item in left if item[0].number not in taken]
            found = [_Member(o.number, self._space.encode(o.params), 0.0, rank) for o, _ in front]
            _measure_crowding(found, [point for _, point in front])
            members += found
            rank += 1
        return members


class _Member:
    """A trial of the front, at its place in the unit cube."""

    def __init__(self, number: int, point: list[float], log_cost: float, rank: int = 0) -> None:
        self.number = number
        self.point = point
        self.log_cost = log_cost
        self.rank = rank
        """How many fronts are above its own."""
        self.isolation = math.inf


def _measure_crowding(members: list[_Member], points: Sequence[Sequence[float]]) -> None:
    """How far apart the neighbours of each are, as shares of the front's range, summed over the objectives."""
    for member in members:
        member.isolation = 0.0
    for objective in range(len(points[0])):
        order = sorted(range(len(points)), key=lambda index: (points[index][objective], members[index].number))
        span = points[order[-1]][objective] - points[order[0]][objective]
        members[order[0]].isolation = members[order[-1]].isolation = math.inf
        if not 0 < span < math.inf:
            continue
        for before, at, after in zip(order, order[1:], order[2:], strict=False):
            members[at].isolation += (points[after][objective] - points[before][objective]) / span


def _measure_isolation(members: list[_Member]) -> None:
    """How far in log cost the nearest other member is; they are sorted by it."""
    for place, member in enumerate(members):
        neighbours = members[max(0, place - 1) : place] + members[place + 1 : place + 2]
        member.isolation = min((abs(member.log_cost - other.log_cost) for other in neighbours), default=math.inf)


def _tournament(front: Sequence[_Member], rng: random.Random) -> _Member:
    """The one of the better front of two, and the more isolated of equals."""
    return max(rng.choice(front), rng.choice(front), key=lambda member: (-member.rank, member.isolation))


def _reflected(u: float) -> float:
    """Back into the cube, as in a mirror: clipping would heap children up on its faces."""
    u = abs(u) % 2.0
    return 2.0 - u if u > 1.0 else u
