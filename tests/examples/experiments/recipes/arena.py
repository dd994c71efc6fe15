"""A stand-in for a recipe module: two entry points that make tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.arena import ArenaTool

from sweeptui import report


def train_shaped(run: str) -> ArenaTool:
    return ArenaTool(run)


class EvalTool:
    push_metrics = False

    def __init__(self, policy_uri: str) -> None:
        self.policy_uri = policy_uri

    def invoke(self, args: dict[str, Any]) -> int:
        policy = json.loads(Path(self.policy_uri.removeprefix("file://"), "policy.json").read_text())
        report(**{"evaluator/eval_arena/score": policy["arena"]})
        return 0


def evaluate(policy_uri: str) -> EvalTool:
    return EvalTool(policy_uri)
