"""The examples of the design for experiments, with only their imports changed and what they leave out filled in."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sweeptui.core.errors import UserError
from sweeptui.core.experiments.memory import Forgetful
from sweeptui.experiments import (
    ASHAScheduler,
    AxOptimizer,
    BayesianOptimizer,
    Choice,
    Experiment,
    Integer,
    LogUniform,
    Optimizer,
    OptunaOptimizer,
    PBTScheduler,
    Pipeline,
    RandomOptimizer,
    Resources,
    Scheduler,
    SweepExperiment,
    SynchronousBatchScheduler,
    Trial,
    Uniform,
    ref,
    trained,
)

logger = logging.getLogger(__name__)
COMMAND = ["{python}", "work.py", "{overrides}"]
WORK = """
import sys
import sweeptui

given = dict(pair.split("=", 1) for pair in sys.argv[1:])
x = float(given.get("x") or given["learning_rate"])
for step in (1, 2, 3, 4):
    sweeptui.report(step=step, total_steps=4, score=x * step, checkpoint=None)
"""
search_space = {
    "learning_rate": LogUniform(1e-4, 1e-1),
    "batch_size": Choice([32, 64, 128, 256]),
    "hidden_size": Integer(64, 512),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- one sweep with different strategies

SWEEPS: dict[str, Callable[[], SweepExperiment]] = {
    "bayesian": lambda: SweepExperiment(
        name="bayesian_sweep",
        optimizer=AxOptimizer(search_space=search_space, acquisition="EI"),
        scheduler=SynchronousBatchScheduler(batch_size=10),
    ),
    "asha": lambda: SweepExperiment(
        name="asha_sweep",
        optimizer=OptunaOptimizer(search_space, sampler="TPE"),
        scheduler=ASHAScheduler(max_epochs=100, reduction_factor=3, grace_period=10),
    ),
    "population": lambda: SweepExperiment(
        name="pbt_sweep",
        optimizer=RandomOptimizer(search_space),
        scheduler=PBTScheduler(
            population_size=20, num_generations=50, exploit_method="truncation", explore_method="perturb"
        ),
    ),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_strategies_are_sweeps_of_the_engine(project: Path, name: str) -> None:
    with trained(COMMAND):
        tool = SWEEPS[name]().tool(name, 1000)
    assert list(tool.space.names) == list(search_space)
    assert tool.scheduler == {"bayesian": "batch", "asha": "asha", "population": "pbt"}[name]


def test_asha_with_tpe_runs(project: Path) -> None:
    pytest.importorskip("optuna")
    with trained(COMMAND):
        results = SWEEPS["asha"]().run(budget=4)
    assert {trial["status"] for trial in results.trials} <= {"completed", "stopped"}  # type: ignore[union-attr]
    assert len(results.trials) == 4  # type: ignore[union-attr]


# -- a pipeline with contracts and hooks


@dataclass
class SuggestionOutput:
    trials: list[dict[str, float]]


@dataclass
class TrainingOutput:
    losses: list[float]


@dataclass
class EvalOutput:
    best: float


class MyExperiment(Experiment):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def pipeline(self) -> Pipeline:
        return (
            Pipeline()
            # Stage 1: Generate suggestions
            .stage("suggest", self.generate_suggestions)
            .through(
                SuggestionOutput,  # Type contract
                # Hooks for monitoring and control
                before=lambda d: logger.info(f"Generating {len(d.trials)} trials"),
                validate=lambda d: len(d.trials) > 0,
                checkpoint=True,
                timeout=300,
            )
            # Stage 2: Train models
            .stage("train", self.train_models)
            .through(
                TrainingOutput,
                retry=3,  # Retry failed training
                on_error=lambda e: self.handle_failure(e),  # noqa: PLW0108
            )
            # Stage 3: Evaluate results
            .stage("evaluate", self.evaluate_results)
            .through(
                EvalOutput,
                cache=True,  # Cache expensive evaluations
            )
        )

    def generate_suggestions(self) -> SuggestionOutput:
        return SuggestionOutput([{"lr": 0.1}, {"lr": 0.2}])

    def train_models(self, data: Any) -> TrainingOutput:
        self.calls.append("train")
        if len(self.calls) < 3:
            raise OSError("the node is gone")
        return TrainingOutput([trial["lr"] for trial in data.trials])

    def evaluate_results(self, losses: list[float]) -> EvalOutput:
        self.calls.append("evaluate")
        return EvalOutput(min(losses))

    def handle_failure(self, error: Exception) -> None:
        self.calls.append(f"failed: {error}")


def test_a_pipeline_with_contracts_and_hooks(project: Path) -> None:
    experiment = MyExperiment()
    assert experiment.run().best == 0.1  # type: ignore[union-attr]
    assert experiment.calls == ["train", "train", "train", "evaluate"]


# -- optimizing the optimizer


class OptimizerOptimizer(Experiment):
    """Find the best optimizer configuration"""

    def pipeline(self) -> Pipeline:
        return (
            Pipeline()
            # Suggest optimizer configuration
            .stage("suggest_config", self.suggest_optimizer_params)
            .through(acquisition_fn=str, exploration_rate=float, batch_size=int)
            # Run a sweep with that configuration
            .stage("test_optimizer", self.run_sweep_with_config)
            .through(performance=float)
            # Update our meta-optimizer
            .stage("update", self.update_meta_model)
        )

    def suggest_optimizer_params(self) -> dict[str, Any]:
        return {"acquisition_fn": "ucb", "exploration_rate": 2.0, "batch_size": 1}

    async def run_sweep_with_config(self, config: Any) -> Any:
        # Create optimizer with suggested params
        optimizer = BayesianOptimizer(acquisition=config.acquisition_fn, ucb_beta=config.exploration_rate)
        optimizer.search_space = {"x": Uniform(0.0, 1.0)}

        # Run full sweep to test this optimizer
        sweep = SweepExperiment(optimizer=optimizer)
        result = await sweep.run()  # type: ignore[misc]
        return result.best_score

    def update_meta_model(self, performance: float) -> None:
        self.known = performance


def test_an_optimizer_is_optimized(project: Path) -> None:
    experiment = OptimizerOptimizer()
    with trained(COMMAND):
        result = experiment.run(budget=2)
    assert experiment.known == result.performance > 0  # type: ignore[union-attr]


# -- advanced hooks


def test_reusable_and_global_hooks() -> None:
    told: list[Any] = []
    production_hooks: dict[str, Any] = {
        "metrics": lambda d: told.append(sorted(d)),
        "checkpoint": True,
        "retry": 3,
        "on_error": lambda e: told.append(f"alert: {e}"),
    }
    pipeline = (
        Pipeline().stage("train", lambda: TrainingOutput([0.5])).through(TrainingOutput, **production_hooks)
    ).with_global_hooks(
        before=lambda stage, data: told.append(f"[{stage}] Starting"),
        after=lambda stage, data: told.append(f"{stage}.complete"),
        profile=True,  # Profile everything
    )
    pipeline.run(Forgetful())
    assert told == ["[train] Starting", "train.complete", ["attempts", "seconds", "stage"]]


# -- composing strategies


class HybridExperiment(Experiment):
    """Combine multiple optimization strategies"""

    def pipeline(self) -> Pipeline:
        return (
            Pipeline()
            # Phase 1: Broad exploration with random search
            .stage("explore", self.search)
            .through(exploration_results=list[dict], n_trials=50, max_time_per_trial=600)
            # Phase 2: Model the space with Bayesian optimization
            .stage("model", self.search)
            .through(modeled_results=list[dict], n_trials=100, init_from=ref("exploration_results"))
            # Phase 3: Refine with population evolution
            .stage("refine", self.search)
            .through(final_results=list[dict], population_size=20, generations=30)
            # Phase 4: Validate best candidates
            .stage("validate", self.intensive_evaluation)
            .through(validation_scores=dict, n_seeds=10, full_evaluation=True)
        )

    def search(self, ctx: Any) -> list[dict[str, Any]]:
        return [{"of": ctx.get("n_trials", ctx.get("population_size"))}, *ctx.get("init_from", [])]

    def intensive_evaluation(self, ctx: Any) -> dict[str, Any]:
        return {"scores": [ctx.n_seeds] * len(ctx.modeled_results)}


def test_strategies_are_composed(project: Path) -> None:
    result = HybridExperiment().run()
    assert result.modeled_results == [{"of": 100}, {"of": 50}]  # type: ignore[union-attr]
    assert result.validation_scores == {"scores": [10, 10]}  # type: ignore[union-attr]


# -- optimizers and schedulers of one's own


class MyOptimizer(Optimizer):
    search_space: ClassVar[Mapping[str, Any]] = {"x": Uniform(0.0, 1.0)}

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def suggest(self, n: int) -> list[Trial]:
        return [Trial({"x": 0.5 ** (1 + i + len(self.seen))}) for i in range(n)]

    def observe(self, trial: Trial, result: float) -> None:
        # The task gives four times x.
        assert result == pytest.approx(4 * trial.params["x"])
        self.seen.append(result)


class MyScheduler(Scheduler):
    def should_stop(self, trial: Any) -> bool:
        return False

    def allocate_resources(self, trial: Any) -> Resources:
        return Resources(gpus=0, time_limit=3600)


def test_ones_own_are_used_like_any_other(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The optimizer's process finds the class where a script's would be found: in its file.
    monkeypatch.setattr(MyOptimizer, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    experiment = SweepExperiment("own", optimizer=MyOptimizer(), scheduler=MyScheduler(), train=COMMAND)
    assert experiment.tool("own").protein_config.method == f"{__file__}:MyOptimizer"
    results = experiment.run(budget=3)
    assert not [trial["provenance"] for trial in results.trials if "fallback" in trial["provenance"]]  # type: ignore[union-attr]
    assert [trial["params"]["x"] for trial in results.trials] == [0.5, 0.25, 0.125]  # type: ignore[union-attr]


def test_what_one_s_own_optimizer_does_wrong_is_marked(project: Path) -> None:
    (project / "mine.py").write_text(
        "class Outside:\n    def observe(self, trial, result): ...\n    def suggest(self, n): return [{'x': 7.0}]\n"
    )
    fields = {"metric": "score", "method": "mine.py:Outside", "parameters": {"x": {"min": 0.0, "max": 1.0}}}
    experiment = SweepExperiment("wrong", train=COMMAND, protein_config=fields)
    with pytest.raises(UserError, match=r"suggest gave x=7\.0, which is outside the search space"):
        experiment.run(budget=1)
