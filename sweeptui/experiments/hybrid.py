"""Several ways to search, one after the other: explore, model, refine by a population, and validate the best."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from sweeptui.core.errors import UserError
from sweeptui.core.experiments import Context, Pipeline, ref
from sweeptui.core.schedulers import PBTScheduler
from sweeptui.experiments.experiment import Experiment
from sweeptui.experiments.optimizers import Optimizer, ProteinOptimizer, SobolOptimizer
from sweeptui.experiments.sweep import SweepExperiment, Train

SEED_OF_VALIDATION = 1_000_000
"""No trial of the search has had the seeds that follow from it."""


class HybridExperiment(Experiment):
    """Explores broadly, models what it found, refines by a population, and validates the best configurations.

    `explore` trials are spread over the space (`max_time_per_trial` seconds at most, each). `model` trials are
    Protein's, warm-started from them. A population of `population_size`, whose first members Protein suggests from all
    that was seen, is refined over `generations` (this needs a training that goes on from its checkpoints). The best
    `candidates` of the first two phases and the best of the population are trained anew with `n_seeds` seeds that the
    search has not seen; the best mean wins.

    A population's result is a schedule, of which only the last values are validated here: from the beginning, as any
    other configuration.

    The result has `best_params`, `best_mean`, and `validation_scores`: for each candidate its `phase`, `params`,
    `searched` (the score that it was chosen for), `scores`, `mean` and `std`.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        train: Train | None = None,
        explore: int = 12,
        model: int = 12,
        population_size: int = 4,
        generations: int = 4,
        candidates: int = 2,
        n_seeds: int = 5,
        max_time_per_trial: float | None = None,
        **fields: Any,
    ) -> None:
        """More keywords are fields of each sweep's `SweepTool`. Raises `UserError` for what cannot be meant."""
        super().__init__(name)
        counts = {
            "explore": explore,
            "model": model,
            "population_size": population_size,
            "generations": generations,
            "candidates": candidates,
            "n_seeds": n_seeds,
        }
        for field, value in counts.items():
            if value < 1:
                raise UserError(f"{field} is {value}; it must be at least 1")
        self.counts = counts
        self.max_time_per_trial = max_time_per_trial
        self.sweep = SweepExperiment(train=train, **fields)

    def pipeline(self) -> Pipeline:
        counts = self.counts
        return (
            Pipeline()
            .stage("explore", self.explore)
            .through(exploration=dict[str, Any], n_trials=counts["explore"], max_time_per_trial=self.max_time_per_trial)
            .stage("model", self.model)
            .through(modeled=dict[str, Any], n_trials=counts["model"], init_from=ref("exploration"))
            .stage("refine", self.refine)
            .through(
                refined=dict[str, Any], population_size=counts["population_size"], generations=counts["generations"]
            )
            .stage("choose", self.choose)
            .through(chosen=list[dict[str, Any]], candidates=counts["candidates"])
            .stage("validate", self.validate)
            .through(validation_scores=list[dict[str, Any]], n_seeds=counts["n_seeds"])
            .stage("decide", self.decide)
            .through(best_params=dict[str, Any], best_mean=float)
        )

    def explore(self, ctx: Context) -> Any:
        limit = {} if ctx.max_time_per_trial is None else {"train_timeout_s": ctx.max_time_per_trial}
        return self.sweep.changed(optimizer=SobolOptimizer(), **limit).run(ctx.n_trials)

    def model(self, ctx: Context) -> Any:
        protein = ProteinOptimizer(num_random_samples=0)
        return self.sweep.changed(optimizer=protein, warm_start=ctx.init_from["name"], seed=1).run(ctx.n_trials)

    def refine(self, ctx: Context) -> Any:
        population = PBTScheduler(population_size=ctx.population_size, num_generations=ctx.generations)
        protein = ProteinOptimizer(num_random_samples=0)
        sweep = self.sweep.changed(optimizer=protein, scheduler=population, warm_start=ctx.modeled["name"], seed=2)
        return sweep.run(ctx.population_size * ctx.generations)

    def choose(self, ctx: Context) -> dict[str, Any]:
        """The best of exploring and modelling together, and the best of the population."""
        sign = -1 if ctx.exploration["goal"] == "minimize" else 1
        searched = [("explore", trial) for trial in _scored(ctx.exploration)]
        searched += [("model", trial) for trial in _scored(ctx.modeled)]
        best = sorted(searched, key=lambda each: sign * each[1]["score"], reverse=True)[: ctx.candidates]
        refined = sorted(_scored(ctx.refined), key=lambda trial: sign * trial["score"], reverse=True)[:1]
        best += [("refine", trial) for trial in refined]
        if not best:
            raise UserError("no trial of any phase gave a score, so there is nothing to validate")
        return {
            "chosen": [{"phase": phase, "params": trial["params"], "searched": trial["score"]} for phase, trial in best]
        }

    def validate(self, ctx: Context) -> dict[str, Any]:
        validated = []
        for candidate in ctx.chosen:
            fixed = {path: {"distribution": "constant", "value": value} for path, value in candidate["params"].items()}
            sweep = self.sweep.changed(optimizer=Optimizer("random", fixed), seed=SEED_OF_VALIDATION)
            results: Any = sweep.run(ctx.n_seeds)
            scores = [trial["score"] for trial in _scored(results)]
            if not scores:
                raise UserError(f"none of the {ctx.n_seeds} trainings of sweep {results.name} gave a score")
            spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
            validated.append({**candidate, "scores": scores, "mean": statistics.mean(scores), "std": spread})
        return {"validation_scores": validated}

    def decide(self, ctx: Context) -> dict[str, Any]:
        sign = -1 if ctx.exploration["goal"] == "minimize" else 1
        best = max(ctx.validation_scores, key=lambda candidate: sign * candidate["mean"])
        return {"best_params": best["params"], "best_mean": best["mean"]}

    def summary(self, result: Mapping[str, Any]) -> list[str]:
        lines = [f"{'phase':<8}  {'searched':>8}  {'mean':>8}  {'std':>8}  parameters"]
        for each in result["validation_scores"]:
            params = " ".join(f"{name}={value:.4g}" for name, value in each["params"].items())
            lines.append(
                f"{each['phase']:<8}  {each['searched']:>8.4g}  {each['mean']:>8.4g}  {each['std']:>8.4g}  {params}"
            )
        return [*lines, f"best: mean {result['best_mean']:.4g} over {self.counts['n_seeds']} new seeds"]


def _scored(results: Any) -> list[dict[str, Any]]:
    return [trial for trial in results["trials"] if trial["score"] is not None and trial["failure"] is None]
