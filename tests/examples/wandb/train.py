"""Fits y = 2x + 1 by gradient descent: a script for W&B, which knows nothing of sweeptui."""

import random

import wandb

run = wandb.init()
config = run.config
rng = random.Random(config.seed)
points = [(x := rng.uniform(-1, 1), 2 * x + 1 + rng.gauss(0, 0.01)) for _ in range(config.batch_size)]
slope, offset = 0.0, 0.0
for epoch in range(config.epochs):
    errors = [(slope * x + offset - y, x) for x, y in points]
    slope -= config.optimizer["lr"] * sum(error * x for error, x in errors) / len(errors)
    offset -= config.optimizer["lr"] * sum(error for error, _ in errors) / len(errors)
    run.log({"loss": sum(error**2 for error, _ in errors) / len(errors), "epoch": epoch})
