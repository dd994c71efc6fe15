"""Kill the process that runs a sweep at every one of its writes, run it again, and see that nothing can be told."""

from __future__ import annotations

import contextlib
import itertools
import re
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from engine_support import RAN, REPORT, Driver, Sweep

JOB = RAN + REPORT + '[ "$SWEEPTUI_JOB" = trial_0001.train.1 ] && sleep 0.15 || sleep 0.04'
"""The first job runs for so long that its report is written by itself."""
NOT_FOR_SURE = re.compile(r"job.changed .* reported|trial.changed .*|trial.created (?!1).*")
"""Reports may be written with the end of their job; trials change in the same write as their job."""


OTHER_WRITES = {
    "sweep.created",
    "lease.taken",
    "sweep.changed running",
    "heartbeat",
    "trial.created 1",
    "job.changed train.1 1 reported",
    "sweep.changed finished",
    "lease.released",
}


def outcome(sweep: Sweep) -> dict[str, Any]:
    """What must be the same whatever happened on the way."""
    state = sweep.state
    trials = {
        trial.id: (
            dict(trial.params),
            trial.seed,
            trial.status.value,
            trial.score,
            trial.cost,
            trial.spent,
            trial.attempt,
            trial.eval_attempt,
            trial.failure,
            dict(trial.provenance),
        )
        for trial in state.trials.values()
    }
    return {"status": state.status.value, "reason": state.reason, "trials": trials, "runs": sweep.runs()}


def crash_and_go_on(driver: Driver, folder: Path, options: dict[str, Any], at: str, before: bool) -> dict[str, Any]:
    """Kill a new sweep at a write, run the same command again, and return the outcome."""
    sweep = killed(driver, folder, options, at, before)
    code, said = driver.run(sweep, sweep.tool(**options))
    assert code == 0
    assert said.get("status") == "finished", said
    assert said["exit_code"] == 0
    sweep.assert_nothing_runs()
    sweep.assert_consistent()
    return outcome(sweep)


def killed(driver: Driver, folder: Path, options: dict[str, Any], at: str, before: bool) -> Sweep:
    """A sweep that died at a write.

    Where the machine is slow, a job may have ended before its start is written; there is one write then instead of
    two. Such a sweep is left as it is and another one is made.
    """
    for attempt in range(10):
        sweep = Sweep(folder / str(attempt))
        code, said = driver.run(sweep, sweep.tool(**options), die_at=at, die_before=before)
        if code == -signal.SIGKILL:
            assert at in said
            return sweep
        assert at not in itertools.chain.from_iterable(said["writes"]), said
    raise AssertionError(f"it never died at {at}")


def undisturbed(driver: Driver, folder: Path, options: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """All that the sweep writes when nothing happens to it, and its outcome."""
    sweep = Sweep(folder)
    code, said = driver.run(sweep, sweep.tool(**options))
    assert code == 0
    assert said.get("status") == "finished", said
    stages = ("train", "eval") if options.get("evaluate") else ("train",)
    ids = [f"trial_{n:04d}" for n in range(1, options["max_trials"] + 1)]
    assert sweep.runs() == Counter(f"{trial} {stage}" for trial in ids for stage in stages)
    assert [trial.id for trial in sweep.state.trials.values()] == ids
    sweep.assert_consistent()
    return list(dict.fromkeys(itertools.chain.from_iterable(said["writes"]))), outcome(sweep)


def kill_at_every_write(tmp_path: Path, options: dict[str, Any]) -> None:
    with contextlib.closing(Driver()) as one, contextlib.closing(Driver()) as other:
        writes, expected = undisturbed(one, tmp_path / "undisturbed", options)
        points = [name for name in writes if not NOT_FOR_SURE.fullmatch(name)] + ["job.changed train.1 1 reported"]
        jobs = options["max_trials"] * 2
        # Each job is meant, runs and ends.
        assert len(points) == len(OTHER_WRITES) + 3 * jobs
        assert set(points) > OTHER_WRITES

        def campaign(driver: Driver, before: bool) -> None:
            for at in points:
                folder = tmp_path / f"{'before' if before else 'after'} {at}"
                assert crash_and_go_on(driver, folder, options, at, before) == expected, folder.name

        with ThreadPoolExecutor(2) as pool:
            for running in [pool.submit(campaign, one, True), pool.submit(campaign, other, False)]:
                running.result()


def test_a_kill_at_any_write_changes_nothing(tmp_path: Path) -> None:
    kill_at_every_write(tmp_path, {"train": JOB, "evaluate": JOB, "max_trials": 3})


@pytest.mark.slow
def test_a_kill_at_any_write_changes_nothing_with_two_trials_at_once(tmp_path: Path) -> None:
    kill_at_every_write(tmp_path, {"train": JOB, "evaluate": JOB, "max_trials": 4, "max_parallel_jobs": 2})


@pytest.mark.slow
def test_a_resumed_sweep_suggests_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    options = {"train": JOB, "max_trials": 5, "method": "bayes", "settings": {"num_random_samples": 1}}
    with contextlib.closing(Driver()) as driver:
        _, expected = undisturbed(driver, tmp_path / "undisturbed", options)
        methods = [trial[-1]["method"] for trial in expected["trials"].values()]
        assert "protein" in methods, "otherwise this would prove nothing"
        for before, at in enumerate(("job.created train.1 2", "job.changed train.1 3 ended", "trial.created 4")):
            assert crash_and_go_on(driver, tmp_path / at, options, at, bool(before % 2)) == expected
