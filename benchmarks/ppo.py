"""What ten trials of PPO find, beside the default configuration: `python benchmarks/ppo.py [--trials 10] [--seeds 5]`.

The default is the search centre, trained and evaluated by the same commands over several seeds. Takes about
20 seconds a trial on one core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from sweeptui.core.reports import ReportReader, objective
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.template import Context, render
from sweeptui.core.trial import Stage
from sweeptui.launch import prepare
from sweeptui.recipes.ppo import ppo


def default_score(seed: int, folder: Path) -> float:
    """Train and evaluate the default configuration once."""
    tool = ppo()
    trial_dir = folder / f"seed_{seed}"
    (trial_dir / "checkpoints").mkdir(parents=True)
    checkpoint = None
    score = None
    for stage, template, overrides in (
        (Stage.TRAIN, tool.train_command, tool.train_overrides),
        (Stage.EVAL, tool.eval_command, tool.eval_overrides),
    ):
        report_path = trial_dir / f"{stage}.reports.jsonl"
        context = Context(
            sweep="default",
            trial=seed,
            params=tool.space.center(),
            stage=stage,
            attempt=1,
            seed=seed,
            trial_dir=trial_dir,
            report_path=report_path,
            project_dir=folder,
            metric=tool.protein_config.metric,
            overrides=overrides,
            checkpoint=checkpoint,
        )
        environment = os.environ | {"SWEEPTUI_REPORT": str(report_path), "OMP_NUM_THREADS": "1"}
        with (trial_dir / f"{stage}.log").open("w") as log:
            subprocess.run(
                render(template or [], context), check=True, stdout=log, stderr=log, env=environment, cwd=folder
            )
        for report in ReportReader(report_path).read(final=True):
            checkpoint = report.checkpoint or checkpoint
            score = objective(report, tool.protein_config.metric)
    assert score is not None
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweeptui-ppo-") as name:
        folder = Path(name)
        start = time.monotonic()
        session = prepare("ppo", ppo(sweep_name="bench", max_trials=arguments.trials), folder)
        session.run()
        elapsed = time.monotonic() - start
        store = SqliteStore.open(session.database, readonly=True)
        best = store.state.best("maximize")
        scores = sorted((trial.score for trial in store.state.trials.values() if trial.score is not None), reverse=True)
        store.close()
        defaults = [default_score(seed, folder) for seed in range(1, arguments.seeds + 1)]
    assert best is not None
    print(f"{arguments.trials} trials of ppo on CartPole-v1 in {elapsed:.0f} s: {', '.join(f'{s:g}' for s in scores)}")
    print(f"best: {best.score:g} ({best.id}, {best.provenance['method']})")
    print(f"the default configuration over {arguments.seeds} seeds: {', '.join(f'{s:g}' for s in sorted(defaults))}")
    print(f"its median: {statistics.median(defaults):g}")


if __name__ == "__main__":
    main()
