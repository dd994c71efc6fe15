"""Optimizing the optimizer: a sweep whose every trial is a whole sweep."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from sweeptui.core.errors import UserError, shown
from sweeptui.core.experiments import Context, Pipeline
from sweeptui.core.remote import HYBRID, SKYPILOT
from sweeptui.core.schedulers import PBTScheduler, Scheduler
from sweeptui.core.space import Choice, Integer
from sweeptui.experiments.experiment import Experiment
from sweeptui.experiments.optimizers import Optimizer, RandomOptimizer, Space
from sweeptui.experiments.scope import VARIABLE, current
from sweeptui.experiments.sweep import SweepExperiment, Train
from sweeptui.folders import sweep_path

SETTINGS: Mapping[str, Any] = {"method": Choice(["bayes", "random", "sobol"]), "num_random_samples": Integer(1, 6)}
BASE = "base.json"
GRACE_S = 30.0
"""For a sweep that is told to end: its own trials have their own time for a last checkpoint."""
RETRIES = {"crashed": 1, "out_of_memory": 1}
"""A sweep whose process was killed goes on with its own trials; SIGKILL is taken for a lack of memory."""


class MetaExperiment(Experiment):
    """Finds how `base` is best searched: each configuration is tried by whole sweeps of `trials` trials.

    `space` has what may differ between those sweeps: `method`, and settings of Protein by name. `optimizer` chooses
    among `configurations` of them. A configuration's score is the mean of the best scores of `repeats` sweeps, which
    differ in their seeds; after each of them the mean so far is reported, so that a scheduler such as ASHA may end a
    poor configuration early.

    With `PBTScheduler` (as `scheduler`, or as `optimizer`) the sweeps of a configuration follow each other, each
    warm-started from the one before, a copied configuration goes on where the other was, and the score is the best so
    far; that is for Protein alone.

    Each configuration is a trial too: it counts against a budget as one, beside those of its sweeps. The result has
    `best_config`, `performance` and `results`, those of the sweep over configurations.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        base: SweepExperiment | type[SweepExperiment] = SweepExperiment,
        optimizer: Optimizer | Scheduler | None = None,
        scheduler: Scheduler | str | None = None,
        space: Space | None = None,
        configurations: int = 6,
        trials: int = 6,
        repeats: int = 2,
        train: Train | None = None,
        **fields: Any,
    ) -> None:
        """More keywords are fields of the `SweepTool` over configurations. Raises `UserError` for what is wrong."""
        super().__init__(name)
        if isinstance(optimizer, Scheduler):
            optimizer, scheduler = None, optimizer
        for field, value in (("configurations", configurations), ("trials", trials), ("repeats", repeats)):
            if value < 1:
                raise UserError(f"{field} is {value}; it must be at least 1")
        if not isinstance(base, SweepExperiment) and not (isinstance(base, type) and issubclass(base, SweepExperiment)):
            raise UserError(f"base is {shown(base)}; give a SweepExperiment, or its class and train=")
        self.base = base if isinstance(base, SweepExperiment) else base(train=train)
        self.chained = isinstance(scheduler, PBTScheduler)
        if isinstance(scheduler, PBTScheduler):
            configurations = scheduler.population_size * scheduler.num_generations
            repeats = max(repeats, scheduler.num_generations)
        self.space = dict(SETTINGS if space is None else space)
        if self.chained:
            self.space.pop("method", None)
        self.optimizer = optimizer or RandomOptimizer()
        self.scheduler = scheduler
        self.configurations, self.trials, self.repeats = configurations, trials, repeats
        self.fields = fields
        self._check_place()

    def _check_place(self) -> None:
        """A trial goes through the stores of its own sweeps, which are on this machine."""
        given, routes = self.fields.get("dispatcher_type"), self.fields.get("routes") or {}
        said = f"dispatcher_type is {given!r}" if given in (SKYPILOT, HYBRID) else ""
        said = said or next((f"routes has {key!r}: {at!r}" for key, at in routes.items() if at == SKYPILOT), "")
        if said:
            raise UserError(
                f"{said}, but the trials of a MetaExperiment are whole sweeps, which this machine runs; give it to"
                " base, the SweepExperiment whose trials may run there"
            )

    def pipeline(self) -> Pipeline:
        return (
            Pipeline()
            .stage("search", self.search)
            .through(results=dict[str, Any])
            .stage("update", self.update)
            .through(best_config=dict[str, Any], performance=float)
        )

    def search(self) -> Any:
        """The sweep over configurations."""
        scope = current()
        assert scope is not None
        base = self.base.tool(None, self.trials)
        file = sweep_path(scope.root, scope.name) / BASE
        partial = file.with_suffix(".part")
        partial.write_text(json.dumps(base.to_json()))
        partial.replace(file)
        self.optimizer.search_space = self.space if self.optimizer.search_space is None else self.optimizer.search_space
        command = [
            *("{python}", "-m", "sweeptui.experiments.inside", os.fspath(file).replace("{", "{{").replace("}", "}}")),
            *("--repeats", str(self.repeats), *(["--chained"] if self.chained else []), "--settings", "{overrides}"),
        ]
        sweep = SweepExperiment(
            None,
            self.optimizer,
            self.scheduler,
            train=command,
            metric="performance",
            goal=base.protein_config.goal,
            **{
                "kill_grace_s": GRACE_S,
                "retries": RETRIES,
                **self.fields,
                "env": {**self.fields.get("env", {}), VARIABLE: scope.to_json()},
            },
        )
        return sweep.run(self.configurations)

    def update(self, ctx: Context) -> dict[str, Any]:
        if ctx.results["best_score"] is None:
            raise UserError(f"no configuration of sweep {ctx.results['name']} gave a score; look at its trials")
        return {"best_config": ctx.results["best_params"], "performance": ctx.results["best_score"]}

    def summary(self, result: Mapping[str, Any]) -> list[str]:
        lines = []
        for trial in result["results"]["trials"]:
            score = "no score" if trial["score"] is None else f"{trial['score']:.4g}"
            lines.append(f"{score:>8}  {_told(trial['params'])}")
        return [*lines, f"best: {result['performance']:.4g} with {_told(result['best_config'])}"]


def _told(config: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in config.items())
