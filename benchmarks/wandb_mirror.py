"""What mirroring to W&B costs a sweep: `python benchmarks/wandb_mirror.py [--pairs 4] [--trials 16] [--latency 0.15]`.

The same sweep with and without the mirror, by turns, so that both meet the same other work on the machine; against a
server on the loopback that answers after `--latency` seconds, as one across an ocean does. Timed is the sweep itself,
from its first trial's start to its end, as its database has it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fake_wandb import FakeWandb

from sweeptui import ParameterConfig, ProteinConfig, SweepTool
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.stores.wandb.book import standing
from sweeptui.core.tracking import WandbConfig
from sweeptui.launch import prepare

SLOTS = 2


def tool(name: str, store: str, trials: int, seconds: float) -> SweepTool:
    script = f'sleep {seconds}; echo "{{{{\\"score\\": {{p:x}}, \\"cost\\": 1}}}}" >> "$SWEEPTUI_REPORT"'
    return SweepTool.from_json(
        SweepTool(
            sweep_name=name,
            max_trials=trials,
            max_parallel_jobs=SLOTS,
            min_free_disk_mb=0,
            train_command=["/bin/sh", "-c", script],
            protein_config=ProteinConfig(
                method="random", parameters={"x": ParameterConfig(min=0.0, max=1.0, distribution="uniform")}
            ),
            # The jobs get the same environment and files with both, so that only the mirror differs.
            wandb=WandbConfig(project="bench"),
        ).to_json()
        | {"store": store}
    )


def seconds_of(root: Path, tool: SweepTool) -> float:
    """Run a sweep; how long it took by itself."""
    session = prepare("bench", tool, root)
    end = session.run()
    assert end.exit_code == 0, end
    with closing(SqliteStore.open(session.database, readonly=True)) as store:
        state = store.state
        assert state.started_at is not None
        assert state.ended_at is not None
        if tool.store == "wandb":
            mirror = standing(session.path)
            assert mirror is not None
            assert mirror.state == "synced", mirror
        return state.ended_at - state.started_at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each trial")
    parser.add_argument("--latency", type=float, default=0.15, help="of each request, in seconds")
    given = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as folder, FakeWandb() as server:
        os.environ |= server.environment(folder)
        server.fault(times=-1, delay_s=given.latency)
        for pair in range(given.pairs):
            order = ["sqlite", "wandb"] if pair % 2 == 0 else ["wandb", "sqlite"]
            took = {
                store: seconds_of(Path(folder), tool(f"{store}-{pair}", store, given.trials, given.seconds))
                for store in order
            }
            ratios.append(took["wandb"] / took["sqlite"])
            print(f"pair {pair + 1}: sqlite {took['sqlite']:.2f} s, wandb {took['wandb']:.2f} s, {ratios[-1]:.4f}")
        counts = {name: count for name, count in server.counts().items() if name.startswith("Sweeptui")}
    mirrored = given.pairs * given.trials
    print(f"slowdown: {100 * (statistics.median(ratios) - 1):+.2f} % (median of {given.pairs} pairs)")
    print(f"requests per trial: {sum(counts.values()) / mirrored:.1f} {counts}")


if __name__ == "__main__":
    main()
