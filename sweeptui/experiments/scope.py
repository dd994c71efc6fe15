"""Where an experiment runs: inside which other one, and in which of its stages."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from sweeptui import budgets
from sweeptui.budgets import Budget
from sweeptui.core.errors import UserError
from sweeptui.core.experiments.running import STAGE
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.families import within
from sweeptui.folders import EXPERIMENT_DATABASE, sweep_path

VARIABLE = "SWEEPTUI_EXPERIMENT"
"""In the environment of a training that runs experiments itself: those that it is inside of."""
MAX_DEPTH = 8
"""Experiments inside experiments: more is taken for one that runs itself."""


@dataclass
class Scope:
    """A running experiment."""

    name: str
    root: Path
    """Where its sweeps lie, and those of the experiments inside it."""
    budget: int | None = None
    """Trials that all sweeps inside it may make; None for no limit."""
    parent: Scope | None = None
    check: Callable[[], None] = lambda: None
    """Raises `StoppedError` where a user has stopped it."""
    say: Callable[[str], None] | None = None
    """Told what happens inside of it."""
    _counters: dict[str, itertools.count[int]] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        return 1 + (self.parent.depth if self.parent else 0)

    @property
    def budgets(self) -> list[Budget]:
        """Of this experiment and those around it that have one, the outermost first."""
        found = [] if self.parent is None else self.parent.budgets
        return found if self.budget is None else [*found, Budget(self.root, self.name, self.budget)]

    def child_name(self) -> str:
        """The name of the next experiment in the stage that runs now: the same one after a crash."""
        stage = within(STAGE.get())
        number = next(self._counters.setdefault(stage, itertools.count(1)))
        return f"{self.name}.{stage}" + (f"-{number}" if number > 1 else "")

    def tell(self, line: str) -> None:
        """Say what happens here, to whoever listens here or further out."""
        if self.say is not None:
            self.say(line)
        elif self.parent is not None:
            self.parent.tell(line)

    def paused(self) -> bool:
        """Whether a user has paused this experiment or one around it, as their stores say."""
        with (
            contextlib.suppress(UserError),
            contextlib.closing(
                SqliteStore.open(sweep_path(self.root, self.name) / EXPERIMENT_DATABASE, readonly=True)
            ) as store,
        ):
            if store.state.status is SweepStatus.PAUSED:
                return True
        return self.parent is not None and self.parent.paused()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Make it the one that experiments are inside of."""
        if self.depth > MAX_DEPTH:
            raise UserError(f"experiment {self.name}: {MAX_DEPTH} experiments inside each other are the limit")
        token = _SCOPE.set(self)
        try:
            yield
        finally:
            _SCOPE.reset(token)

    def to_json(self) -> str:
        """For `VARIABLE`."""
        outer: Scope | None = self
        scopes = []
        while outer is not None:
            scopes.append([outer.name, outer.budget])
            outer = outer.parent
        return json.dumps({"root": os.fspath(self.root), "scopes": scopes})


_SCOPE: ContextVar[Scope | None] = ContextVar("sweeptui_experiment", default=None)


def current() -> Scope | None:
    """The experiment that runs now, seen from inside of it."""
    return _SCOPE.get() or _around_this_process()


def scope_around(root: Path, name: str) -> Scope | None:
    """What lies around an experiment that is run again by itself: its budgets hold all the same."""
    scope: Scope | None = None
    for budget in budgets.around(root, name):
        scope = Scope(budget.experiment, root, budget.trials, scope)
    return scope


def _around_this_process() -> Scope | None:
    """The experiment that another process runs, of which this one is a training."""
    if VARIABLE not in os.environ:
        return None
    found = json.loads(os.environ[VARIABLE])
    scope: Scope | None = None
    for name, budget in reversed(found["scopes"]):
        scope = Scope(name, Path(found["root"]), budget, scope)
    return scope
