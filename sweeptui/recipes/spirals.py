"""A small real training: a network that tells two spirals apart. Seconds a trial, checkpoints, and goes on from one."""

from __future__ import annotations

from sweeptui.core.config import ParameterConfig, ProteinConfig, ProteinSettings, SweepTool

METRIC = "accuracy"
TRAIN = [
    *("{python}", "-m", "sweeptui.recipes.spirals_train", "--trial-dir", "{trial_dir}", "--seed", "{seed}"),
    *("--resume", "{checkpoint}", "--overrides", "{overrides}"),
]


def spirals(
    sweep_name: str | None = None,
    max_trials: int = 10,
    *,
    turns: float = 1.0,
    epochs: int = 100,
    max_parallel_jobs: int = 1,
) -> SweepTool:
    """Train a small network to tell two spirals apart; seconds a trial, for trying schedulers and experiments."""
    return SweepTool(
        sweep_name=sweep_name,
        max_trials=max_trials,
        max_parallel_jobs=max_parallel_jobs,
        train_command=TRAIN,
        train_overrides={"turns": turns, "epochs": epochs},
        protein_config=ProteinConfig(
            metric=METRIC,
            goal="maximize",
            method="bayes",
            parameters={
                "learning_rate": ParameterConfig(distribution="log_normal", min=1e-4, max=0.3, mean=3e-3),
                "momentum": ParameterConfig(distribution="uniform", min=0.5, max=0.99, mean=0.9),
                "weight_decay": ParameterConfig(distribution="log_normal", min=1e-6, max=0.1, mean=1e-4),
                "batch_size": ParameterConfig(distribution="uniform_pow2", min=16, max=256),
            },
            settings=ProteinSettings(num_random_samples=4),
        ),
    )
