"""Evaluates a checkpoint of `ppo_train` over whole episodes, as a process of its own.

Every trial meets the same episodes (the same environment seeds), so that trials differ by their policies only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, PositiveInt

from sweeptui.core.errors import UserError
from sweeptui.recipes.ppo import metric_of
from sweeptui.recipes.ppo_train import PPOConfig, build, load_checkpoint, make_env
from sweeptui.recipes.ppo_wandb import wandb_log
from sweeptui.recipes.settings import apply_setting, parse_settings
from sweeptui.reporting import report

if TYPE_CHECKING:
    from stable_baselines3 import PPO

FIRST_EPISODE_SEED = 1_000_000
"""Far from the training seeds."""


class EvalConfig(BaseModel):
    """Everything that can be overridden."""

    model_config = ConfigDict(extra="forbid")

    episodes: PositiveInt = 20
    deterministic: bool = False
    """Take the policy's likeliest action instead of sampling one."""


def evaluate(model: PPO, env_id: str, config: EvalConfig) -> tuple[list[float], list[int]]:
    """The reward and the length of each episode."""
    env = make_env(env_id)
    model.set_random_seed(FIRST_EPISODE_SEED)
    rewards, lengths = [], []
    for episode in range(config.episodes):
        observation, _ = env.reset(seed=FIRST_EPISODE_SEED + episode)
        reward, length, over = 0.0, 0, False
        while not over:
            action, _ = model.predict(observation, deterministic=config.deterministic)
            observation, gain, terminated, truncated, _ = env.step(action)
            reward, length, over = reward + float(gain), length + 1, terminated or truncated
        rewards.append(reward)
        lengths.append(length)
    env.close()
    return rewards, lengths


def run(checkpoint: Path, overrides: list[str]) -> None:
    config = EvalConfig()
    for path, value in parse_settings(overrides).items():
        apply_setting(config, path, value)
    saved = load_checkpoint(checkpoint)
    trained = PPOConfig.model_validate(saved["config"])
    model = build(trained, seed=0)
    model.policy.load_state_dict(saved["policy"])
    rewards, lengths = evaluate(model, trained.env_id, config)
    score = statistics.fmean(rewards)
    metrics: dict[str, Any] = {
        metric_of(trained.env_id): score,
        "episodes": len(rewards),
        "reward_std": statistics.pstdev(rewards),
        "reward_min": min(rewards),
        "reward_max": max(rewards),
        "length_mean": statistics.fmean(lengths),
    }
    report(score=score, **metrics)
    wandb_log()(metrics)
    sys.stdout.write(f"{metric_of(trained.env_id)}: {score:.1f} over {len(rewards)} episodes\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeptui.recipes.ppo_eval")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--overrides", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(argv)
    try:
        run(options.checkpoint, options.overrides)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
