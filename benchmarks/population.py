"""Population-based training of ppo beside random search with fixed schedules, at equal numbers of steps.

    python -m benchmarks.population run --out results.jsonl       # again, to go on where it stopped
    python -m benchmarks.population report results.jsonl

Both have the steps of `--members` whole trainings. Random search trains that many configurations from beginning to
end; PBT trains as many members and, `--generations` times, replaces the worst by changed copies of the best. What
counts is the best evaluation (mean reward of 20 episodes) of a policy that was trained to the end. Minutes a seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sweeptui.core.config import SweepTool
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import TrialStatus
from sweeptui.launch import prepare
from sweeptui.recipes.ppo import ppo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run what --out does not have yet")
    run.add_argument("--env", default="CartPole-v1")
    run.add_argument("--steps", type=int, default=16_384, help="of one whole training")
    run.add_argument("--members", type=int, default=4)
    run.add_argument("--generations", type=int, default=4)
    run.add_argument("--seeds", type=int, default=5)
    run.add_argument("--out", type=Path, required=True)
    report = commands.add_parser("report", help="a table of what was run")
    report.add_argument("results", type=Path)
    options = parser.parse_args()
    if options.command == "report":
        print(table([json.loads(line) for line in options.results.read_text().splitlines()]))
        return
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {(line["method"], line["seed"]) for line in map(json.loads, lines)}
    for seed in range(options.seeds):
        for method in ("random", "pbt"):
            if (method, seed) not in done:
                line = measured(method, seed, options)
                print(line, file=sys.stderr)
                with options.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")


def measured(method: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One sweep from beginning to end."""
    tool = ppo(env_id=options.env, total_timesteps=options.steps).to_json()
    tool |= {"sweep_name": method, "seed": seed, "max_trials": options.members}
    tool["protein_config"] |= {"method": "random"}
    if method == "pbt":
        shape = {"population_size": options.members, "num_generations": options.generations}
        tool |= {"scheduler": {"name": "pbt", **shape}, "max_trials": options.members * options.generations}
        tool.pop("scheduler_options")
    with tempfile.TemporaryDirectory(prefix="sweeptui-population-") as name:
        session = prepare("ppo", SweepTool.from_json(tool), Path(name))
        session.run()
        with closing(SqliteStore.open(session.database, readonly=True)) as store:
            trials = list(store.state.trials.values())
    whole = [trial.score for trial in trials if trial.status is TrialStatus.COMPLETED and trial.score is not None]
    begun = {trial.number: trial.step or 0 for trial in trials}
    # A child's step counts on from its parent's checkpoint.
    steps = sum((trial.step or 0) - _at_birth(trial.provenance, begun) for trial in trials)
    return {
        "method": method,
        "seed": seed,
        "env": options.env,
        "steps": round(steps),
        "scores": sorted(whole, reverse=True),
        "failed": sum(trial.status is TrialStatus.FAILED for trial in trials),
    }


def _at_birth(provenance: Any, steps: dict[int, float]) -> float:
    parent = provenance.get("parent")
    return 0.0 if parent is None else steps[parent]


def table(lines: list[dict[str, Any]]) -> str:
    """Best evaluation by seed, and over seeds."""
    said = ["| seed | random search | PBT | steps of random search | steps of PBT |", "|---:|---:|---:|---:|---:|"]
    best: dict[str, list[float]] = {"random": [], "pbt": []}
    for seed in sorted({line["seed"] for line in lines}):
        found = {line["method"]: line for line in lines if line["seed"] == seed}
        if len(found) < 2:
            continue
        for method, line in found.items():
            best[method].append(max(line["scores"], default=float("nan")))
        cells = [f"{best[method][-1]:.1f}" for method in best] + [f"{found[method]['steps']:,}" for method in best]
        said.append(f"| {seed} | {' | '.join(cells)} |")
    means = [f"{statistics.mean(scores):.1f}" for scores in best.values()]
    return "\n".join([*said, f"| mean | {' | '.join(means)} | | |"])


if __name__ == "__main__":
    main()
