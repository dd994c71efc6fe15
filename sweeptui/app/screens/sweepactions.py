"""The keys of the start screen, and where each of them does not apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.app import wording
from sweeptui.app.inventory import STAGE, SWEEP

if TYPE_CHECKING:
    from sweeptui.app.inventory import Entry


def _selected(entry: Entry | None) -> str:
    return "" if entry is not None else "there is no sweep here"


def _readable(entry: Entry | None) -> str:
    return _selected(entry) or (wording.line(entry.problem) if entry is not None else "")


def _openable(entry: Entry | None) -> str:
    if why := _readable(entry):
        return why
    assert entry is not None
    return f"{entry.title} ran no sweep" if entry.kind == STAGE and not entry.max_trials else ""


def _resumable(entry: Entry | None) -> str:
    if why := _readable(entry):
        return why
    assert entry is not None
    if to_requeue(entry):
        if entry.failed and (entry.lives or entry.kind != SWEEP):
            return ""
        if entry.kind != SWEEP:
            return "nothing failed inside it; an experiment goes on when its script, or its command, is run again"
        return f"{entry.name} is being run by {wording.line(str(entry.holder))}: Enter watches it"
    return "" if entry.can_go_on else f"{entry.name} is {entry.label}: there is nothing to go on with"


def to_requeue(entry: Entry) -> bool:
    """Whether `r` tries failed trials again: somebody runs it already, or it is more than one sweep."""
    return entry.kind != SWEEP or entry.holder is not None


def _deletable(entry: Entry | None) -> str:
    if why := _selected(entry):
        return why
    assert entry is not None
    if entry.kind == STAGE:
        return f"{entry.title} is a stage: it is deleted with its experiment"
    if entry.label == "locked":
        return wording.line(entry.problem)
    if entry.holder is not None:
        return f"{entry.name} is being run by {wording.line(str(entry.holder))}: stop it first"
    if entry.lives:
        return f"trials of {entry.name} are running although nobody runs the sweep: kill them first"
    return ""


_CAN_STOP = ("running", "interrupted")
"""Experiments and stages, where nobody is told to run them."""


def _stoppable(entry: Entry | None) -> str:
    if why := _readable(entry):
        return why
    assert entry is not None
    over = not entry.lives if entry.kind == SWEEP else entry.holder is None and entry.label not in _CAN_STOP
    return f"{entry.title or entry.name} is {entry.label}: nothing of it runs" if over else ""


def _pausable(entry: Entry | None) -> str:
    if why := _readable(entry):
        return why
    assert entry is not None
    if entry.label == "paused" or (entry.holder is not None and entry.label == "running"):
        return ""
    if entry.kind == STAGE and entry.label == "running":
        return ""
    return f"{entry.title or entry.name} is {entry.label}: only what runs can be paused"


@dataclass(frozen=True, slots=True)
class SweepAction:
    """A key of the start screen. Its binding, its place in the key bar and its line of help come from here."""

    id: str
    keys: tuple[str, ...]
    shown: str
    """The keys as they are printed on a keyboard."""
    label: str
    help: str
    refusal: Callable[[Entry | None], str] = lambda _entry: ""
    """Why it does not apply to the selected sweep; empty where it does."""


SWEEP_ACTIONS = (
    SweepAction("open", ("enter", "o"), "Enter", "open", "Open the selected sweep, or go into the experiment",
                _openable),
    SweepAction("back", ("backspace", "left", "h"), "⌫", "back", "Back to what is around this experiment"),
    SweepAction("resume", ("r", "c"), "r", "resume",
                "Go on with it here; where it runs, retry failed trials", _resumable),
    SweepAction("new", ("n",), "n", "new sweep", "Start a new sweep from a recipe"),
    SweepAction("stop", ("x",), "x", "stop", "Stop it, and all inside it; running trials finish",
                _stoppable),
    SweepAction("kill", ("K",), "K", "", "Stop it, and kill its running trials; asks first", _stoppable),
    SweepAction("delete", ("d", "delete"), "d", "delete", "Move the selected sweep to the trash; asks first",
                _deletable),
    SweepAction("filter", ("slash",), "/", "filter", "Show only sweeps with these words; -word leaves out", _selected),
    SweepAction("pause", ("p", "P"), "p", "pause", "Begin nothing new in it and all inside, or go on", _pausable),
    SweepAction("sort", ("s",), "s", "sort", "Sort by the next column", _selected),
    SweepAction("turn", ("S",), "S", "", "Sort the other way round", _selected),
    SweepAction("clear", ("escape",), "Esc", "", "Show all sweeps again"),
    SweepAction("help", ("question_mark",), "?", "help", "Show all keys"),
    SweepAction("quit", ("q", "ctrl+c", "ctrl+q"), "q", "quit", "Leave"),
)  # fmt: skip
