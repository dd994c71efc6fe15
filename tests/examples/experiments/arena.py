"""A stand-in for a project's own training: its tool has fields that a sweep sets, and scores by them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeptui import TrainTool, report


class ArenaTool(TrainTool):
    def __init__(self, run: str) -> None:
        self.run = run
        self.trainer: dict[str, Any] = {
            "optimizer": SimpleNamespace(learning_rate=1e-3),
            "ppo": {"clip_coef": 0.1, "ent_coef": 0.01, "gae_lambda": 0.95},
            "losses": {"loss_configs": {"ppo": {"clip_coef": 0.1, "ent_coef": 0.01}}},
            "batch_size": 131072,
        }

    def invoke(self, args: dict[str, Any]) -> int:
        rate = self.trainer["optimizer"].learning_rate
        arena = 1 / (1 + abs(math.log10(rate / 3e-4)))
        folder = Path("train_dir") / self.run / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        trainer = {**self.trainer, "optimizer": vars(self.trainer["optimizer"])}
        (folder / "policy.json").write_text(json.dumps({"arena": arena, "trainer": trainer, "pid": os.getpid()}))
        report(step=1, total_steps=1, arena=arena)
        return 0


def train(run_name: str) -> ArenaTool:
    return ArenaTool(run_name)
