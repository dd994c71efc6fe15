"""Optuna: its own dashboard shows our sweeps, and its studies become ours."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from exchange_support import make, tool

from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Job, JobOutcome, JobState, Report, Stage, Trial, TrialStatus
from sweeptui.core.warmstart import copied
from sweeptui.exchange.foreign import tool_of
from sweeptui.exchange.formats import export, read
from sweeptui.exchange.records import Record
from sweeptui.exchange.taking import take
from sweeptui.folders import DATABASE, sweep_path

optuna = pytest.importorskip("optuna")
PATIENCE_S = 90


def swept() -> list[Record]:
    found = []
    for n in range(1, 6):
        job = Job(n, n, Stage.TRAIN, 1, 1.0, JobState.ENDED, outcome=JobOutcome.COMPLETED)
        curve = tuple(Report(n, n, Stage.TRAIN, 2.0, float(step), score=step / n) for step in (10, 20))
        status = TrialStatus.STOPPED if n == 3 else TrialStatus.COMPLETED
        params = {"lr": 0.1 / n, "n": n, "opt": "adam"}
        times = {"started_at": 1e9, "ended_at": 1e9 + n}
        trial = Trial(n, params, n, 1e9, status, score=20 / n, cost=2.0 * n, end_order=n, attempt=1, **times)
        found.append(Record(trial, (job,), curve))
    return found


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


@contextmanager
def dashboard(storage: str) -> Iterator[str]:
    """The real one, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-c", "from optuna_dashboard._cli import main; main()", storage, "--port", str(port)]
    process = subprocess.Popen([*words, "--host", "127.0.0.1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
    try:
        while True:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "it does not answer"
            try:
                answer(f"{url}/api/studies")
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("ending", [".db", ".journal"])
def test_the_real_dashboard_shows_our_sweep(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("optuna_dashboard")
    folder = make(tmp_path, "ours", swept())
    done = export(folder, "optuna", tmp_path / f"study{ending}", force=False)
    with dashboard(f"sqlite:///{done.path}" if ending == ".db" else str(done.path)) as url:
        [summary] = answer(f"{url}/api/studies")["study_summaries"]
        assert (summary["study_name"], summary["directions"]) == ("ours", ["maximize"])
        study = answer(f"{url}/api/studies/{summary['study_id']}?after=0")
    assert study["objective_names"] == ["score"]
    assert [trial["state"] for trial in study["trials"]] == ["Complete", "Complete", "Pruned", "Complete", "Complete"]
    first = study["trials"][0]
    assert (first["values"], [each["value"] for each in first["intermediate_values"]]) == ([20.0], [10.0, 20.0])
    assert {each["name"] for each in first["params"]} == {"lr", "n", "opt"}


def test_a_study_becomes_a_sweep_and_warm_starts_another(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/theirs.db"
    study = optuna.create_study(storage=storage, study_name="theirs", direction="minimize")
    study.set_metric_names(["loss"])
    made = optuna.distributions
    spread = {
        "lr": made.FloatDistribution(1e-4, 1, log=True),
        "k": made.IntDistribution(1, 9),
        "s": made.FloatDistribution(0, 1, step=0.25),
    }
    for n in range(4):
        state = optuna.trial.TrialState.PRUNED if n == 3 else optuna.trial.TrialState.COMPLETE
        params = {"lr": 10.0**-n, "k": n + 1, "s": 0.5}
        curve = {0: 3.0} if n == 3 else {1: 3.0, 4: 2.5}
        study.add_trial(
            optuna.create_trial(
                state=state, value=float(n), params=params, distributions=spread, intermediate_values=curve
            )
        )
    study.enqueue_trial({"lr": 0.5})
    source = read("optuna", str(tmp_path / "theirs.db"))
    theirs = tool_of(source, None, None)
    report = take(tmp_path, "theirs", source, theirs, "refuse", exact=True)
    assert (report.completed, dict(report.counts)) == (4, {"were left out: they have not ended": 1})
    with closing(SqliteStore.open(sweep_path(tmp_path, "theirs") / DATABASE, readonly=True)) as store:
        trials = store.state.trials
        assert [trial.status for trial in trials.values()] == [*[TrialStatus.COMPLETED] * 3, TrialStatus.STOPPED]
        assert [report.score for report in store.reports(1)] == [3.0, 2.5]
        assert (trials[4].step, trials[4].total_steps, trials[4].score) == (0, 4, 3.0)
        parameters = store.state.config["protein_config"]["parameters"]
        assert {name: each["distribution"] for name, each in parameters.items()} == {
            "lr": "log_normal", "k": "int_uniform", "s": "uniform",
        }  # fmt: skip
    ours = tool({"lr": {"min": 1e-3, "max": 1.0}}, protein={"metric": "loss", "goal": "minimize", "method": "bayes"})
    known = copied("theirs", theirs, trials, ours)
    assert [(each[0]["lr"], each[1]) for each in known["trials"]] == [(1.0, 0.0), (0.1, 1.0), (0.01, 2.0)]


def test_a_storage_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read("optuna", str(tmp_path / "absent.db"))
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + b"x" * 4096)
    with pytest.raises(UserError, match=r"broken\.db cannot be read as an Optuna storage"):
        read("optuna", str(tmp_path / "broken.db"))
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "two.journal")))
    for name in ("a", "b"):
        optuna.create_study(storage=storage, study_name=name)
    with pytest.raises(UserError, match=r"has 2 studies \(a, b\); say which with --study"):
        read("optuna", str(tmp_path / "two.journal"))
    with pytest.raises(UserError, match=r"--study is 'c', which .* does not have"):
        read("optuna", str(tmp_path / "two.journal"), "c")
