"""Protein as an Optuna sampler, against the tests that Optuna publishes for samplers, and on a study of its own."""

from __future__ import annotations

import statistics

import optuna
import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from sweeptui.core.errors import UserError
from sweeptui.integrations.optuna import ProteinSampler

SMALL = {"num_random_samples": 3, "random_suggestions": 64, "suggestions_per_pareto": 16}


class TestProteinSampler(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: ProteinSampler(seed=0, settings=SMALL)


def objective(trial):
    x = trial.suggest_float("x", -5, 5)
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    return (x - 1) ** 2 + abs(lr - 1e-3) * 10 + (kind == "a")


def best(sampler, trials=25):
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return study.best_value


def test_one_line_makes_a_study_better():
    ours = [best(ProteinSampler(seed=seed)) for seed in range(3)]
    theirs = [best(optuna.samplers.RandomSampler(seed=seed)) for seed in range(3)]
    assert statistics.median(ours) < statistics.median(theirs) / 3


def test_the_same_seed_gives_the_same_study():
    def params(seed):
        study = optuna.create_study(sampler=ProteinSampler(seed=seed, settings=SMALL))
        study.optimize(objective, n_trials=8)
        return [trial.params for trial in study.trials]

    assert params(3) == params(3)
    assert params(3) != params(4)


def test_failed_and_running_trials_are_known():
    def failing(trial):
        if objective(trial) > 5:
            raise ValueError("diverged")
        return objective(trial)

    study = optuna.create_study(sampler=ProteinSampler(seed=0, settings=SMALL))
    study.optimize(failing, n_trials=15, catch=ValueError)
    space = {"x": optuna.distributions.FloatDistribution(-5, 5)}
    asked = [study.ask(space).params["x"] for _ in range(4)]
    assert len(set(asked)) == 4
    states = {trial.state.name for trial in study.trials}
    assert {"COMPLETE", "FAIL", "RUNNING"} <= states


def test_the_cost_attribute_reaches_protein():
    def costly(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("cost", 1 + 1000 * x)
        return x

    study = optuna.create_study(
        direction="maximize", sampler=ProteinSampler(seed=0, settings={**SMALL, "max_suggestion_cost": 300.0})
    )
    study.optimize(costly, n_trials=20)
    late = [trial.params["x"] for trial in study.trials[8:]]
    assert max(late) < 0.5, "what is predicted to cost more is tried last"


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match="acquisition"):
        ProteinSampler(settings={"acquisition": "magic"})
