"""An experiment of one's own: a pipeline whose stages may run whole experiments."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.experiments import Context, Pipeline, StoreMemory
from sweeptui.core.experiments.awaiting import run_or_await
from sweeptui.core.experiments.running import Runner
from sweeptui.experiments.scope import Scope, current
from sweeptui.folders import sweep_path

if TYPE_CHECKING:
    from sweeptui.core.experiments import Memory

DATABASE = "experiment.db"


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

    def run(
        self, budget: int | None = None, *, root: Path | str | None = None, **inputs: Any
    ) -> Context | Awaitable[Context]:
        """Run it to its end; all fields that its stages gave. Inside a coroutine, await this.

        `budget` is how many trials all sweeps inside it may make, `inputs` those of its pipeline. Raises `UserError`
        for what is wrong before anything is run, and `StageError` where a stage fails for good.
        """
        outer = current()
        place = outer.root if outer is not None and root is None else Path(root or Path.cwd()).resolve()
        name = self.name if outer is None else f"{outer.name}.{self.name}"
        scope = Scope(name, place, budget, outer)
        pipeline = self.pipeline()
        pipeline.check()
        folder = sweep_path(place, name)
        return run_or_await(lambda: _run(pipeline, scope, folder, inputs))


def _run(pipeline: Pipeline, scope: Scope, folder: Path, inputs: dict[str, Any]) -> Context:
    with StoreMemory(folder / DATABASE, scope.name, label="experiment") as memory, scope.entered():
        kept: Memory = memory
        return Runner(pipeline, inputs, kept).run()
