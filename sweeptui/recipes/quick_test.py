"""The whole of a sweep in seconds: no learning library, the same two stages as a real one."""

from __future__ import annotations

from sweeptui.core.config import ParameterConfig, ProteinConfig, ProteinSettings, SweepTool

METRIC = "evaluator/eval_quick_test/score"


def quick_test(
    sweep_name: str | None = None,
    max_trials: int = 5,
    *,
    recipe_module: str | None = None,
    train_entrypoint: str = "train",
    eval_entrypoint: str = "evaluate",
    metric: str = METRIC,
    max_parallel_jobs: int = 1,
) -> SweepTool:
    """Try a sweep from end to end in seconds: a made-up learning curve over two parameters.

    With `recipe_module`, the two parameters go to that module's entry points instead.
    """
    stages = {} if recipe_module else {"train_command": TRAIN, "eval_command": EVAL}
    return SweepTool(
        sweep_name=sweep_name,
        max_trials=max_trials,
        max_parallel_jobs=max_parallel_jobs,
        recipe_module=recipe_module,
        train_entrypoint=train_entrypoint,
        eval_entrypoint=eval_entrypoint,
        protein_config=ProteinConfig(
            metric=metric,
            goal="maximize",
            method="bayes",
            parameters={
                "trainer.optimizer.learning_rate": ParameterConfig(
                    distribution="log_normal", min=1e-5, max=1e-2, mean=1e-3
                ),
                "trainer.losses.loss_configs.ppo.clip_coef": ParameterConfig(
                    distribution="uniform", min=0.05, max=0.3, mean=0.175
                ),
            },
            settings=ProteinSettings(num_random_samples=2),
        ),
        **stages,
    )


TRAIN = [
    *("{python}", "-m", "sweeptui.recipes.quick_train"),
    *("--run", "{run}", "--trial-dir", "{trial_dir}", "--seed", "{seed}", "--overrides", "{overrides}"),
]
EVAL = [
    *("{python}", "-m", "sweeptui.recipes.quick_eval"),
    *("--checkpoint", "{checkpoint}", "--metric", "{metric}", "--seed", "{seed}", "--overrides", "{overrides}"),
]
