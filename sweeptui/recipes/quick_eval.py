"""Evaluates what `quick_train` has left: the mean of a few noisy episodes."""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from pathlib import Path

from sweeptui.core.errors import UserError
from sweeptui.recipes.settings import apply_setting, parse_settings
from sweeptui.reporting import report


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeptui.recipes.quick_eval")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overrides", nargs="*", default=[], metavar="PATH=VALUE")
    options = parser.parse_args(argv)
    config = {"episodes": 20}
    try:
        for path, value in parse_settings(options.overrides).items():
            apply_setting(config, path, value)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    value = json.loads(options.checkpoint.read_text())["worth"]
    noise = random.Random(options.seed + 1)  # noqa: S311 - a stand-in for episodes that differ
    scores = [value + noise.gauss(0, 0.02) for _ in range(config["episodes"])]
    score = statistics.fmean(scores)
    report(score=score, **{options.metric: score, "episodes": len(scores), "score_std": statistics.pstdev(scores)})
    sys.stdout.write(f"{len(scores)} episodes: score={score:.3f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
