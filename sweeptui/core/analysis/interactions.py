"""Which parameters act together, and whether the trials can tell.

    belief = Belief(space, evidence)
    interactions(space, evidence, belief)          # `Interaction`s, the strongest first

Models of noise believe in interactions, and are sure of them. So a pair is told only where it is more than their
uncertainty would show, and foresees more of trials left out than any pair does once the scores are shuffled among the
trials (Altmann et al. 2010; by the largest of all pairs, Westfall and Young 1993): of sweeps in which nothing matters
one in 20 has any. The models are fitted anew for each shuffle, in 1 to 5 s for all.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeptui.core.analysis.importance import SHUFFLES

if TYPE_CHECKING:
    from sweeptui.core.analysis.belief import Belief, Interaction
    from sweeptui.core.analysis.evidence import Evidence
    from sweeptui.core.space import Space


def interactions(space: Space, evidence: Evidence, belief: Belief, *, seed: int = 0) -> list[Interaction]:
    """Of each two of the most relevant parameters; `told` says which are more than chance."""
    found = belief.interactions()
    if not any(each.told for each in found):
        return found
    ours = belief.strengths()
    chance = _by_chance(space, evidence, seed) if any(ours.values()) else 0.0
    return [replace(each, told=each.told and ours.get(each.parameters, 0.0) > chance) for each in found]


def _by_chance(space: Space, evidence: Evidence, seed: int) -> float:
    """The strongest interaction that is found in shuffled scores."""
    from sweeptui.core.analysis.belief import Belief  # noqa: PLC0415 - with numpy

    rng = random.Random(seed)  # noqa: S311 - not cryptography
    scores = [each.score for each in evidence.observations]
    most = 0.0
    for _ in range(SHUFFLES):
        rng.shuffle(scores)
        mixed = [
            replace(each, score=score, scores=()) for each, score in zip(evidence.observations, scores, strict=True)
        ]
        strengths = Belief(space, replace(evidence, observations=mixed), seed=seed).strengths()
        most = max(most, *strengths.values(), 0.0)
    return most
