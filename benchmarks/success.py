"""How well the chance of success is predicted: `python -m benchmarks.success`. Takes a minute.

Failures fill a region of a cube of 3 or 6 axes, or come at random; from 10, 20, 40 or 80 random trials the chance at
300 other places is predicted, 6 times each. Printed is the mean log loss of: the overall share of successes; the share
near by (Nadaraya-Watson with a Gaussian kernel, drawn to the overall one), which is what Protein had before; and
Protein's model. Cases with fewer than 3 failures or successes are left out.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from benchmarks.tables import table
from sweeptui.core.optimizers.protein.feasibility import Success

REGIONS = {
    "a corner": lambda x: (x[:, 0] > 0.6) & (x[:, 1] > 0.5),
    "half": lambda x: x[:, 0] + 0.5 * x[:, 1] > 1.0,
    "a ball": lambda x: ((x[:, :3] - 0.5) ** 2).sum(axis=1) < 0.09,
    "an edge": lambda x: x[:, 0] > 0.85,
    "beyond a curve": lambda x: x[:, 0] * x[:, 1] > 0.35,
    "none: 20% at random": None,
}
WIDTH = 0.15


def main() -> None:
    rng = np.random.default_rng(0)
    losses: dict[str, list[list[float]]] = defaultdict(list)
    for axes in (3, 6):
        for name, region in REGIONS.items():
            for count in (10, 20, 40, 80):
                for _ in range(6):
                    known, asked = rng.random((count, axes)), rng.random((300, axes))
                    fails, would = (rng.random(len(x)) < 0.2 if region is None else region(x) for x in (known, asked))
                    if 3 <= fails.sum() <= count - 3:
                        losses[name].append([log_loss(would, p) for p in predicted(known[~fails], known[fails], asked)])
    rows = [[name, *(f"{loss:.3f}" for loss in np.mean(each, axis=0))] for name, each in losses.items()]
    print(table(["failures in", "overall share", "share near by", "model"], rows))


def predicted(good: np.ndarray, bad: np.ndarray, asked: np.ndarray) -> list[np.ndarray]:
    axes = asked.shape[1]
    share = (len(good) + 1) / (len(good) + len(bad) + 2)
    near, off = (
        np.exp(-0.5 * ((asked[:, None] - x[None]) ** 2).sum(axis=2) / (WIDTH**2 * axes)).sum(axis=1)
        for x in (good, bad)
    )
    local = (near + share) / (near + off + 1)
    return [np.full(len(asked), share), local, np.exp(Success(good, bad, np.arange(axes)).log_chance(asked))]


def log_loss(fails: np.ndarray, chance: np.ndarray) -> float:
    chance = np.clip(chance, 1e-3, 1 - 1e-3)
    return float(-np.log(np.where(fails, 1 - chance, chance)).mean())


if __name__ == "__main__":
    main()
