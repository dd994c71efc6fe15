"""Trains a network with one hidden layer to tell two spirals apart, by Adam (Kingma & Ba, 2015, arXiv:1412.6980).

    python -m sweeptui.recipes.spirals_train --trial-dir DIR --overrides turns=1.5 learning_rate=0.01 ...

Reports its accuracy on points that it was not trained on, and leaves a checkpoint each time; with `--resume`, or
`init=` a checkpoint of another training, it begins with that network. Told to end (SIGTERM), it writes a last one.
The seed draws the points, the first weights and the order: the same seed gives the same curve.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported: one trial, one core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from sweeptui.core.errors import UserError, explain
from sweeptui.recipes.settings import apply_setting, parse_settings
from sweeptui.reporting import report

POINTS, HELD_OUT = 600, 1000
REPORTS = 20
Network = dict[str, "np.ndarray[Any, np.dtype[np.float64]]"]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    turns: float = Field(1.0, gt=0)
    """Of each spiral: the more, the harder."""
    epochs: PositiveInt = 100
    hidden: PositiveInt = 48
    noise: float = Field(0.02, ge=0)
    init: str | None = None
    """A checkpoint of another training whose network this one begins with."""
    learning_rate: float = Field(3e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    batch_size: PositiveInt = 64


def points(turns: float, noise: float, count: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """`count` points in the plane and which of the spirals each is on."""
    side = rng.integers(0, 2, count)
    radius = np.sqrt(rng.uniform(0.02, 1.0, count))
    angle = radius * turns * 2 * np.pi + side * np.pi
    place = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return place + rng.normal(0, noise, place.shape), side.astype(float)


def fresh(hidden: int, rng: np.random.Generator) -> Network:
    return {
        "w1": rng.normal(0, 2.0, (2, hidden)),
        "b1": rng.normal(0, 1.0, hidden),
        "w2": rng.normal(0, 1 / np.sqrt(hidden), hidden),
        "b2": np.zeros(1),
    }


def forward(network: Network, x: Any) -> tuple[Any, Any]:
    """The hidden layer, and how sure it is of the second spiral."""
    hidden = np.tanh(x @ network["w1"] + network["b1"])
    with np.errstate(over="ignore"):
        return hidden, 1 / (1 + np.exp(-(hidden @ network["w2"] + network["b2"])))


def gradients(network: Network, x: Any, y: Any) -> Network:
    hidden, sure = forward(network, x)
    off = (sure - y) / len(y)
    back = off[:, None] * network["w2"] * (1 - hidden**2)
    return {"w1": x.T @ back, "b1": back.sum(0), "w2": hidden.T @ off, "b2": off.sum(keepdims=True)}


class Training:
    """All that goes on from a checkpoint: the network, what Adam remembers, and the epochs that are done."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config = config
        self.rng = np.random.default_rng([seed, 1])
        self.x, self.y = points(config.turns, config.noise, POINTS, np.random.default_rng([seed, 2]))
        self.test = points(config.turns, config.noise, HELD_OUT, np.random.default_rng([seed, 3]))
        self.seed = seed
        self.network = fresh(config.hidden, np.random.default_rng([seed, 4]))
        self.first = {name: np.zeros_like(value) for name, value in self.network.items()}
        self.second = {name: np.zeros_like(value) for name, value in self.network.items()}
        self.updates = 0
        self.epoch = 0
        self.spent_s = 0.0

    def load(self, path: Path, *, network_only: bool = False) -> None:
        """Go on from a checkpoint. Raises `UserError` for one of another network."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                values = {name: kept[name] for name in kept.files}
            network = {name: values[f"network.{name}"] for name in self.network}
            if any(network[name].shape != self.network[name].shape for name in network):
                raise UserError(f"checkpoint {path} is of a network of another size; train with the same hidden")
            self.network = network
            if not network_only:
                self.first = {name: values[f"first.{name}"] for name in network}
                self.second = {name: values[f"second.{name}"] for name in network}
                self.updates, self.epoch = int(values["updates"]), int(values["epoch"])
                self.spent_s = float(values["spent_s"])
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"checkpoint {path} cannot be read: {error}") from error

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".part")
        values: dict[str, Any] = {"updates": self.updates, "epoch": self.epoch, "spent_s": self.spent_s}
        for part, network in (("network", self.network), ("first", self.first), ("second", self.second)):
            values |= {f"{part}.{name}": value for name, value in network.items()}
        with partial.open("wb") as file:
            np.savez(file, **values)
        partial.replace(path)

    def one_epoch(self) -> None:
        began = time.monotonic()
        order = np.random.default_rng([self.seed, 5, self.epoch]).permutation(POINTS)
        for start in range(0, POINTS, self.config.batch_size):
            batch = order[start : start + self.config.batch_size]
            self._update(gradients(self.network, self.x[batch], self.y[batch]))
        self.epoch += 1
        self.spent_s += time.monotonic() - began

    def accuracy(self) -> float:
        x, y = self.test
        return float(np.mean((forward(self.network, x)[1] > 0.5) == (y > 0.5)))

    def _update(self, slopes: Network) -> None:
        config, second = self.config, 0.999
        self.updates += 1
        for name, slope in slopes.items():
            self.first[name] = config.momentum * self.first[name] + (1 - config.momentum) * slope
            self.second[name] = second * self.second[name] + (1 - second) * slope**2
            step = self.first[name] / (1 - config.momentum**self.updates)
            scale = np.sqrt(self.second[name] / (1 - second**self.updates)) + 1e-8
            self.network[name] = (
                self.network[name] * (1 - config.learning_rate * config.weight_decay)
                - config.learning_rate * step / scale
            )


def train(config: Config, seed: int, trial_dir: Path, resume: str | None) -> None:
    training = Training(config, seed)
    if resume:
        training.load(Path(resume))
    elif config.init:
        training.load(Path(config.init), network_only=True)
    folder = trial_dir / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)

    def told() -> None:
        path = folder / f"epoch_{training.epoch}.npz"
        training.save(path)
        report(
            step=training.epoch,
            total_steps=config.epochs,
            accuracy=training.accuracy(),
            cost=training.spent_s,
            checkpoint=path,
        )

    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    every = max(1, config.epochs // REPORTS)
    while training.epoch < config.epochs and not asked:
        training.one_epoch()
        if training.epoch % every == 0 or training.epoch == config.epochs:
            told()
            sys.stdout.write(f"epoch {training.epoch} of {config.epochs}: accuracy {training.accuracy():.3f}\n")
            sys.stdout.flush()
    if asked and training.epoch % every:
        told()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeptui.recipes.spirals_train")
    parser.add_argument("--trial-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", default="", metavar="CHECKPOINT", help="a checkpoint to go on from")
    parser.add_argument("--overrides", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(argv)
    try:
        fields: dict[str, Any] = Config().model_dump()
        for path, value in parse_settings(options.overrides).items():
            apply_setting(fields, path, value)
        train(Config.model_validate(fields), options.seed, options.trial_dir, options.resume)
    except ValidationError as error:
        sys.stderr.write(f"error: {explain(error)}\n")
        return 2
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
