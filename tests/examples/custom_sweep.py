# As documented, but for the lines that import.
# ruff: noqa
# fmt: off

from sweeptui import ParameterConfig, ProteinConfig, ProteinSettings
from sweeptui import SweepTool

def my_custom_sweep(
    sweep_name: str = None,
    max_trials: int = 20,
) -> SweepTool:
    """Create a custom hyperparameter sweep."""

    # Define parameters to sweep (using new configuration structure)
    protein_config = ProteinConfig(
        metric="evaluator/eval_arena/score",  # Metric to optimize
        goal="maximize",
        method="bayes",  # Use Bayesian optimization
        parameters={
            # Learning rate remains in optimizer
            "trainer.optimizer.learning_rate": ParameterConfig(
                min=1e-5,
                max=1e-2,
                distribution="log_normal",
                mean=1e-3,
                scale="auto",
            ),
            # PPO parameters now under losses.loss_configs.ppo
            "trainer.losses.loss_configs.ppo.clip_coef": ParameterConfig(
                min=0.05,
                max=0.3,
                distribution="uniform",
                mean=0.175,
                scale="auto",
            ),
            "trainer.losses.loss_configs.ppo.ent_coef": ParameterConfig(
                min=0.0001,
                max=0.01,
                distribution="log_normal",
                mean=0.001,
                scale="auto",
            ),
        },
        settings=ProteinSettings(
            num_random_samples=5,  # Random samples before Bayesian optimization
            max_suggestion_cost=300,  # Max seconds per trial
        ),
    )

    return SweepTool(
        sweep_name=sweep_name,
        protein_config=protein_config,
        max_trials=max_trials,
        recipe_module="experiments.recipes.arena",
        train_entrypoint="train_shaped",
        eval_entrypoint="evaluate",
        max_parallel_jobs=1,  # Sequential execution
        dispatcher_type="hybrid_remote_train",  # Default dispatcher
    )
