"""How many trials a sweep inside experiments may make: what is left of each budget around it, reserved beforehand.

A reservation is a row in the journal of each experiment that has a budget, written in the transaction that counted what
was left. So sweeps that run at once, in whatever process, never make more trials together than there are; and what was
reserved by a process that was killed is kept for when the sweep goes on.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.families import parents
from sweeptui.folders import DATABASE, EXPERIMENT_DATABASE, experiment_names, sweep_names, sweep_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweeptui.core.stores.sqlite import Transaction

RESERVED, RELEASED = "budget.reserved", "budget.released"
"""Kinds of journal rows."""
ACTOR = "budget"


@dataclass(frozen=True, slots=True)
class Budget:
    """What all sweeps inside an experiment may make together."""

    root: Path
    experiment: str
    trials: int


def reserve(around: Sequence[Budget], name: str, wanted: int | None) -> int | None:
    """How many trials the sweep called `name` may make, which asks for `wanted`; None for no limit.

    `around` are the budgets of the experiments that it is inside of, the outermost first. One that goes on gets what it
    got before, unless it asks for something else or a budget has changed since. Raises `UserError` where nothing is
    left.
    """
    if not around:
        return wanted
    with _ledgers(around) as ledgers:
        lefts = [ledger.left(name) for ledger in ledgers]
        if min(lefts) == 0:
            short = ledgers[lefts.index(0)]
            raise UserError(f"experiment {short.budget.experiment}: {short.why_nothing_is_left(name)}")
        given = min(lefts) if wanted is None else min(wanted, *lefts)
        before = [ledger.given_before(name, wanted) for ledger in ledgers]
        given = min(given, *(each for each in before if each is not None)) if None not in before else given
        for ledger in ledgers:
            ledger.reserve(name, given, wanted)
    return given


def check(around: Sequence[Budget], name: str, trials: int) -> None:
    """Whether the sweep called `name` may make so many trials in all; nothing is changed.

    Raises `UserError` where that is more than it has made and a budget has left.
    """
    if around:
        with _ledgers(around) as ledgers:
            _refuse_more(ledgers, name, trials)


def change(around: Sequence[Budget], name: str, trials: int) -> None:
    """The sweep called `name` is to make so many trials in all: reserve that, and no more than that.

    What is reserved as it should be stays as it is. Raises `UserError` as `check` does; nothing is changed then.
    """
    if not around:
        return
    with _ledgers(around) as ledgers:
        _refuse_more(ledgers, name, trials)
        for ledger in ledgers:
            if ledger.reserved(name) != trials:
                ledger.reserve(name, trials, trials)


def _refuse_more(ledgers: Sequence[_Ledger], name: str, trials: int) -> None:
    lefts = [ledger.left(name) for ledger in ledgers]
    left = min(lefts)
    short = ledgers[lefts.index(left)].budget
    if trials <= max(left, _trials(short.root, name)):
        return
    use = f"use {left} or less, or " if left else ""
    raise UserError(
        f"max_trials is {trials}, but of the budget of {short.trials} trials of experiment {short.experiment}"
        f" {left} are left for {name}; {use}run the experiment with a larger budget"
    )


def release(around: Sequence[Budget], name: str) -> None:
    """The sweep called `name` is over: what it has not used is for others."""
    if around:
        with _ledgers(around) as ledgers:
            for ledger in ledgers:
                if ledger.reserved(name):
                    ledger.write(RELEASED, {"sweep": name})


def around(root: Path, name: str) -> list[Budget]:
    """The budgets of the experiments that a sweep lies inside of, as they lie there; the outermost first."""
    if "." not in name:
        return []
    inside = parents([*sweep_names(root), name], experiment_names(root))
    found: list[Budget] = []
    while name := inside.get(name, ""):
        path = sweep_path(root, name) / EXPERIMENT_DATABASE
        if path.is_file():
            with contextlib.closing(SqliteStore.open(path, readonly=True)) as store:
                trials = store.state.config.get("budget")
            if isinstance(trials, int):
                found.insert(0, Budget(root, name, trials))
    return found


@dataclass
class _Ledger:
    """What is reserved of one experiment's budget, as this transaction sees it."""

    budget: Budget
    store: SqliteStore
    tx: Transaction

    def __post_init__(self) -> None:
        self._newest: dict[str, Mapping[str, Any]] = {}
        self._released: set[str] = set()
        for change in self.store.journal():
            if change.kind == RESERVED:
                self._newest[change.data["sweep"]] = change.data
                self._released.discard(change.data["sweep"])
            elif change.kind == RELEASED:
                self._released.add(change.data["sweep"])

    def reserve(self, name: str, trials: int, wanted: int | None) -> None:
        asked = {"wanted": wanted, "budget": self.budget.trials}
        self.write(RESERVED, {"sweep": name, "trials": trials, **asked, **_within_trial()})

    def write(self, kind: str, data: Mapping[str, Any]) -> None:
        self.tx.note(kind, data)

    def left(self, beside: str) -> int:
        """What the sweeps inside have neither used nor reserved, but for `beside`."""
        return max(0, self.budget.trials - sum(self._taken(beside).values()))

    def given_before(self, name: str, wanted: int | None) -> int | None:
        """What a sweep was given when it asked for the same of the same budget; None where it did not."""
        before = self._newest.get(name)
        if before is None or (before["wanted"], before["budget"]) != (wanted, self.budget.trials):
            return None
        return int(before["trials"])

    def why_nothing_is_left(self, beside: str) -> str:
        held = sum(1 for name in self._taken(beside) if self.reserved(name))
        others = f" or reserved for {held} {'sweep' if held == 1 else 'sweeps'} that may still go on" if held else ""
        return f"its budget is used up{others}; run it with a larger one to go on"

    def _taken(self, beside: str) -> dict[str, int]:
        inside = {name for name in sweep_names(self.budget.root) if name.startswith(f"{self.budget.experiment}.")}
        return {
            name: max(_trials(self.budget.root, name), self.reserved(name))
            for name in inside | self._newest.keys()
            if name != beside
        }

    def reserved(self, name: str) -> int:
        """What is kept for a sweep: nothing once it is over, or once the trial that ran it is."""
        newest = self._newest.get(name)
        if newest is None or name in self._released:
            return 0
        if "trial" in newest and _is_over(self.budget.root, newest["in"], newest["trial"]):
            return 0
        return int(newest["trials"])


@contextlib.contextmanager
def _ledgers(budgets: Sequence[Budget]) -> Iterator[list[_Ledger]]:
    """All of them at once, and nobody else meanwhile: the outermost first, as everybody takes them."""
    with contextlib.ExitStack() as stack:
        found = []
        for budget in budgets:
            path = sweep_path(budget.root, budget.experiment) / EXPERIMENT_DATABASE
            store = stack.enter_context(contextlib.closing(SqliteStore.open(path)))
            found.append(_Ledger(budget, store, stack.enter_context(store.transaction(ACTOR))))
        yield found


def _within_trial() -> dict[str, Any]:
    """The trial that this process is, where it is one."""
    place = os.environ.get("SWEEPTUI_TRIAL_DIR")
    if place is None:
        return {}
    return {"in": os.environ["SWEEPTUI_SWEEP"], "trial": int(Path(place).name.removeprefix("trial_"))}


def _trials(root: Path, name: str) -> int:
    """How many a sweep has made that count: replicates are of no budget."""
    with (
        contextlib.suppress(UserError),
        contextlib.closing(SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True)) as store,
    ):
        return store.state.searched
    return 0


def _is_over(root: Path, sweep: str, number: int) -> bool:
    with (
        contextlib.suppress(UserError),
        contextlib.closing(SqliteStore.open(sweep_path(root, sweep) / DATABASE, readonly=True)) as store,
    ):
        trial = store.state.trials.get(number)
        return trial is not None and trial.status.terminal
    return False
