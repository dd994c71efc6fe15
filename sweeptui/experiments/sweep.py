"""A sweep as an experiment: an optimizer, a scheduler and what is trained, run from a script."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sweeptui.budgets import release, reserve
from sweeptui.core.analysis.summary import best_trial, trial_json
from sweeptui.core.config import ProteinConfig, SweepTool
from sweeptui.core.errors import UserError, explain, shown
from sweeptui.core.experiments.awaiting import run_or_await
from sweeptui.core.experiments.contracts import Fields
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.template import literal
from sweeptui.experiments.experiment import watched
from sweeptui.experiments.optimizers import Optimizer, ProteinOptimizer
from sweeptui.experiments.scope import Scope, current
from sweeptui.launch import prepare
from sweeptui.recipes.find import find_recipe

if TYPE_CHECKING:
    from sweeptui.core.schedulers import Scheduler
    from sweeptui.launch import Session

Train = str | Sequence[str] | Callable[..., Any] | SweepTool
"""What is trained: a recipe's name, a command, a function of the parameters, or a `SweepTool`."""

MERGED = ("train_overrides", "eval_overrides", "env")
"""Fields of which an experiment gives some, and what is trained the others."""

_DEFAULT: ContextVar[Train | None] = ContextVar("sweeptui_trained", default=None)


@contextlib.contextmanager
def trained(train: Train) -> Iterator[None]:
    """What experiments in this block train that do not say so themselves."""
    token = _DEFAULT.set(train)
    try:
        yield
    finally:
        _DEFAULT.reset(token)


class SweepResults(Fields):
    """What came out of a sweep; JSON throughout.

    `name`, `path`, `status`, `reason`, `metric`, `goal`, `best_score`, `best_params` and `best` (None where no trial
    gave a score), `spent` (in the cost unit), and `trials` in order of number.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{self['name']}: {self['status']}, {len(self['trials'])} trials, best {self['best_score']}>"


class SweepExperiment:
    """Searches with an optimizer, as a scheduler says, on the same engine as `sweeptui RECIPE`.

    `train` is what one trial trains (see `Train`); a function is called with the parameters by name, in a process of
    its own, and reports with `sweeptui.report`. More keywords are fields of `SweepTool`: `max_parallel_jobs=4`.
    """

    def __init__(
        self,
        name: str | None = None,
        optimizer: Optimizer | None = None,
        scheduler: Scheduler | str | None = None,
        *,
        train: Train | None = None,
        metric: str | None = None,
        goal: str | None = None,
        **fields: Any,
    ) -> None:
        """Raises nothing: what is wrong is found by `run`, before anything is run."""
        self.name = name
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.train = train
        self.metric = metric
        self.goal = goal
        self.fields = fields

    def changed(self, **changed: Any) -> SweepExperiment:
        """A copy in which the optimizer, the scheduler or fields of `SweepTool` differ."""
        copy = SweepExperiment(
            self.name,
            changed.pop("optimizer", self.optimizer),
            changed.pop("scheduler", self.scheduler),
            train=self.train,
            metric=self.metric,
            goal=self.goal,
            **{**self.fields, **changed},
        )
        for name in MERGED:
            if self.fields.get(name) and changed.get(name):
                copy.fields[name] = {**self.fields[name], **changed[name]}
        return copy

    def run(
        self, budget: int | None = None, *, root: Path | str | None = None, watch: bool = False
    ) -> SweepResults | Awaitable[SweepResults]:
        """Run it to its end, or go on with what an earlier run of the same name began; inside a coroutine, await this.

        `budget` is the number of trials, inside another experiment at most what that has left. `watch` opens the
        cockpit on it. Raises `UserError` for what is wrong, and KeyboardInterrupt once running trials have been
        stopped, to go on later.
        """
        scope = current()
        place = scope.root if scope is not None and root is None else Path(root or Path.cwd()).resolve()
        name = self.name or (scope.child_name() if scope is not None else None)
        if scope is not None and self.name is not None:
            name = f"{scope.name}.{self.name}"
        return run_or_await(lambda: self._run(name, place, budget, scope, watch))

    def tool(self, name: str | None = None, budget: int | None = None) -> SweepTool:
        """The sweep that this is. Raises `UserError`."""
        base = self._base()
        given = base.to_json() if isinstance(base, SweepTool) else dict(base)
        protein = self.fields.get("protein_config") or given.get("protein_config") or {}
        protein = protein.model_dump(mode="json") if isinstance(protein, ProteinConfig) else dict(protein)
        optimizer = self.optimizer or (None if protein else ProteinOptimizer())
        fields: dict[str, Any] = {**given, **self.fields}
        for field in MERGED:
            if given.get(field) and self.fields.get(field):
                fields[field] = {**given[field], **self.fields[field]}
        fields["protein_config"] = {
            **protein,
            **(optimizer.config(protein) if optimizer is not None else {}),
            **({"metric": self.metric} if self.metric else {}),
            **({"goal": self.goal} if self.goal else {}),
        }
        if self.scheduler is not None:
            fields.pop("scheduler_options", None)
            fields["scheduler"] = self.scheduler
        if budget is not None:
            fields["max_trials"] = budget
        fields["sweep_name"] = name
        try:
            tool = SweepTool.model_validate(fields)
        except ValidationError as error:
            raise UserError(explain(error)) from None
        if isinstance(base, SweepTool):
            tool.train_tool_factory = base.train_tool_factory
        return tool

    def _base(self) -> SweepTool | Mapping[str, Any]:
        train = self.train if self.train is not None else _DEFAULT.get()
        if train is None:
            if "train_command" in self.fields or "recipe_module" in self.fields:
                return {}
            what = f"experiment {self.name!r}" if self.name else "the experiment"
            raise UserError(f"{what} has nothing to train; pass train= a recipe's name, a command or a function")
        if isinstance(train, SweepTool):
            return train
        if isinstance(train, str):
            return find_recipe(train, Path.cwd()).build({})
        if callable(train):
            target = _target(train)
            return {
                "train_command": ["{python}", "-m", "sweeptui.recipes.call", literal(target), "--args", "{overrides}"]
            }
        return {"train_command": list(train)}

    def _run(self, name: str | None, root: Path, budget: int | None, scope: Scope | None, watch: bool) -> SweepResults:
        if scope is not None:
            scope.check()
        self.tool(name, budget)  # what is wrong is found before anything is reserved
        around = [] if scope is None else scope.budgets
        budget = reserve(around, name or "", budget)
        try:
            found = self._searched(name, root, budget, watch)
        except Exception:
            release(around, name or "")
            raise
        release(around, name or "")
        if scope is not None:
            scope.tell(
                f"{found['name']}: {found['status']} after {len(found['trials'])} trials, best {found['best_score']}"
            )
        return found

    def _searched(self, name: str | None, root: Path, budget: int | None, watch: bool) -> SweepResults:
        """Raises KeyboardInterrupt where it was interrupted: it may go on, and what it has reserved stays so."""
        session = prepare(None, self.tool(name, budget), root, label="experiment")
        with _stopped_by_ctrl_c(session), watched(session.name, root) if watch else contextlib.nullcontext():
            end = session.run()
        if end.status is SweepStatus.INTERRUPTED:
            raise KeyboardInterrupt
        return results(session)


def results(session: Session) -> SweepResults:
    """Read from the store."""
    with contextlib.closing(SqliteStore.open(session.database, readonly=True)) as store:
        state = store.state
        best = best_trial(state)
        return SweepResults(
            {
                "name": session.name,
                "path": os.fspath(session.path),
                "status": state.status.value,
                "reason": state.reason,
                "metric": session.tool.protein_config.metric,
                "goal": session.tool.protein_config.goal,
                "best_score": best.score if best is not None else None,
                "best_params": dict(best.params) if best is not None else None,
                "best": trial_json(best) if best is not None else None,
                "spent": sum(trial.spent for trial in state.trials.values()),
                "trials": [trial_json(trial) for _, trial in sorted(state.trials.items())],
            }
        )


def reached(score: float | None, target: float | None, goal: str) -> bool:
    """Whether a score is at least as good as another one."""
    if score is None or target is None:
        return score is not None
    return score <= target if goal == "minimize" else score >= target


def _target(train: Callable[..., Any]) -> str:
    """How another process finds a function."""
    name = getattr(train, "__qualname__", "")
    if not inspect.isfunction(train) or not re.fullmatch(r"\w+", name):
        raise UserError(
            f"train is {shown(train, 60)}; it must be a function at the top of a module, so that it is found again"
        )
    if train.__module__ == "__main__":
        file = inspect.getsourcefile(train)
        if file is None or not Path(file).is_file():
            raise UserError(f"train is {name}, which is in no file; put it into one")
        return f"{Path(file).resolve()}:{name}"
    return f"{train.__module__}:{name}"


@contextlib.contextmanager
def _stopped_by_ctrl_c(session: Session) -> Iterator[None]:
    """The first Ctrl-C stops the running trials, which are queued again; a second one ends the process as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        session.interrupt()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
