"""The optimizers that Protein is measured against, each with its own defaults.

All have `ask(n)`, which gives `n` configurations that are all still open, and `tell(configuration, loss, cost)`, which
takes what `ask` gave, the very object, or a configuration from elsewhere. Losses are minimised.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.referee import factory as protein

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.tasks import Parameter, SearchSpace

Configuration = dict[str, Any]


class Peer:
    def __init__(self, space: SearchSpace, seed: int, budget: int, batch: int = 1, cost_aware: bool = False) -> None:
        self.space, self.seed, self.budget, self.batch, self.cost_aware = space, seed, budget, batch, cost_aware
        warnings.filterwarnings("ignore")
        self.open: dict[int, tuple[Any, Configuration]] = {}
        self.set_up()

    def set_up(self) -> None:
        """Make what `ask` needs."""

    def ask(self, n: int = 1) -> list[Configuration]:
        return [self.ask_one() for _ in range(n)]

    def ask_one(self) -> Configuration:
        raise NotImplementedError

    def tell(self, configuration: Configuration, loss: float, cost: float) -> None:
        """Learn from a result; what searches blindly does not."""

    def opened(self, handle: Any, configuration: Configuration) -> Configuration:
        self.open[id(configuration)] = (handle, configuration)
        return configuration

    def handle(self, configuration: Configuration) -> Any:
        known = self.open.pop(id(configuration), None)
        return None if known is None else known[0]


class Random(Peer):
    def set_up(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def ask_one(self) -> Configuration:
        return self.space.sample(self.rng)


class Sobol(Peer):
    def set_up(self) -> None:
        from scipy.stats import qmc

        self.points = qmc.Sobol(len(self.space.params), scramble=True, seed=self.seed)

    def ask_one(self) -> Configuration:
        return self.space.at(self.points.random(1)[0])


class Optuna(Peer):
    sampler = "TPESampler"

    def set_up(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.create_trial = optuna.trial.create_trial
        self.distributions = {each.name: self._distribution(optuna.distributions, each) for each in self.space.params}
        self.study = optuna.create_study(sampler=getattr(optuna.samplers, self.sampler)(seed=self.seed))

    @staticmethod
    def _distribution(kinds: Any, each: Parameter) -> Any:
        if each.kind == "cat":
            return kinds.CategoricalDistribution(each.choices)
        return (kinds.IntDistribution if each.kind == "int" else kinds.FloatDistribution)(
            each.lo, each.hi, log=each.log
        )

    def ask_one(self) -> Configuration:
        trial = self.study.ask(self.distributions)
        return self.opened(trial, dict(trial.params))

    def tell(self, configuration: Configuration, loss: float, cost: float) -> None:
        trial = self.handle(configuration)
        if trial is not None:
            self.study.tell(trial, loss)
        else:
            self.study.add_trial(self.create_trial(params=configuration, distributions=self.distributions, value=loss))


class OptunaGP(Optuna):
    sampler = "GPSampler"


class OptunaCMA(Optuna):
    sampler = "CmaEsSampler"


class Ax(Peer):
    def set_up(self) -> None:
        from ax.api.client import Client
        from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

        logging.disable(logging.WARNING)
        self.client = Client(random_seed=self.seed)
        self.client.configure_experiment(
            parameters=[
                ChoiceParameterConfig(name=each.name, parameter_type="str", values=list(each.choices), is_ordered=False)
                if each.kind == "cat"
                else RangeParameterConfig(
                    name=each.name,
                    parameter_type=each.kind,
                    bounds=(each.lo, each.hi),
                    scaling="log" if each.log else "linear",
                )
                for each in self.space.params
            ]
        )
        self.client.configure_optimization(objective="-loss")

    def ask(self, n: int = 1) -> list[Configuration]:
        asked: list[Configuration] = []
        while len(asked) < n:  # it may give fewer than asked for
            trials = self.client.get_next_trials(max_trials=n - len(asked))
            asked += [self.opened(index, dict(params)) for index, params in trials.items()]
        return asked

    def tell(self, configuration: Configuration, loss: float, cost: float) -> None:
        index = self.handle(configuration)
        if index is None:
            index = self.client.attach_trial(parameters=configuration)
        self.client.complete_trial(trial_index=index, raw_data={"loss": float(loss)})


class Smac(Peer):
    def set_up(self) -> None:
        import ConfigSpace
        from smac import HyperparameterOptimizationFacade, Scenario
        from smac.runhistory.dataclasses import TrialInfo, TrialValue

        logging.disable(logging.WARNING)
        self.info, self.value, self.configuration = TrialInfo, TrialValue, ConfigSpace.Configuration
        self.config_space = ConfigSpace.ConfigurationSpace(seed=self.seed)
        for each in self.space.params:
            if each.kind == "cat":
                self.config_space.add(ConfigSpace.CategoricalHyperparameter(each.name, list(each.choices)))
            else:
                kind = getattr(ConfigSpace, f"Uniform{'Integer' if each.kind == 'int' else 'Float'}Hyperparameter")
                self.config_space.add(kind(each.name, each.lo, each.hi, log=each.log))
        self.folder = tempfile.TemporaryDirectory(prefix="smac-")
        scenario = Scenario(
            self.config_space,
            deterministic=True,
            n_trials=self.budget,
            seed=self.seed,
            output_directory=Path(self.folder.name),
        )
        self.smac = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False
        )

    def ask_one(self) -> Configuration:
        info = self.smac.ask()
        plain = {k: (v.item() if hasattr(v, "item") else v) for k, v in dict(info.config).items()}
        return self.opened(info, plain)

    def tell(self, configuration: Configuration, loss: float, cost: float) -> None:
        info = self.handle(configuration)
        if info is None:
            info = self.info(self.configuration(self.config_space, values=configuration), seed=0)
        self.smac.tell(info, self.value(cost=float(loss), time=float(cost)), save=False)


class NGOpt(Peer):
    def set_up(self) -> None:
        import nevergrad

        def instrument(each: Parameter) -> Any:
            if each.kind == "cat":
                return nevergrad.p.Choice(list(each.choices))
            made = (nevergrad.p.Log if each.log else nevergrad.p.Scalar)(lower=each.lo, upper=each.hi)
            return made.set_integer_casting() if each.kind == "int" else made

        parameters = nevergrad.p.Dict(**{each.name: instrument(each) for each in self.space.params})
        parameters.random_state.seed(self.seed)
        self.ngopt = nevergrad.optimizers.NGOpt(parameters, budget=self.budget, num_workers=self.batch)

    def ask_one(self) -> Configuration:
        candidate = self.ngopt.ask()
        return self.opened(candidate, dict(candidate.value))

    def tell(self, configuration: Configuration, loss: float, cost: float) -> None:
        candidate = self.handle(configuration)
        if candidate is None:
            candidate = self.ngopt.parametrization.spawn_child(new_value=configuration)
        self.ngopt.tell(candidate, float(loss))


class Hebo(Peer):
    """Its pins (numpy<1.25) are old: `pip install --no-deps --target DIR hebo disjoint-set`, and DIR on PYTHONPATH."""

    def set_up(self) -> None:
        import pandas
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        np.random.seed(self.seed)
        torch.manual_seed(self.seed)
        kinds = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}
        described = []
        for each in self.space.params:
            if each.kind == "cat":
                described.append({"name": each.name, "type": "cat", "categories": list(each.choices)})
            else:
                base = {"base": 10} if each.log else {}
                kind = kinds[each.kind, each.log]
                described.append({"name": each.name, "type": kind, "lb": each.lo, "ub": each.hi} | base)
        self.frame = pandas.DataFrame
        self.hebo = HEBO(DesignSpace().parse(described), scramble_seed=self.seed)

    def ask(self, n: int = 1) -> list[Configuration]:
        rows = self.hebo.suggest(n_suggestions=n).to_dict("records")
        return [{k: (v.item() if hasattr(v, "item") else v) for k, v in row.items()} for row in rows]

    def tell(self, configuration: Configuration, loss: float, cost: float) -> None:
        self.hebo.observe(self.frame([configuration]), np.array([[loss]], float))


PEERS: dict[str, Callable[..., Any]] = {
    "protein": protein,
    "random": Random,
    "sobol": Sobol,
    "tpe": Optuna,
    "gpsampler": OptunaGP,
    "cmaes": OptunaCMA,
    "ngopt": NGOpt,
    "smac": Smac,
    "ax": Ax,
    "hebo": Hebo,
}
IMPORTS = {"tpe": "optuna", "gpsampler": "optuna", "cmaes": "optuna", "ax": "ax.api.client", "smac": "smac"}
"""What takes seconds to import and is therefore imported once, before the runs are forked off."""


def imported(methods: list[str]) -> None:
    """Import what `methods` need; what cannot be had shows in their runs."""
    for name in dict.fromkeys(IMPORTS[each] for each in methods if each in IMPORTS):
        try:
            __import__(name)
        except ImportError as error:
            print(f"{name} cannot be imported: {error}", file=sys.stderr)
