"""What is believed before the first trial: that the best is nearer to the search's centre than to a far corner."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest
from test_protein import _slope, bump, history, one, protein

from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.protein import centre
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.protein.centre import CENTRE_WEIGHT, Pull
from sweeptui.core.space import Choice, Space, Uniform
from sweeptui.core.trial import Observation

OFF_CENTRE = Space.from_parameters({"x": Uniform(0.0, 1.0, mean=0.2), "c": Choice(["a", "b"]), "y": Uniform(0.0, 1.0)})


def test_a_point_at_the_far_end_of_an_axis_has_the_weight_less() -> None:
    pull = Pull.of(Axes(OFF_CENTRE), 4)
    at = np.array([[0.2, 0.25, 0.5], [1.0, 0.25, 0.5], [0.2, 0.75, 0.0], [0.2, 0.75, 1.0], [0.6, 0.25, 0.5]])
    assert pull.value(at) == pytest.approx([0.0, -CENTRE_WEIGHT / 4, -CENTRE_WEIGHT / 4, -CENTRE_WEIGHT / 4,
                                            -CENTRE_WEIGHT / 16])  # fmt: skip
    value, slope = pull.gradient(np.array([0.7, 0.1]))
    assert value == pytest.approx(pull.value(np.array([[0.7, 0.25, 0.1]]))[0])
    assert slope == pytest.approx(_slope(lambda numeric: pull.gradient(numeric)[0], np.array([0.7, 0.1])), abs=1e-6)


def test_what_is_believed_fades_with_what_is_seen() -> None:
    far = np.array([[1.0, 0.25, 0.5]])
    values = [Pull.of(Axes(OFF_CENTRE), count).value(far)[0] for count in (3, 30, 300)]
    assert values == pytest.approx([-CENTRE_WEIGHT / 3, -CENTRE_WEIGHT / 30, -CENTRE_WEIGHT / 300])


def test_few_trials_are_looked_at_from_the_mean_of_each_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of six trials that tell nothing of where to go."""

    def away(mean: float) -> float:
        """How far from the mean the next trial is, of 1 at the other end, along the axis where that is most."""
        space = Space.from_parameters({name: Uniform(0.0, 1.0, mean=mean) for name in "xy"})
        places = []
        for seed in range(8):
            dice = random.Random(seed)
            rows = [Observation(k, space.sample(dice), dice.gauss(0.0, 1.0), 1.0) for k in range(1, 7)]
            found = one(protein(space, seed=seed), History(tuple(rows)), 7).params
            places.append(max(abs(value - mean) for value in found.values()) / max(mean, 1 - mean))
        return statistics.mean(places)

    near = [away(0.2), away(0.5), away(0.8)]
    monkeypatch.setattr(centre, "CENTRE_WEIGHT", 0.0)
    without = [away(0.2), away(0.5), away(0.8)]
    assert all(a < b - 0.05 for a, b in zip(near, without, strict=True)), (near, without)


@pytest.mark.parametrize("acquisition", ["ucb", "naive"])
def test_the_other_acquisitions_are_what_they_are_called(acquisition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = history(12, bump)
    plain = one(protein(acquisition=acquisition), seen, 13)
    monkeypatch.setattr(centre, "CENTRE_WEIGHT", 1e5)
    assert one(protein(acquisition=acquisition), seen, 13) == plain
    assert one(protein(), seen, 13).params["x"] == pytest.approx(0.5, abs=0.05), "and the default is pulled"
