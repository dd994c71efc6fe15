"""Each ablation of the benchmark takes something away, and what it takes away is still there to take."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.ablations import PARTS, SETTINGS, patches
from sweeptui.core.optimizers.base import History, PendingTrial
from sweeptui.core.optimizers.protein.optimizer import ProteinOptimizer
from sweeptui.core.space import Choice, Integer, LogUniform, Space, Uniform
from sweeptui.core.trial import Observation, Params

SPACE = Space.from_parameters(
    {
        "lr": LogUniform(1e-4, 1.0),
        "layers": Integer(1, 40),
        "dropout": Uniform(0.0, 1.0),
        "kind": Choice(["a", "b", "c", "d", "e"]),
    }
)


def score(params: Params) -> float:
    """Steep and not symmetric, with a ridge; dear where it is good."""
    off = (math.log10(params["lr"]) + 1.5) ** 2 + ((params["layers"] - 23) / 20) ** 2 + params["dropout"] ** 2
    off *= 1.0 + "abcde".index(params["kind"])
    return -(off**2) * 10 - math.sin(9 * params["dropout"])


def suggested(part: str, seed: int) -> list[Params]:
    rng = random.Random(seed)
    rows = [SPACE.sample(rng) for _ in range(27)]
    seen = tuple(Observation(k, row, score(row), 1.0 + row["layers"] ** 2) for k, row in enumerate(rows[:24], 1))
    pending = tuple(PendingTrial(24 + k, row) for k, row in enumerate(rows[24:], 1))
    optimizer = ProteinOptimizer(SPACE, goal="maximize", settings=SETTINGS.get(part, {}), seed=1)
    first = [suggestion.params for suggestion in optimizer.suggest(History(), 1, 2)]
    return first + [suggestion.params for suggestion in optimizer.suggest(History(seen, (), pending), 28, 2)]


@pytest.mark.parametrize("part", PARTS)
def test_it_changes_what_is_suggested(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(seed: int) -> bool:
        whole = suggested("", seed)
        with monkeypatch.context() as patched:
            for place, name, value in patches(part):
                patched.setattr(place, name, value)
            return suggested(part, seed) != whole

    assert any(changed(seed) for seed in range(8))
