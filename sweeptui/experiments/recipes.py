"""Experiments that are run by name: `sweeptui curriculum`. Each takes minutes on one core."""

from __future__ import annotations

from sweeptui.experiments.curriculum import CurriculumExperiment
from sweeptui.experiments.hybrid import HybridExperiment
from sweeptui.experiments.meta import MetaExperiment
from sweeptui.experiments.optimizers import SobolOptimizer
from sweeptui.experiments.sweep import SweepExperiment

TURNS = (1.0, 1.5, 2.0, 2.5)


def curriculum(
    name: str | None = None, trials: int = 6, mastery: float = 0.9, epochs: int = 100, max_parallel_jobs: int = 1
) -> CurriculumExperiment:
    """Spirals with ever more turns: a sweep for each until it is mastered, then on with the network that did."""
    return CurriculumExperiment(
        name,
        tasks=[{"turns": turns, "epochs": epochs} for turns in TURNS],
        mastery=mastery,
        train="spirals",
        trials=trials,
        carry="init",
        max_parallel_jobs=max_parallel_jobs,
    )


def hybrid(
    name: str | None = None,
    explore: int = 8,
    model: int = 8,
    n_seeds: int = 5,
    epochs: int = 60,
    max_parallel_jobs: int = 1,
) -> HybridExperiment:
    """Spirals of two turns: explore, model with a warm start, refine by a population, validate over new seeds."""
    return HybridExperiment(
        name,
        train="spirals",
        train_overrides={"turns": 2.0, "epochs": epochs},
        explore=explore,
        model=model,
        n_seeds=n_seeds,
        max_parallel_jobs=max_parallel_jobs,
    )


def meta(
    name: str | None = None, configurations: int = 6, trials: int = 6, repeats: int = 2, epochs: int = 30
) -> MetaExperiment:
    """How are spirals of two turns best searched: by Protein, Sobol's points or chance, and how soon?"""
    base = SweepExperiment(train="spirals", train_overrides={"turns": 2.0, "epochs": epochs})
    return MetaExperiment(
        name,
        base=base,
        optimizer=SobolOptimizer(),
        configurations=configurations,
        trials=trials,
        repeats=repeats,
    )
