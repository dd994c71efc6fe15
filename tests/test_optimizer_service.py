"""The optimizer in its own process: real processes, real kills."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import History, PendingTrial
from sweeptui.core.optimizers.random import RandomOptimizer
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.optimizers.service import TRIES, WORKER_COMMAND, OptimizerService, SuggestResult
from sweeptui.core.space import Choice, Integer, LogUniform, Space
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPACE = Space.from_parameters({"lr": LogUniform(1e-5, 1e-1), "layers": Integer(1, 8)})
SETTINGS = {"num_random_samples": 2}
PATIENCE_S = 120.0

HELD_ONCE = """
import sys, time
from pathlib import Path
from sweeptui.core.optimizers import worker

marks = Path(sys.argv[1])
answer = worker._answer

def held_the_first_time(optimizer, request):
    with marks.open("a") as file:
        file.write("asked\\n")
    if len(marks.read_text().splitlines()) <= int(sys.argv[2]):
        time.sleep(1000)
    return answer(optimizer, request)

worker._answer = held_the_first_time
worker.main()
"""


def history(count: int) -> History:
    rng = random.Random(3)
    rows = [SPACE.sample(rng) for _ in range(count)]
    return History(tuple(Observation(k, p, float(k % 7), 1.0 + k % 2) for k, p in enumerate(rows, 1)))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def result_of(service: OptimizerService) -> SuggestResult:
    assert select.select([service.fileno()], [], [], PATIENCE_S)[0], "no result came"
    result = service.poll()
    assert result is not None
    return result


def fresh(method: str = "bayes", space: Space = SPACE, **more: object) -> OptimizerService:
    return OptimizerService(method, space, ["maximize"], SETTINGS, 0, **more)  # type: ignore[arg-type]


def random_params(number: int) -> dict[str, object]:
    [drawn] = RandomOptimizer(SPACE, goal="maximize", settings={}, seed=0).suggest(History(), number)
    return dict(drawn.params)


def test_random_is_answered_at_once_without_a_process() -> None:
    service = fresh("random")
    service.start()
    service.request(History(), 4, 2)
    assert service.busy
    assert select.select([service.fileno()], [], [], 0)[0]
    result = service.poll()
    assert result is not None
    assert result.first_number == 4
    assert [dict(s.params) for s in result.suggestions] == [random_params(4), random_params(5)]
    assert service.worker_pid is None
    assert not service.busy
    assert service.poll() is None
    assert not select.select([service.fileno()], [], [], 0)[0]
    service.close()


def test_the_process_suggests_what_the_optimizer_would_and_is_a_good_neighbour(tmp_path: Path) -> None:
    service = fresh(log_path=tmp_path / "optimizer.log")
    service.start()
    seen = History(history(8).observations, (), (PendingTrial(9, {"lr": 1e-3, "layers": 2}),))
    service.request(seen, 10, 2)
    with pytest.raises(RuntimeError, match="already open"):
        service.request(seen, 12)
    result = result_of(service)
    expected = resolve("bayes")(SPACE, goal="maximize", settings=SETTINGS, seed=0).suggest(seen, 10, 2)
    assert [(s.params, s.provenance) for s in result.suggestions] == [(s.params, s.provenance) for s in expected]
    pid = service.worker_pid
    assert pid is not None
    assert os.getsid(pid) == pid, "so Ctrl-C in the terminal does not reach it"
    assert psutil.Process(pid).nice() >= 5
    assert psutil.Process(pid).environ()["OMP_NUM_THREADS"] == "1"
    service.close()
    service.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(RuntimeError, match="closed"):
        service.request(seen, 12)


def test_killed_in_the_middle_of_a_suggestion_it_gives_the_same_one(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    service = fresh(worker_command=(sys.executable, "-c", HELD_ONCE, str(marks), "1"))
    service.request(history(8), 9)
    wait_for(marks.exists)
    victim = service.worker_pid
    assert victim is not None
    assert service.poll() is None
    os.kill(victim, signal.SIGKILL)
    result = result_of(service)
    assert marks.read_text().splitlines() == ["asked", "asked"], "the first was killed while it was asked"
    assert service.worker_pid != victim
    [undisturbed] = resolve("bayes")(SPACE, goal="maximize", settings=SETTINGS, seed=0).suggest(history(8), 9)
    assert [(s.params, s.provenance) for s in result.suggestions] == [(undisturbed.params, undisturbed.provenance)]
    service.close()


def test_killed_between_two_requests_nobody_notices(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    service = fresh(worker_command=(sys.executable, "-c", HELD_ONCE, str(marks), "0"))
    service.request(History(), 1)
    first = result_of(service)
    victim = service.worker_pid
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    service.request(History(), 1)
    again = result_of(service)
    assert service.worker_pid != victim
    assert again == first
    service.close()


FAULTS = {
    "dies": ("import sys; sys.exit(3)", "ended with exit code 3"),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
    "raves": ("print('hello', flush=True); import time; time.sleep(1000)", "not JSON"),
    "hangs": ("import sys; sys.stdin.read()", "no answer in 0.5 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_that_always_fails_gives_a_marked_random_suggestion(fault: str, tmp_path: Path) -> None:
    code, reason = FAULTS[fault]
    counted = f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); {code}"
    service = fresh(worker_command=(sys.executable, "-c", counted), answer_timeout_s=0.5 if fault == "hangs" else 60.0)
    service.request(History(), 7)
    [suggestion] = result_of(service).suggestions
    assert len((tmp_path / "starts").read_text()) >= TRIES
    assert suggestion.params == random_params(7)
    assert suggestion.provenance["method"] == "random"
    assert reason in suggestion.provenance["fallback"]
    service.close()


def test_a_program_that_is_not_there_gives_a_marked_random_suggestion() -> None:
    service = fresh(worker_command=("/nowhere/python",))
    service.request(History(), 1)
    [suggestion] = result_of(service).suggestions
    assert "could not be started" in suggestion.provenance["fallback"]
    service.close()


def test_ten_thousand_observations_go_through() -> None:
    service = fresh()
    service.request(history(10_000), 10_001)
    [suggestion] = result_of(service).suggestions
    assert suggestion.provenance["method"] == "protein"
    assert suggestion.provenance["n_observations"] == 10_000
    service.close()


def test_a_used_up_space_is_told() -> None:
    space = Space.from_parameters({"c": Choice(["a", "b"])})
    for method in ("random", "bayes"):
        service = fresh(method, space)
        service.request(History(), 1, 8)
        assert sorted(s.params["c"] for s in result_of(service).suggestions) == ["a", "b"]
        done = History(tuple(Observation(k, {"c": c}, 0.0, 1.0) for k, c in enumerate("ab", 1)))
        service.request(done, 3)
        assert result_of(service) == SuggestResult(3, exhausted=True)
        service.close()


def test_a_users_mistake_is_refused_before_anything_starts() -> None:
    for method, settings in (("bays", {}), ("optuna:", {}), ("bayes", {"acquisition": "pi"})):
        with pytest.raises(UserError):
            OptimizerService(method, SPACE, ["maximize"], settings, 0)


def test_closing_ends_a_worker_that_is_busy(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    service = fresh(worker_command=(sys.executable, "-c", HELD_ONCE, str(marks), "1"))
    service.request(history(3), 4)
    wait_for(marks.exists)
    pid = service.worker_pid
    assert pid is not None
    service.close()
    assert not psutil.pid_exists(pid)
    assert len(marks.read_text().splitlines()) == 1, "and it is not started again"


PLUGIN = """
from sweeptui.core.optimizers.base import Suggestion

class Middle:
    def __init__(self, space, *, goal, settings, seed):
        self.space = space
    def suggest(self, history, first_number, n=1):
        print("a chatty library")
        if first_number > 5:
            raise ArithmeticError("beyond five")
        return [Suggestion(self.space.center(), {"method": "middle"})] * n
"""


def test_a_plug_in_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "middle.py").write_text(PLUGIN)
    info = tmp_path / "middle-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: middle\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sweeptui.optimizers]\nmiddle = middle:Middle\nmissing = middle:Gone\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log = tmp_path / "optimizer.log"
    service = fresh("middle", log_path=log)
    service.request(History(), 5)
    [suggestion] = result_of(service).suggestions
    assert suggestion.params == SPACE.center()
    assert suggestion.provenance == {"method": "middle"}
    service.request(History(), 6)
    [fallen] = result_of(service).suggestions
    assert "raised ArithmeticError: beyond five" in fallen.provenance["fallback"]
    service.close()
    assert "chatty" in log.read_text()
    assert "Traceback" in log.read_text()
    broken = fresh("missing")
    broken.request(History(), 1)
    assert "'missing' cannot be loaded" in result_of(broken).error
    broken.close()


ORPHAN = """
import json, os, sys
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.service import OptimizerService
from sweeptui.core.space import Space

service = OptimizerService("bayes", Space.from_json(json.loads(sys.argv[1])), ["maximize"], {}, 0)
service.start()
service.request(History(), 1)
import select
select.select([service.fileno()], [], [])
assert service.poll().suggestions
heavy = {"numpy", "scipy", "torch", "gpytorch"} & sys.modules.keys()
print(json.dumps({"pid": service.worker_pid, "heavy": sorted(heavy)}), flush=True)
os.kill(os.getpid(), 9)
"""


def test_the_sweep_imports_nothing_heavy_and_its_worker_does_not_outlive_it() -> None:
    parent = subprocess.run(
        [sys.executable, "-c", ORPHAN, json.dumps(SPACE.to_json())],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    told = json.loads(parent.stdout)
    assert told["heavy"] == []
    wait_for(lambda: not psutil.pid_exists(told["pid"]) or psutil.Process(told["pid"]).status() == psutil.STATUS_ZOMBIE)


def test_a_folder_of_the_user_does_not_shadow_the_workers_modules() -> None:
    assert "-P" in WORKER_COMMAND
