"""Experiments from a script: sweeps, pipelines of them, and experiments inside experiments.

from sweeptui.experiments import ASHAScheduler, ProteinOptimizer, SweepExperiment

results = SweepExperiment("first", ProteinOptimizer(), ASHAScheduler(), train="ppo").run(budget=20)
"""

from __future__ import annotations

from sweeptui.core.experiments import Context, Pipeline, PipelineError, StageError, StoppedError, ref
from sweeptui.core.optimizers.adapters.own import Trial
from sweeptui.core.schedulers import (
    ASHAScheduler,
    CostQuantileScheduler,
    HyperbandScheduler,
    OptimizingScheduler,
    PBTScheduler,
    Resources,
    Scheduler,
    SequentialScheduler,
    SynchronousBatchScheduler,
)
from sweeptui.core.space import Choice, Integer, LogUniform, Uniform
from sweeptui.experiments.curriculum import CurriculumExperiment
from sweeptui.experiments.experiment import Experiment
from sweeptui.experiments.hybrid import HybridExperiment
from sweeptui.experiments.meta import MetaExperiment
from sweeptui.experiments.optimizers import (
    AxOptimizer,
    BayesianOptimizer,
    GeneticOptimizer,
    GridOptimizer,
    NevergradOptimizer,
    Optimizer,
    OptunaOptimizer,
    ProteinOptimizer,
    RandomOptimizer,
    SobolOptimizer,
)
from sweeptui.experiments.sweep import SweepExperiment, SweepResults, trained

BatchScheduler = SynchronousBatchScheduler

__all__ = [
    "ASHAScheduler",
    "AxOptimizer",
    "BatchScheduler",
    "BayesianOptimizer",
    "Choice",
    "Context",
    "CostQuantileScheduler",
    "CurriculumExperiment",
    "Experiment",
    "GeneticOptimizer",
    "GridOptimizer",
    "HybridExperiment",
    "HyperbandScheduler",
    "Integer",
    "LogUniform",
    "MetaExperiment",
    "NevergradOptimizer",
    "Optimizer",
    "OptimizingScheduler",
    "OptunaOptimizer",
    "PBTScheduler",
    "Pipeline",
    "PipelineError",
    "ProteinOptimizer",
    "RandomOptimizer",
    "Resources",
    "Scheduler",
    "SequentialScheduler",
    "SobolOptimizer",
    "StageError",
    "StoppedError",
    "SweepExperiment",
    "SweepResults",
    "SynchronousBatchScheduler",
    "Trial",
    "Uniform",
    "ref",
    "trained",
]
