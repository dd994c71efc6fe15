"""PPO on a Gymnasium environment: the five hyperparameters that matter most, over their usual ranges."""

from __future__ import annotations

import importlib.util
import re

from sweeptui.core.config import ParameterConfig, ProteinConfig, ProteinSettings, SweepTool
from sweeptui.core.errors import UserError

RECIPE_METRIC = "evaluator/eval_arena/score"
"""Of sweeps over somebody else's `recipe_module`; one that reports only a `score` is understood as well."""

TRAIN = [
    *("{python}", "-m", "sweeptui.recipes.ppo_train", "--run", "{run}", "--trial-dir", "{trial_dir}"),
    *("--seed", "{seed}", "--resume", "{checkpoint}", "--overrides", "{overrides}"),
]
EVAL = [
    *("{python}", "-m", "sweeptui.recipes.ppo_eval", "--checkpoint", "{checkpoint}", "--overrides", "{overrides}"),
]


def ppo(
    sweep_name: str | None = None,
    max_trials: int = 10,
    *,
    env_id: str = "CartPole-v1",
    total_timesteps: int = 40_960,
    episodes: int = 20,
    max_parallel_jobs: int = 1,
    recipe_module: str | None = None,
    train_entrypoint: str = "train",
    eval_entrypoint: str = "evaluate",
    metric: str | None = None,
) -> SweepTool:
    """Sweep PPO's learning rate, clipping, entropy bonus, GAE lambda and value loss on a Gymnasium environment.

    With `recipe_module`, the five parameters go to that module's entry points instead.
    """
    if recipe_module is None:
        _need_stable_baselines()
        metric = metric or metric_of(env_id)
        own = {
            "train_command": TRAIN,
            "eval_command": EVAL,
            "train_overrides": {"env_id": env_id, "trainer.total_timesteps": total_timesteps},
            "eval_overrides": {"episodes": episodes},
        }
    else:
        own = {}
    return SweepTool(
        sweep_name=sweep_name,
        max_trials=max_trials,
        max_parallel_jobs=max_parallel_jobs,
        recipe_module=recipe_module,
        train_entrypoint=train_entrypoint,
        eval_entrypoint=eval_entrypoint,
        protein_config=ProteinConfig(
            metric=metric or RECIPE_METRIC,
            goal="maximize",
            method="bayes",
            parameters=parameters(),
            settings=ProteinSettings(num_random_samples=3),
        ),
        **own,
    )


def parameters() -> dict[str, ParameterConfig]:
    """The search space, under the full paths of the training configuration."""
    loss = "trainer.losses.loss_configs.ppo"
    return {
        "trainer.optimizer.learning_rate": ParameterConfig(distribution="log_normal", min=1e-5, max=1e-2, mean=1e-3),
        f"{loss}.clip_coef": ParameterConfig(distribution="uniform", min=0.05, max=0.3, mean=0.175),
        f"{loss}.ent_coef": ParameterConfig(distribution="log_normal", min=1e-4, max=1e-2, mean=1e-3),
        f"{loss}.gae_lambda": ParameterConfig(distribution="uniform", min=0.8, max=0.99, mean=0.895),
        f"{loss}.vf_coef": ParameterConfig(distribution="uniform", min=0.1, max=1.0, mean=0.55),
    }


def metric_of(env_id: str) -> str:
    """`evaluator/eval_cartpole/score` for CartPole-v1."""
    name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"-v\d+$", "", env_id).lower()).strip("_")
    return f"evaluator/eval_{name}/score"


def _need_stable_baselines() -> None:
    for module in ("stable_baselines3", "gymnasium"):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"the ppo recipe needs {module}, which is not installed: pip install 'sweeptui[ppo]'")
