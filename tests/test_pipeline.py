"""Pipelines: what is found wrong before they are run, what they do, and that they go on where they were cut off."""

from __future__ import annotations

import asyncio
import os
import pstats
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from sweeptui.core.experiments import (
    Context,
    ContractError,
    Event,
    Pipeline,
    PipelineError,
    StageError,
    StoreMemory,
    ref,
)
from sweeptui.core.experiments.memory import Forgetful


class Found(BaseModel):
    trials: list[int]


@dataclass
class Task:
    name: str
    level: int = 1


def kinds(memory: Any, kind: str) -> list[str]:
    return [event.path for event in memory.events() if event.kind == kind]


# -- what it does


def test_fields_flow_from_stage_to_stage() -> None:
    done = (
        Pipeline(n=int)
        .stage("suggest", lambda ctx: {"trials": list(range(ctx.n))})
        .through(trials=list[int])
        .stage("train", lambda trials: {"scores": {str(t): t / 10 for t in trials}})
        .through(scores=dict[str, float])
        .stage("best", lambda data: max(data.scores.values()))
        .through(best=float)
        .run(n=4)
    )
    assert isinstance(done, Context)
    assert dict(done) == {
        "n": 4,
        "trials": [0, 1, 2, 3],
        "scores": {"0": 0.0, "1": 0.1, "2": 0.2, "3": 0.3},
        "best": 0.3,
    }


@pytest.mark.parametrize(
    ("through", "output", "field", "value"),
    [
        (Found, Found(trials=[1]), "trials", [1]),
        (Found, {"trials": [1]}, "trials", [1]),
        (Task, Task("walk"), "name", "walk"),
        (list[int], [1, 2], "stage", [1, 2]),
        (float, 2, "stage", 2.0),
        (dict, {"a": 1}, "stage", {"a": 1}),
        (None, {"a": 1}, "stage", {"a": 1}),
    ],
)
def test_contracts_are_models_or_types(through: Any, output: Any, field: str, value: Any) -> None:
    done = Pipeline().stage("stage", lambda: output).through(through).run()
    assert isinstance(done, Context)
    assert done[field] == value


def test_a_single_field_of_a_mapping_type_takes_the_mapping_itself() -> None:
    assert Pipeline().stage("s", lambda: {"x": 1}).through(results=dict).run()["results"] == {"x": 1}  # type: ignore[index]
    named = Pipeline().stage("s", lambda: {"results": {"x": 1}}).through(results=dict).run()
    assert named["results"] == {"x": 1}  # type: ignore[index]


def test_settings_are_seen_by_their_stage_alone_and_may_refer_to_fields() -> None:
    done = (
        Pipeline()
        .stage("explore", lambda ctx: list(range(ctx.n_trials)))
        .through(explored=list[int], n_trials=3)
        .stage("model", lambda ctx: [*ctx.init_from, ctx.n_trials])
        .through(modeled=list[int], n_trials=9, init_from=ref("explored"))
        .run()
    )
    assert dict(done) == {"explored": [0, 1, 2], "modeled": [0, 1, 2, 9]}  # type: ignore[call-overload]


def test_a_loop_runs_while_its_condition_holds_and_inputs_are_its_state() -> None:
    done = (
        Pipeline(task_idx=0)
        .stage("init", lambda: [Task("walk"), Task("run", 2)])
        .through(tasks=list[Task])
        .loop_while(lambda ctx: ctx.task_idx < len(ctx.tasks))
        .stage("select", lambda ctx: ctx.tasks[ctx.task_idx])
        .through(current_task=Task)
        .stage("advance", lambda ctx: {"should_advance": True, "task_idx": ctx.task_idx + 1})
        .through(should_advance=bool)
        .end_loop()
        .stage("last", lambda current_task: current_task.name)
        .through(last=str)
        .run()
    )
    assert done["last"] == "run"  # type: ignore[index]
    assert done["task_idx"] == 2  # type: ignore[index]


def test_coroutines_are_stages_too_and_a_run_inside_one_is_awaited() -> None:
    async def inner() -> float:
        await asyncio.sleep(0)
        child = Pipeline().stage("deep", lambda: 4).through(deep=int)
        found = await child.run()  # type: ignore[misc]
        return float(found.deep)

    assert Pipeline().stage("outer", inner).through(score=float).run()["score"] == 4.0  # type: ignore[index]


def test_hooks_see_copies_and_their_failures_change_nothing() -> None:
    memory, seen = Forgetful(), []

    def spoil(data: Any) -> None:
        seen.append(list(data.trials))
        data.trials.clear()

    def fail(stage: str, data: Any) -> None:
        raise RuntimeError(f"no {stage}")

    pipeline = (
        Pipeline(trials=[1, 2])
        .stage("more", lambda trials: Found(trials=[*trials, 3]))
        .through(Found, before=spoil, after=spoil, validate=lambda d: len(d.trials) == 3, metrics=seen.append)
        .with_global_hooks(before=fail, after=lambda stage, data: seen.append(stage))
    )
    assert dict(pipeline.run(memory)) == {"trials": [1, 2, 3]}  # type: ignore[call-overload]
    assert seen[:3] == [[1, 2], "more", [1, 2, 3]]
    assert seen[3]["stage"] == "more"
    assert seen[3]["attempts"] == 1
    (failed,) = [event for event in memory.events() if event.kind == "hook_failed"]
    assert failed.data == {"hook": "before", "error": "RuntimeError: no more"}


def test_a_stage_is_tried_again_and_each_attempt_is_kept() -> None:
    memory, calls = Forgetful(), []

    def flaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("busy")
        return len(calls)

    assert Pipeline().stage("flaky", flaky).through(n=int, retry=2).run(memory)["n"] == 3  # type: ignore[index]
    assert [event.data["error"] for event in memory.events() if event.kind == "failed"] == [
        "stage 'flaky' failed: OSError: busy (attempt 1)",
        "stage 'flaky' failed: OSError: busy (attempt 2)",
    ]


def test_a_stage_that_fails_for_good_says_where_and_why() -> None:
    asked: list[BaseException] = []
    pipeline = Pipeline().stage("train", lambda: 1 / 0).through(n=float, on_error=asked.append)
    with pytest.raises(StageError, match=r"^stage 'train' failed: ZeroDivisionError: .*division by zero$") as caught:
        pipeline.run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [type(error) for error in asked] == [ZeroDivisionError]


def test_on_error_may_give_the_output() -> None:
    done = Pipeline().stage("train", lambda: 1 / 0).through(n=float, on_error=lambda error: -1).run()
    assert done["n"] == -1.0  # type: ignore[index]


def test_an_output_that_validate_refuses_is_a_failed_attempt() -> None:
    with pytest.raises(StageError, match="refused by validate"):
        Pipeline().stage("s", lambda: 1).through(n=int, validate=lambda d: d.n > 1).run()


@pytest.mark.parametrize(
    ("through", "output", "message"),
    [
        ({"n": float}, "0.5", "stage 's': field 'n'"),
        ({"n": int, "m": int}, {"n": 1}, "gave no 'm', which its contract promises"),
        ({"n": int}, {"n": 1, "k": 2}, "field 'n'"),
        ({"n": int, "m": int}, {"n": 1, "m": 2, "k": 3}, "gave 'k', which its contract does not have"),
        ({"n": int, "m": int}, 3, "must return a mapping with 'n', 'm'"),
        ({"n": Any}, object(), "cannot be kept"),
    ],
)
def test_a_broken_contract_names_stage_and_field(through: dict[str, Any], output: Any, message: str) -> None:
    with pytest.raises((StageError, ContractError), match=message):
        Pipeline().stage("s", lambda: output).through(**through).run()


# -- time


def test_a_stage_is_interrupted_when_its_time_is_up() -> None:
    ended: list[str] = []

    def slow() -> None:
        time.sleep(600)
        ended.append("by itself")

    with pytest.raises(StageError, match=r"stage 'slow' did not end within 0\.2 s"):
        Pipeline().stage("slow", slow).through(timeout=0.2).run()
    assert not ended


def test_a_coroutine_is_cancelled_when_its_time_is_up() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(1)

    with pytest.raises(StageError, match="did not end within"):
        Pipeline().stage("slow", slow).through(timeout=0.2).run()
    assert ended


def test_a_stage_in_another_thread_is_interrupted_too() -> None:
    failed: list[BaseException] = []

    def busy() -> None:
        while True:
            time.sleep(0.001)

    def run() -> None:
        try:
            Pipeline().stage("busy", busy).through(timeout=0.2).run()
        except StageError as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(120)
    assert "did not end within" in str(failed[0])


def test_the_time_of_a_stage_holds_for_the_stages_inside_it() -> None:
    before = signal.getsignal(signal.SIGALRM)
    inner = Pipeline().stage("inner", lambda: time.sleep(600)).through(timeout=500)
    with pytest.raises(StageError, match="stage 'outer' "):
        Pipeline().stage("outer", inner.run).through(out=dict, timeout=0.3).run()
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_run_that_is_no_longer_awaited_ends() -> None:
    steps: list[int] = []

    def busy() -> None:
        while True:
            steps.append(1)
            time.sleep(0.001)

    async def impatient() -> None:
        task = asyncio.ensure_future(Pipeline().stage("busy", busy).run())  # type: ignore[arg-type]
        while not steps:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(impatient())
    assert not [thread for thread in threading.enumerate() if thread.name == "experiment"]


# -- what is found before it is run


def _stage(name: str = "a", call: Any = lambda: 1, **through: Any) -> Pipeline:
    return Pipeline().stage(name, call).through(**through)


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (Pipeline(), "the pipeline has no stage"),
        (_stage(trials=int).stage("b", lambda ctx: ctx.trails), "stage 'b' reads 'trails'.*did you mean 'trials'"),
        (_stage(trials=int).stage("b", lambda trails, n: 1), "stage 'b' reads 'trails'"),
        (_stage(n=int).stage("a", lambda: 2), "stage 'a' is there twice"),
        (_stage(o=threading.Event), "field 'o' is of type Event, whose content is not known"),
        (_stage(n=int).stage("b", lambda ctx: ctx.m).through(k=int, m=ref("nn")), r"ref\('nn'\).*did you mean 'n'"),
        (Pipeline().loop_while(lambda ctx: True).stage("a", lambda: 1), "has no end"),
        (Pipeline().loop_while(lambda ctx: True).end_loop(), "has no stage before its end_loop"),
        (Pipeline().loop_while(lambda ctx: True).stage("a", lambda: 1).end_loop(), "never ends: its condition"),
        (Pipeline().loop_while(lambda ctx: False).stage("a", lambda: 1).end_loop(), "stage 'a' is never reached"),
        (
            Pipeline().loop_while(lambda ctx: 1).stage("a", lambda: 1).end_loop().stage("b", lambda: 1),
            r"never ends.*\(and 1 more\)",
        ),
        (
            _stage(n=int).loop_while(lambda ctx: ctx.n < 3).stage("b", lambda: 1).through(m=int).end_loop(),
            "never ends once it is begun: no stage in it gives 'n'",
        ),
        (
            Pipeline().loop_while(lambda ctx: ctx.n < 3).stage("b", lambda: 1).through(n=int).end_loop(),
            r"reads 'n', which nothing before it gives; declare it with its first value: Pipeline\(n=\.\.\.\)",
        ),
    ],
)
def test_a_wrong_pipeline_is_refused_before_anything_runs(pipeline: Pipeline, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        pipeline.run()


def test_types_are_compared_between_stages() -> None:
    def train(trials: list[int]) -> int:
        return len(trials)

    def wants(task: Task) -> None: ...

    with pytest.raises(PipelineError, match=r"stage 'train' takes 'trials' as list\[int\], but it is list\[str\]"):
        _stage("suggest", lambda: ["x"], trials=list[str]).stage("train", train).check()
    with pytest.raises(PipelineError, match="stage 'wants' reads 'name'"):
        _stage(n=int).stage("wants", wants).check()
    _stage("suggest", lambda: [1], trials=list[int]).stage("train", train).check()


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ({"timeout": 0}, "timeout is 0; it must be seconds above 0"),
        ({"retry": -1}, "retry is -1"),
        ({"before": 3}, "before is 3; it must be a function"),
        ({"checkpoint": "yes"}, "checkpoint is 'yes'"),
        ({"cache": 2}, "cache is 2"),
    ],
)
def test_wrong_hooks_are_refused(hooks: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        _stage(**hooks)


def test_wrong_steps_and_inputs_are_refused() -> None:
    with pytest.raises(PipelineError, match="belongs right after"):
        Pipeline().through(int)
    with pytest.raises(PipelineError, match=r"end_loop\(\) without"):
        Pipeline().end_loop()
    with pytest.raises(PipelineError, match="'befor' is none; did you mean 'before'"):
        Pipeline().with_global_hooks(befor=print)
    with pytest.raises(PipelineError, match="input 'n' is missing"):
        Pipeline(n=int).stage("a", lambda n: n).run()
    with pytest.raises(PipelineError, match="'m' is no input"):
        Pipeline(n=1).stage("a", lambda n: n).run(m=2)


def test_a_loop_that_never_ends_is_ended() -> None:
    pipeline = Pipeline(n=0).loop_while(lambda ctx: ctx.n < 1, max_turns=3).stage("a", lambda: 1).end_loop()
    with pytest.raises(StageError, match="loop1 was run 3 times and its condition still holds"):
        pipeline.run()


# -- what is kept


class Killed(BaseException):
    """In place of kill -9."""


class Mortal(Forgetful):
    """Dies at its n-th event, before or after it is kept."""

    def __init__(self, at: int, kept: bool) -> None:
        super().__init__()
        self.at, self.kept, self.deaths = at, kept, 0

    def record(self, event: Event) -> None:
        self.at -= 1
        if self.at == 0:
            if self.kept:
                super().record(event)
            self.deaths += 1
            raise Killed
        super().record(event)


def looping(calls: list[str]) -> Pipeline:
    def called(name: str, output: Any) -> Any:
        calls.append(name)
        return output

    return (
        Pipeline(i=0)
        .stage("init", lambda: called("init", [3, 1, 2]))
        .through(tasks=list[int])
        .loop_while(lambda ctx: ctx.i < len(ctx.tasks))
        .stage("solve", lambda ctx: called(f"solve{ctx.i}", {"score": ctx.tasks[ctx.i] * 1.5, "i": ctx.i}))
        .through(score=float, after=lambda d: calls.append("hook"))
        .stage("next", lambda i, score: called(f"next{i}", {"i": i + 1, "best": score}))
        .through(best=float)
        .end_loop()
        .stage("report", lambda ctx: called("report", f"{ctx.best} after {ctx.i}"))
        .through(text=str)
    )


def test_cut_off_between_any_two_writes_it_ends_as_if_it_had_not_been() -> None:
    whole = Forgetful()
    calls: list[str] = []
    expected = dict(looping(calls).run(whole))  # type: ignore[call-overload]
    events = len(whole.events())
    assert expected["text"] == "3.0 after 3"
    for at in range(1, events + 1):
        for kept in (False, True):
            memory, twice = Mortal(at, kept), []
            with pytest.raises(Killed):
                looping(twice).run(memory)
            assert memory.deaths == 1
            assert dict(looping(twice).run(memory)) == expected  # type: ignore[call-overload]
            stages = [call for call in twice if call != "hook"]
            # Only the stage that was cut off is run twice, and only where its output had not been kept.
            assert len(stages) - len(set(stages)) <= 1, (at, kept, stages)
            assert set(stages) == {call for call in calls if call != "hook"}
            assert twice.count("hook") >= 3


def test_a_killed_process_goes_on_at_the_stage_it_was_killed_in(tmp_path: Path) -> None:
    script = tmp_path / "flow.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal, sys
            from pathlib import Path
            from sweeptui.core.experiments import Pipeline, StoreMemory

            log, deadly = Path("calls"), sys.argv[1]

            def step(name):
                with log.open("a") as file:
                    file.write(name + "\\n")
                if name == deadly:
                    os.kill(os.getpid(), signal.SIGKILL)

            def train(ctx):
                step(f"train{ctx.turn}")
                return {"score": 1.5 * ctx.turn, "turn": ctx.turn + 1}

            pipeline = (
                Pipeline(turn=0)
                .stage("init", lambda: step("init") or 3)
                .through(turns=int)
                .loop_while(lambda ctx: ctx.turn < ctx.turns)
                .stage("train", train)
                .through(score=float, after=lambda d: step(f"after{d.score}"))
                .end_loop()
            )
            with StoreMemory(Path("run/sweep.db"), "flow") as memory:
                print(pipeline.run(memory).score)
            """
        )
    )

    def run(deadly: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, os.fspath(script), deadly],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    for deadly in ("init", "train1", "after1.5"):
        assert run(deadly).returncode == -signal.SIGKILL, deadly
    last = run("")
    assert last.stdout.strip() == "3.0", last.stderr
    calls = (tmp_path / "calls").read_text().split()
    assert calls == [
        "init",
        "init",
        "train0",
        "after0.0",
        "train1",
        "train1",
        "after1.5",
        "after1.5",
        "train2",
        "after3.0",
    ]
    assert run("").stdout.strip() == "3.0"
    assert (tmp_path / "calls").read_text().split() == calls  # all of it was done


def test_one_store_is_run_by_one_process_at_a_time(tmp_path: Path) -> None:
    from sweeptui.core.stores.base import LeaseHeldError

    with StoreMemory(tmp_path / "sweep.db", "flow"), pytest.raises(LeaseHeldError, match="is being run by pipeline"):
        StoreMemory(tmp_path / "sweep.db", "flow")
    StoreMemory(tmp_path / "sweep.db", "flow").close()


def test_another_pipeline_does_not_go_on_with_what_this_one_did(tmp_path: Path) -> None:
    memory = Forgetful()
    _stage(n=int).run(memory)
    with pytest.raises(Exception, match=r"its stages were \['a'\], now \['a', 'b'\]"):
        _stage(n=int).stage("b", lambda: 1).run(memory)


def test_what_is_not_kept_is_run_again() -> None:
    memory, calls = Forgetful(), []
    pipeline = Pipeline().stage("load", lambda: calls.append(1) or object()).through(data=Any, checkpoint=False)
    pipeline.run(memory)
    pipeline.run(memory)
    assert len(calls) == 2


def test_outputs_are_cached_by_input_and_code(tmp_path: Path) -> None:
    calls: list[int] = []

    def evaluate(n: int) -> int:
        calls.append(n)
        return n * 2

    def evaluate_anew(n: int) -> int:
        calls.append(n)
        return n * 3

    def run(n: int, call: Any = evaluate, cache: bool | str = True) -> int:
        with StoreMemory(tmp_path / f"{len(list(tmp_path.iterdir()))}.db", "flow") as memory:
            done = Pipeline(n=int).stage("evaluate", call).through(out=int, cache=cache).run(memory, n=n)
        return int(done["out"])  # type: ignore[index]

    assert [run(1), run(1), run(2), run(1)] == [2, 2, 4, 2]
    assert calls == [1, 2]
    assert run(1, evaluate_anew) == 3
    assert run(1, cache="v2") == 2
    assert calls == [1, 2, 1, 1]


def test_profiles_are_written(tmp_path: Path) -> None:
    with StoreMemory(tmp_path / "sweep.db", "flow") as memory:
        Pipeline().stage("a", lambda: sum(range(1000))).through(n=int).with_global_hooks(profile=True).run(memory)
    assert pstats.Stats(os.fspath(tmp_path / "profiles" / "a.pstats")).total_calls > 0
