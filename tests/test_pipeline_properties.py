"""Whatever becomes of a pipeline's runs: the stages, the loop, the retries and the contracts come out the same."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from test_engine_properties import QUICK

from sweeptui.core.experiments import Pipeline, StageError, StoppedError
from sweeptui.core.experiments.memory import Event, Forgetful
from sweeptui.core.experiments.running import Runner

RETRIES = 2


class KilledError(BaseException):
    """In place of kill -9."""


class World(Forgetful):
    """A memory, and all that may go wrong around it."""

    def __init__(self) -> None:
        super().__init__()
        self.until_death: int | None = None
        self.death_keeps = False
        self.until_stop: int | None = None
        self.failures: list[str] = []
        """Stages whose next attempts fail, one each."""

    def record(self, event: Event) -> None:
        if self.until_stop is not None:
            self.until_stop -= 1
            if self.until_stop < 0:
                raise StoppedError("stopped by a user")
        if self.until_death is not None:
            self.until_death -= 1
            if self.until_death < 0:
                if self.death_keeps:
                    super().record(event)
                raise KilledError
        super().record(event)


class PipelineMachine(RuleBasedStateMachine):
    """Runs one pipeline again and again: killed between any two writes, stopped, with stages that fail, restarted."""

    done: dict[str, int] = {}  # noqa: RUF012 - of all machines together

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.calls: list[str] = []
        self.ended: dict[str, Any] | None = None
        self.turns = 0

    @initialize(turns=st.integers(1, 3))
    def begin(self, turns: int) -> None:
        self.turns = turns

    @property
    def expected(self) -> dict[str, Any]:
        best = 1.5 * self.turns
        return {"turn": self.turns, "best": best, "tasks": [*range(1, self.turns + 1)], "text": f"{best}/{self.turns}"}

    def pipeline(self) -> Pipeline:
        return (
            Pipeline(turn=0)
            .stage("init", lambda: self.called("init", list(range(1, self.turns + 1))))
            .through(tasks=list[int])
            .loop_while(lambda ctx: ctx.turn < len(ctx.tasks))
            .stage("solve", lambda ctx: self.called(f"solve{ctx.turn}", ctx.tasks[ctx.turn] * 1.5))
            .through(score=float, retry=RETRIES, validate=lambda d: d.score > 0)
            .stage("next", lambda turn, score: self.called(f"next{turn}", {"turn": turn + 1, "best": score}))
            .through(best=float)
            .end_loop()
            .stage("report", lambda ctx: self.called("report", f"{ctx.best}/{ctx.turn}"))
            .through(text=str, on_error=lambda error: None)
        )

    def called(self, name: str, output: Any) -> Any:
        self.calls.append(name)
        if name.rstrip("0123456789") in self.world.failures:
            self.world.failures.remove(name.rstrip("0123456789"))
            raise OSError("the node is gone")
        return output

    def run(self) -> None:
        before = {event.path for event in self.world.events() if event.kind == "done"}
        self.calls.clear()
        try:
            result = dict(Runner(self.pipeline(), {}, self.world).run())
            self.ended = {name: result[name] for name in self.expected}
            self.count("ended")
        except KilledError:
            self.count("killed")
        except StoppedError:
            self.count("stopped")
        except StageError:
            self.count("failed")
        finally:
            self.world.until_death = self.world.until_stop = None
            self.world.failures = []
        for path in before:
            assert self.name_in_calls(path) not in self.calls, "what was done is not run again"

    def count(self, what: str) -> None:
        PipelineMachine.done[what] = PipelineMachine.done.get(what, 0) + 1

    @staticmethod
    def name_in_calls(path: str) -> str:
        loop, _, stage = path.rpartition("/")
        return stage + (loop.removeprefix("loop1[").rstrip("]") if loop else "")

    @rule(at=st.integers(0, 30), keeps=st.booleans())
    def killed(self, at: int, keeps: bool) -> None:
        self.world.until_death, self.world.death_keeps = at, keeps
        self.run()

    @rule(at=st.integers(0, 30))
    def stopped(self, at: int) -> None:
        self.world.until_stop = at
        self.run()

    @rule(stages=st.lists(st.sampled_from(["init", "solve", "next", "report"]), min_size=1, max_size=RETRIES + 2))
    def with_failures(self, stages: list[str]) -> None:
        self.world.failures = list(stages)
        self.run()

    @rule(at=st.integers(0, 30), tries=st.integers(1, RETRIES))
    def with_failures_and_killed(self, at: int, tries: int) -> None:
        self.world.failures = ["solve"] * tries
        self.world.until_death = at
        self.run()

    @rule()
    @precondition(lambda self: self.ended is None)
    def to_its_end(self) -> None:
        self.run()
        assert self.ended is not None

    @invariant()
    def what_was_kept_is_whole(self) -> None:
        events = self.world.events()
        done = [event.path for event in events if event.kind == "done"]
        assert len(done) == len(set(done)), "a stage is done once"
        assert sum(event.kind == "begin" for event in events) <= 1
        assert sum(event.kind == "end" for event in events) <= 1
        turns = [event.path for event in events if event.kind == "turn"]
        assert turns == [f"loop1[{number}]" for number in range(len(turns))], "the turns are counted on"
        assert sum(event.kind == "turn" and event.data["on"] for event in events) <= self.turns
        for event in events:
            if event.kind == "done":
                begun = [each for each in events if each.kind == "attempt" and each.path == event.path]
                assert begun, "no stage is done that was not begun"
                assert event.data["attempts"] <= RETRIES + 1

    @invariant()
    def its_result_is_that_of_a_run_without_trouble(self) -> None:
        if self.ended is not None:
            assert self.ended == self.expected

    def teardown(self) -> None:
        self.run()
        self.its_result_is_that_of_a_run_without_trouble()
        assert self.ended is not None
        self.what_was_kept_is_whole()


def test_whatever_happens_a_pipeline_comes_to_the_same_result() -> None:
    PipelineMachine.done.clear()
    run_state_machine_as_test(PipelineMachine, settings=settings(QUICK, max_examples=60))
    assert set(PipelineMachine.done) == {"ended", "killed", "stopped", "failed"}


@pytest.mark.slow
def test_whatever_happens_a_pipeline_comes_to_the_same_result_deeper() -> None:
    run_state_machine_as_test(
        PipelineMachine, settings=settings(QUICK, max_examples=3000, stateful_step_count=30, derandomize=False)
    )
