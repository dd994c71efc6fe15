"""Trains nothing, but behaves like training: a noisy curve towards what its two parameters are worth."""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from pathlib import Path

from sweeptui.core.errors import UserError
from sweeptui.recipes.settings import apply_setting, parse_settings
from sweeptui.reporting import report

BEST_LEARNING_RATE = 3e-4
BEST_CLIP_COEF = 0.2


def defaults() -> dict[str, object]:
    return {
        "trainer": {
            "optimizer": {"learning_rate": 1e-3},
            "losses": {"loss_configs": {"ppo": {"clip_coef": 0.175}}},
            "total_timesteps": 50_000,
            "epochs": 10,
            "epoch_s": 0.0,
        }
    }


def worth(learning_rate: float, clip_coef: float) -> float:
    """Between 0 and 1; 1 where both are at their best."""
    return math.exp(-((math.log10(learning_rate / BEST_LEARNING_RATE)) ** 2) - (8 * (clip_coef - BEST_CLIP_COEF)) ** 2)


def train(run: str, trial_dir: Path, seed: int, config: dict[str, object]) -> None:
    trainer = config["trainer"]
    assert isinstance(trainer, dict)
    value = worth(trainer["optimizer"]["learning_rate"], trainer["losses"]["loss_configs"]["ppo"]["clip_coef"])
    epochs, total = int(trainer["epochs"]), int(trainer["total_timesteps"])
    noise = random.Random(seed)  # noqa: S311 - a stand-in for training noise
    started = time.monotonic()
    for epoch in range(1, epochs + 1):
        time.sleep(trainer["epoch_s"])
        score = value * (1 - math.exp(-4 * epoch / epochs)) + noise.gauss(0, 0.01)
        step = total * epoch // epochs
        report(step=step, total_steps=total, score=score, cost=time.monotonic() - started)
        speed = step / max(time.monotonic() - started, 1e-6)
        sys.stdout.write(
            f"Epoch {epoch} [{run}] / {speed:.0f} sps / {epoch / epochs:.1%} of {total / 1000:.2f} ksteps\n"
        )
        sys.stdout.flush()
    checkpoint = trial_dir / "checkpoints" / "last.json"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".part")
    partial.write_text(json.dumps({"worth": value}))
    partial.replace(checkpoint)
    report(checkpoint=checkpoint)
    sys.stdout.write("Training complete!\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeptui.recipes.quick_train")
    parser.add_argument("--run", required=True)
    parser.add_argument("--trial-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overrides", nargs="*", default=[], metavar="PATH=VALUE")
    options = parser.parse_args(argv)
    config = defaults()
    try:
        for path, value in parse_settings(options.overrides).items():
            apply_setting(config, path, value)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    train(options.run, options.trial_dir, options.seed, config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
