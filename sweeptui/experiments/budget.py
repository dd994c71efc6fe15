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
from sweeptui.folders import DATABASE, EXPERIMENT_DATABASE, sweep_names, sweep_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sweeptui.core.stores.sqlite import Transaction
    from sweeptui.experiments.scope import Scope

RESERVED, RELEASED = "budget.reserved", "budget.released"
"""Kinds of journal rows."""
ACTOR = "budget"


def reserve(scope: Scope | None, name: str, wanted: int | None) -> int | None:
    """How many trials the sweep called `name` may make, which asks for `wanted`; None for no limit.

    One that goes on gets what it got before, unless it asks for something else or a budget has changed since. Raises
    `UserError` where nothing is left.
    """
    around = _budgeted(scope)
    if not around:
        return wanted
    with _ledgers(around) as ledgers:
        lefts = [ledger.left(name) for ledger in ledgers]
        if min(lefts) == 0:
            short = ledgers[lefts.index(0)]
            raise UserError(f"experiment {short.scope.name}: {short.why_nothing_is_left(name)}")
        given = min(lefts) if wanted is None else min(wanted, *lefts)
        before = [ledger.given_before(name, wanted) for ledger in ledgers]
        given = min(given, *(each for each in before if each is not None)) if None not in before else given
        for ledger in ledgers:
            asked = {"wanted": wanted, "budget": ledger.scope.budget}
            ledger.write(RESERVED, {"sweep": name, "trials": given, **asked, **_within_trial()})
    return given


def release(scope: Scope | None, name: str) -> None:
    """The sweep called `name` is over: what it has not used is for others."""
    if around := _budgeted(scope):
        with _ledgers(around) as ledgers:
            for ledger in ledgers:
                ledger.write(RELEASED, {"sweep": name})


@dataclass
class _Ledger:
    """What is reserved of one experiment's budget, as this transaction sees it."""

    scope: Scope
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

    def write(self, kind: str, data: Mapping[str, Any]) -> None:
        self.tx.note(kind, data)

    def left(self, beside: str) -> int:
        """What the sweeps inside have neither used nor reserved, but for `beside`."""
        return max(0, (self.scope.budget or 0) - sum(self._taken(beside).values()))

    def given_before(self, name: str, wanted: int | None) -> int | None:
        """What a sweep was given when it asked for the same of the same budget; None where it did not."""
        before = self._newest.get(name)
        if before is None or (before["wanted"], before["budget"]) != (wanted, self.scope.budget):
            return None
        return int(before["trials"])

    def why_nothing_is_left(self, beside: str) -> str:
        held = sum(1 for name in self._taken(beside) if self._reserved(name))
        others = f" or reserved for {held} {'sweep' if held == 1 else 'sweeps'} that may still go on" if held else ""
        return f"its budget is used up{others}; run it with a larger one to go on"

    def _taken(self, beside: str) -> dict[str, int]:
        inside = {name for name in sweep_names(self.scope.root) if name.startswith(f"{self.scope.name}.")}
        return {
            name: max(_trials(self.scope.root, name), self._reserved(name))
            for name in inside | self._newest.keys()
            if name != beside
        }

    def _reserved(self, name: str) -> int:
        """What is kept for a sweep: nothing once it is over, or once the trial that ran it is."""
        newest = self._newest.get(name)
        if newest is None or name in self._released:
            return 0
        if "trial" in newest and _is_over(self.scope.root, newest["in"], newest["trial"]):
            return 0
        return int(newest["trials"])


@contextlib.contextmanager
def _ledgers(scopes: list[Scope]) -> Iterator[list[_Ledger]]:
    """All of them at once, and nobody else meanwhile: the outermost first, as everybody takes them."""
    with contextlib.ExitStack() as stack:
        found = []
        for scope in scopes:
            path = sweep_path(scope.root, scope.name) / EXPERIMENT_DATABASE
            store = stack.enter_context(contextlib.closing(SqliteStore.open(path)))
            found.append(_Ledger(scope, store, stack.enter_context(store.transaction(ACTOR))))
        yield found


def _budgeted(scope: Scope | None) -> list[Scope]:
    """The experiments around that have a budget, the outermost first."""
    found: list[Scope] = []
    while scope is not None:
        if scope.budget is not None:
            found.insert(0, scope)
        scope = scope.parent
    return found


def _within_trial() -> dict[str, Any]:
    """The trial that this process is, where it is one."""
    place = os.environ.get("SWEEPTUI_TRIAL_DIR")
    if place is None:
        return {}
    return {"in": os.environ["SWEEPTUI_SWEEP"], "trial": int(Path(place).name.removeprefix("trial_"))}


def _trials(root: Path, name: str) -> int:
    with (
        contextlib.suppress(UserError),
        contextlib.closing(SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True)) as store,
    ):
        return store.state.last_trial
    return 0


def _is_over(root: Path, sweep: str, number: int) -> bool:
    with (
        contextlib.suppress(UserError),
        contextlib.closing(SqliteStore.open(sweep_path(root, sweep) / DATABASE, readonly=True)) as store,
    ):
        trial = store.state.trials.get(number)
        return trial is not None and trial.status.terminal
    return False
