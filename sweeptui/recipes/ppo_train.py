"""Trains PPO (Schulman et al., 2017, arXiv:1707.06347) with stable-baselines3 on a Gymnasium environment.

    python -m sweeptui.recipes.ppo_train --run NAME --trial-dir DIR --overrides trainer.optimizer.learning_rate=3e-4 ...

Reports the learning curve (mean reward of the last 100 episodes) and its cost (seconds of training), and leaves
checkpoints that `ppo_eval` loads and that `--resume` goes on from. Told to end (SIGTERM), it writes a last one first.
"""

from __future__ import annotations

import argparse
import os
import pickle  # for its exception only: nothing is unpickled
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from sweeptui.core.errors import UserError
from sweeptui.recipes.ppo_wandb import Log, wandb_log
from sweeptui.recipes.settings import apply_setting, parse_settings
from sweeptui.recipes.tool import TrainTool
from sweeptui.reporting import report

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: one trial, one core

try:
    import gymnasium
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.preprocessing import is_image_space
except ImportError as error:
    sys.stderr.write(f"error: the ppo recipe cannot import {error.name}: pip install 'sweeptui[ppo]'\n")
    sys.exit(2)

ALIASES = {"trainer.ppo.": "trainer.losses.loss_configs.ppo."}
"""An older spelling of the loss's path."""

CHECKPOINTS_PER_RUN = 10


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class OptimizerConfig(_Config):
    learning_rate: float = Field(1e-3, gt=0)


class PPOLossConfig(_Config):
    clip_coef: float = Field(0.175, gt=0)
    ent_coef: float = Field(1e-3, ge=0)
    gae_lambda: float = Field(0.895, ge=0, le=1)
    vf_coef: float = Field(0.55, ge=0)


class LossConfigs(_Config):
    ppo: PPOLossConfig = Field(default_factory=PPOLossConfig)


class LossesConfig(_Config):
    loss_configs: LossConfigs = Field(default_factory=LossConfigs)


class TrainerConfig(_Config):
    total_timesteps: PositiveInt = 40_000
    batch_size: PositiveInt = 1024
    """Steps between two updates, over all environments."""
    minibatch_size: PositiveInt = 256
    update_epochs: PositiveInt = 4
    num_envs: PositiveInt = 4
    gamma: float = Field(0.99, gt=0, le=1)
    max_grad_norm: float = Field(0.5, gt=0)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    losses: LossesConfig = Field(default_factory=LossesConfig)


class PPOConfig(_Config):
    """Everything that can be overridden, under its full path."""

    env_id: str = "CartPole-v1"
    device: str = "cpu"
    """As torch names it. Networks this small train faster on the CPU."""
    trainer: TrainerConfig = Field(default_factory=TrainerConfig)


class PPOTool(TrainTool):
    """One training run."""

    def __init__(self, run: str, trial_dir: Path, seed: int = 0, resume: Path | None = None) -> None:
        self.run = run
        self.trial_dir = trial_dir
        self.seed = seed
        self.resume = resume
        self.config = PPOConfig()

    def override(self, path: str, value: Any) -> None:
        """Set a field of `PPOConfig`. Raises `UserError` for an unknown path or a value out of its range."""
        for old, new in ALIASES.items():
            if path.startswith(old):
                path = new + path.removeprefix(old)
        apply_setting(self.config, path, value)

    def invoke(self, args: dict[str, Any]) -> int:
        """Train to the end, from a checkpoint if there is one that is not the end already."""
        if args:
            raise UserError(f"ppo_train takes no argument {next(iter(args))}")
        model = build(self.config, self.seed)
        progress = Progress(self.run, self.trial_dir / "checkpoints", self.config, wandb_log())
        if self.resume is not None:
            progress.go_on(model, load_checkpoint(self.resume))
        before = signal.signal(signal.SIGTERM, progress.end_soon)
        try:
            model.learn(
                self.config.trainer.total_timesteps - model.num_timesteps,
                callback=progress,
                log_interval=None,
                reset_num_timesteps=False,
            )
        finally:
            signal.signal(signal.SIGTERM, before)
        sys.stdout.write("Ended before its time.\n" if progress.ending else "Training complete!\n")
        return 0


def train(run: str, trial_dir: str | None = None, seed: int = 0, resume: str | None = None) -> PPOTool:
    """Make the tool for one run: a recipe's `train_tool_factory`, or its `train` entry point.

    Files go to `trial_dir`, by default the trial's own folder in a sweep and `train_dir/<run>` outside of one.
    """
    folder = trial_dir or os.environ.get("SWEEPTUI_TRIAL_DIR") or f"train_dir/{run}"
    return PPOTool(run, Path(folder), seed, Path(resume) if resume else None)


def build(config: PPOConfig, seed: int) -> PPO:
    """The untrained model, its environments included. Raises `UserError` for what cannot be built."""
    trainer, loss = config.trainer, config.trainer.losses.loss_configs.ppo
    if trainer.batch_size % trainer.num_envs or trainer.batch_size == 1:
        raise UserError(
            f"trainer.batch_size={trainer.batch_size} must be a multiple of trainer.num_envs={trainer.num_envs} above 1"
        )
    if trainer.minibatch_size > trainer.batch_size or trainer.minibatch_size == 1:
        raise UserError(
            f"trainer.minibatch_size={trainer.minibatch_size} must be between 2 and "
            f"trainer.batch_size={trainer.batch_size}"
        )
    torch.set_num_threads(1)
    envs = make_vec_env(lambda: make_env(config.env_id), n_envs=trainer.num_envs, seed=seed)
    model = PPO(
        policy_of(envs.observation_space),
        envs,
        learning_rate=trainer.optimizer.learning_rate,
        n_steps=trainer.batch_size // trainer.num_envs,
        batch_size=trainer.minibatch_size,
        n_epochs=trainer.update_epochs,
        gamma=trainer.gamma,
        gae_lambda=loss.gae_lambda,
        clip_range=loss.clip_coef,
        ent_coef=loss.ent_coef,
        vf_coef=loss.vf_coef,
        max_grad_norm=trainer.max_grad_norm,
        seed=seed,
        device=config.device,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))  # its own makes a folder in /tmp for each training
    return model


def make_env(env_id: str) -> gymnasium.Env[Any, Any]:
    """One environment. Raises `UserError` for an id that Gymnasium cannot make."""
    try:
        return gymnasium.make(env_id)
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"env_id={env_id!r} cannot be made: {' '.join(str(error).split())}") from None


def policy_of(space: gymnasium.Space[Any]) -> str:
    """The name of the network that fits what is observed."""
    if isinstance(space, gymnasium.spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(space) else "MlpPolicy"


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `Progress.save` wrote; tensors and plain values only. Raises `UserError` for anything else."""
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        PPOConfig.model_validate(saved["config"])
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        raise UserError(f"checkpoint {path} cannot be loaded: {str(error).partition(chr(10))[0]}") from None
    return saved


class Progress(BaseCallback):  # type: ignore[misc]
    """Reports, prints and saves, after every update of the policy."""

    def __init__(self, run: str, folder: Path, config: PPOConfig, log: Log) -> None:
        super().__init__()
        self.log = log
        self.run = run
        self.folder = folder
        self.config = config
        # Whole batches are collected, so the last one may go beyond what was asked for.
        batch = config.trainer.batch_size
        self.total = -(-config.trainer.total_timesteps // batch) * batch
        self.earlier_s = 0.0
        self.saved_at = 0
        self.ending = False
        # Processor time, not the clock: a paused trial costs nothing, and a busy machine does not make it dearer.
        self.started_s = time.process_time()

    def go_on(self, model: PPO, saved: dict[str, Any]) -> None:
        """Continue from a checkpoint; from one of a finished training, begin anew."""
        if saved["step"] >= self.total:
            sys.stdout.write("The checkpoint is of a finished training: training anew.\n")
            return
        model.policy.load_state_dict(saved["policy"])
        model.policy.optimizer.load_state_dict(saved["optimizer"])
        model.num_timesteps = self.saved_at = saved["step"]
        self.earlier_s = saved["train_s"]
        sys.stdout.write(f"Going on at step {saved['step']}.\n")

    @property
    def step(self) -> int:
        """Steps that the policy was trained on: of a batch that is only begun, none."""
        batch = self.config.trainer.batch_size
        return int(self.num_timesteps) // batch * batch

    @property
    def train_s(self) -> float:
        return self.earlier_s + time.process_time() - self.started_s

    def _on_rollout_start(self) -> None:
        if self.num_timesteps > self.saved_at:
            self._updated()

    def _on_training_end(self) -> None:
        self._updated()

    def end_soon(self, *_: object) -> None:
        """A signal handler: after the step that is being made, a last checkpoint is written and the training ends."""
        self.ending = True

    def _on_step(self) -> bool:
        return not self.ending

    def _updated(self) -> None:
        step, epoch = self.step, self.step // self.config.trainer.batch_size
        episodes = self.model.ep_info_buffer or ()
        rewards = [episode["r"] for episode in episodes]
        losses = {name: value for name, value in self.logger.name_to_value.items() if name.startswith("train/")}
        due = self.ending or step >= self.total or step - self.saved_at >= self.total / CHECKPOINTS_PER_RUN
        score = sum(rewards) / len(rewards) if rewards else None
        report(
            step=step,
            total_steps=self.total,
            score=score,
            cost=self.train_s,
            checkpoint=self.save() if due else None,
            **losses,
        )
        self.log({"agent_step": step, "reward": score, "train_s": self.train_s, **losses})
        sps = step / max(self.train_s, 1e-6)
        reward = f" / reward {sum(rewards) / len(rewards):.1f}" if rewards else ""
        sys.stdout.write(
            f"Epoch {epoch} [{self.run}] / {sps:.0f} sps / {step / self.total:.1%} of {self.total / 1000:.2f} ksteps"
            f"{reward}\n"
        )
        sys.stdout.flush()

    def save(self) -> Path:
        """Write a checkpoint: there is a whole one under its name, or none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step_{self.step:09d}.pt"
        partial = path.with_suffix(".part")
        torch.save(
            {
                "config": self.config.model_dump(),
                "step": self.step,
                "train_s": self.train_s,
                "policy": self.model.policy.state_dict(),
                "optimizer": self.model.policy.optimizer.state_dict(),
            },
            partial,
        )
        partial.replace(path)
        self.saved_at = self.step
        return path.absolute()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeptui.recipes.ppo_train")
    parser.add_argument("--run", required=True)
    parser.add_argument("--trial-dir", metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", metavar="CHECKPOINT", help="empty: begin at the beginning")
    parser.add_argument("--overrides", nargs="*", default=[], metavar="PATH=VALUE")
    options = parser.parse_args(argv)
    try:
        tool = train(options.run, options.trial_dir, options.seed, options.resume)
        for path, value in parse_settings(options.overrides).items():
            tool.override(path, value)
        return tool.invoke({})
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
