"""Each optimizer that comes with sweeptui, against the contract that plug-ins are tested with, too."""

from __future__ import annotations

import pytest
import torch

from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.space import Space, Uniform
from sweeptui.core.trial import Observation
from sweeptui.testing import OptimizerContract
from sweeptui.testing.optimizers import as_json, observations, space_of

SMALL = {"num_random_samples": 2, "random_suggestions": 128, "suggestions_per_pareto": 32}


class Named(OptimizerContract):
    method: str

    def make(self, space, *, goal="maximize", seed=0):
        return resolve(self.method)(space, goal=goal, settings=SMALL, seed=seed)


class TestRandom(Named):
    method = "random"


class TestSobol(Named):
    method = "sobol"
    falls_back = True


class TestGenetic(Named):
    method = "genetic"
    falls_back = True


class TestProtein(Named):
    method = "bayes"

    def test_torchs_random_stream_is_left_alone(self):
        space = space_of("mixed")
        history = History(tuple(observations(space, 10)))
        torch.manual_seed(1)
        first = as_json(self.make(space).suggest(history, 11, 2))
        torch.manual_seed(2)
        before = torch.random.get_rng_state()
        assert as_json(self.make(space).suggest(history, 11, 2)) == first
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_uniform_axes_reach_their_ends(self):
        space = Space.from_parameters({"x": Uniform(0.0, 1.0)})
        done = [Observation(k, {"x": k / 10}, k / 10, 1.0) for k in range(1, 9)]
        [suggestion] = self.make(space).suggest(History(tuple(done)), 9)
        assert suggestion.params["x"] == 1.0


class TestOptunaTpe(Named):
    method = "optuna"
    falls_back = True


class TestOptunaNsga2(Named):
    method = "optuna:NSGAIISampler"
    falls_back = True


class TestOptunaCmaEs(Named):
    method = "optuna:CmaEsSampler"
    falls_back = True


class TestNevergrad(Named):
    method = "nevergrad"
    falls_back = True


@pytest.mark.slow
class TestOptunaGp(Named):
    method = "optuna:GPSampler"
    falls_back = True
    heavy = True


@pytest.mark.slow
class TestAx(Named):
    method = "ax"
    falls_back = True
    knows_goal = False
    heavy = True
