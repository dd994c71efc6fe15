"""The test server against the unmodified W&B client, in processes of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from fake_wandb import ENTITY, FakeWandb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("wandb")


@pytest.fixture
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        yield server


def client(server: FakeWandb, folder: Path, code: str, **env: str) -> Any:
    """Run `code`, which sets `said`, with the client; what it has said."""
    program = f"import json, wandb\n{textwrap.dedent(code)}\nprint('SAID', json.dumps(said))\n"
    environment = {**os.environ, **server.environment(str(folder), WANDB_PROJECT="p"), **env}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("SAID ")]
    assert lines, done.stdout + done.stderr
    return json.loads(lines[-1][5:])


def test_a_run_is_logged_resumed_listed_and_changed(server: FakeWandb, tmp_path: Path) -> None:
    said = client(
        server,
        tmp_path,
        """
        run = wandb.init(id="r1", group="g", job_type="train", config={"lr": 0.1}, tags=["x"], resume="allow")
        for step in range(3):
            run.log({"loss": 3 - step})
        run.summary["score"] = 7
        run.finish()
        again = wandb.init(id="r1", resume="must")
        again.log({"loss": 0.5})
        again.finish()
        api = wandb.Api()
        runs = api.runs("test-entity/p", filters={"group": "g", "jobType": "train"}, lazy=False)
        run = runs[0]
        run.summary.update({"by_api": 1})
        run.tags.append("y")
        run.update()
        said = {"n": len(runs), "summary": run.summary._json_dict, "config": run.config, "state": run.state,
                "history": [row["loss"] for row in run.scan_history(keys=["loss"])]}
        """,
    )
    assert (said["n"], said["state"], said["config"]["lr"]) == (1, "finished", 0.1)
    assert said["summary"]["score"] == 7
    assert said["summary"]["loss"] == 0.5
    run = server.runs.now(ENTITY, "p", "r1")
    assert run is not None
    assert (run.group, run.job_type, run.tags) == ("g", "train", ["x", "y"])
    assert run.summary["by_api"] == 1
    assert [json.loads(line)["loss"] for line in run.history] == [3, 2, 1, 0.5]


def test_a_list_without_the_lazy_fields_reads_run_by_run(server: FakeWandb, tmp_path: Path) -> None:
    for number in range(5):
        server.runs.upsert((ENTITY, "p", f"r{number}"), {"config": f'{{"lr": {{"value": {number}}}}}'})
    code = """
    api = wandb.Api()
    said = sorted(run.config["lr"] for run in api.runs("test-entity/p", lazy={lazy}, per_page=100))
    """
    assert client(server, tmp_path, code.format(lazy=False)) == [0, 1, 2, 3, 4]
    whole = sum(server.counts().values())
    assert client(server, tmp_path, code.format(lazy=True)) == [0, 1, 2, 3, 4]
    assert sum(server.counts().values()) - whole == whole + 5


def test_lists_and_points_lag_and_heartbeats_age(server: FakeWandb) -> None:
    key = (ENTITY, "p", "r")
    server.runs.upsert(key, {"summaryMetrics": '{"a": 1}'})
    server.runs.settings.list_lag_s = 3600
    assert server.runs.listed(ENTITY, "p", {}, "") == []
    assert server.runs.point(*key) is not None
    server.runs.settings.point_lag_s = 3600
    assert server.runs.point(*key) is None
    server.runs.settings.point_lag_s = 0
    server.runs.age(key, 301)
    point = server.runs.point(*key)
    assert point is not None
    assert point.state == "crashed"


def test_faults_strike_and_deleted_ids_stay_used(server: FakeWandb, tmp_path: Path) -> None:
    limited = server.fault("Viewer", status=429, headers={"Retry-After": "1"})
    said = client(
        server,
        tmp_path,
        """
        api = wandb.Api(timeout=30)
        run = wandb.init(id="gone")
        run.finish()
        api.run("test-entity/p/gone").delete()
        try:
            wandb.init(id="gone", settings=wandb.Settings(init_timeout=3))
            said = "made again"
        except wandb.errors.CommError as error:
            said = str(error)
        """,
    )
    assert limited.fired == 1
    assert "previously created and deleted" in said


@pytest.mark.parametrize("query", ["{ nothing { id } }", "query Q { viewer { shoe_size } }", "{ viewer { id "])
def test_an_unknown_operation_fails_the_test(query: str) -> None:
    server = FakeWandb()
    request = urllib.request.Request(
        f"{server.url}/graphql",
        json.dumps({"query": query}).encode(),
        {"Authorization": f"Basic {base64.b64encode(f'api:{server.key}'.encode()).decode()}"},
    )
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=30)
    with pytest.raises(AssertionError, match="does not know"):
        server.__exit__(None)


def test_a_server_that_was_away_comes_back_on_its_port_with_all_it_held() -> None:
    with FakeWandb() as server:
        url = server.url
        server.runs.upsert((ENTITY, "p", "r"), {})
        server.stop()
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(url, timeout=30)
        server.start()
        assert server.url == url
        assert server.runs.now(ENTITY, "p", "r") is not None
