"""An experiment of one's own: a pipeline whose stages may run whole experiments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sweeptui.core.errors import UserError, shown
from sweeptui.core.experiments import Context, Event, Pipeline, StoreMemory
from sweeptui.core.experiments.awaiting import run_or_await
from sweeptui.core.experiments.running import Runner
from sweeptui.experiments.scope import Scope, current, scope_around
from sweeptui.folders import DATABASE, EXPERIMENT_DATABASE, sweep_path


class Experiment:
    """Subclass it and give its `pipeline`.

    What its stages gave is kept in the experiment's folder: run again under the same name, it goes on where it was cut
    off. Experiments that a stage runs are inside this one: named after it, with trials taken from its budget.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def pipeline(self) -> Pipeline:
        """The stages."""
        raise NotImplementedError(f"{type(self).__name__} has no pipeline(); give it one")

    def summary(self, result: Mapping[str, Any]) -> list[str]:
        """What came out of it, in lines to read; by itself all fields that its stages gave."""
        return [f"{name}: {shown(value, 100)}" for name, value in result.items()]

    def run(
        self,
        budget: int | None = None,
        *,
        root: Path | str | None = None,
        watch: bool = False,
        say: Callable[[str], None] | None = None,
        **inputs: Any,
    ) -> Context | Awaitable[Context]:
        """Run it to its end; all fields that its stages gave. Inside a coroutine, await this.

        `budget` is how many trials all sweeps inside it may make, `inputs` those of its pipeline; `watch` opens the
        cockpit on it, until the user leaves that; `say` is told what happens, line by line. Raises `UserError` for what
        is wrong before anything is run, `StageError` where a stage fails for good, and `StoppedError` where a user has
        stopped it, to go on later.
        """
        outer = current()
        place = outer.root if outer is not None and root is None else Path(root or Path.cwd()).resolve()
        name = self.name if outer is None else f"{outer.name}.{self.name}"
        if outer is None:
            outer = scope_around(place, name)
        scope = Scope(name, place, budget, outer, say=say)
        pipeline = self.pipeline()
        pipeline.check()
        folder = sweep_path(place, name)
        if (folder / DATABASE).exists():
            raise UserError(f"{name} is a sweep already; give the experiment another name")
        kind = type(self).__name__
        return run_or_await(lambda: _run(pipeline, scope, folder, inputs, kind, watch))


def _run(pipeline: Pipeline, scope: Scope, folder: Path, inputs: dict[str, Any], kind: str, watch: bool) -> Context:
    told = {"kind": kind, "budget": scope.budget}
    with (
        StoreMemory(folder / EXPERIMENT_DATABASE, scope.name, "experiment", told) as memory,
        watched(scope.name, scope.root) if watch else nullcontext(),
        scope.entered(),
    ):
        scope.check = memory.check
        memory.say = scope.tell
        return Runner(pipeline, inputs, _Told(memory, scope)).run()


class _Told:
    """A memory whose events are told to whoever listens."""

    def __init__(self, memory: StoreMemory, scope: Scope) -> None:
        self.memory, self.scope = memory, scope
        self.folder, self.paused_s = memory.folder, memory.paused_s

    def events(self) -> list[Event]:
        return self.memory.events()

    def record(self, event: Event) -> None:
        self.memory.record(event)
        match event.kind:
            case "attempt":
                again = f", attempt {event.data['attempt']}" if event.data["attempt"] > 1 else ""
                self.scope.tell(f"{self.scope.name}: {event.path} begins{again}")
            case "failed":
                self.scope.tell(f"{self.scope.name}: {event.data['error']}")
            case "done":
                self.scope.tell(f"{self.scope.name}: {event.path} is done ({event.data['seconds']:.1f} s)")


@contextmanager
def watched(name: str, root: Path) -> Iterator[None]:
    """With the cockpit in this terminal, until the user leaves it."""
    window = subprocess.Popen([sys.executable, "-m", "sweeptui", "attach", name, "--root", os.fspath(root)])
    try:
        yield
    finally:
        window.wait()
