"""Every key of the cockpit, once: what it does, when it applies, what it asks first.

Bindings, the key bar, the help screen and the refusals all come from `ACTIONS`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.app import refusals, wording
from sweeptui.app.fields import run_time
from sweeptui.app.moves import Move
from sweeptui.core.trial import Trial, TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.cockpit import Cockpit
    from sweeptui.app.snapshot import Snapshot

TIME = "Time"
"""The group of what leads through the sweep's past."""
Refusal = Callable[["Snapshot | None", "Trial | None"], str]


def _kill_question(snapshot: Snapshot, trials: Sequence[Trial]) -> str:
    if len(trials) > 1:
        named = ", ".join(f"#{trial.number}" for trial in trials[:8])
        more = f" and {len(trials) - 8} more" if len(trials) > 8 else ""
        return f"Kill {len(trials)} trials ({named}{more})? Their results so far do not count."
    [trial] = trials
    ran = run_time(trial, snapshot.at)
    since = f" It has run for {wording.duration(ran)}." if ran else ""
    return f"Kill {trial.id}?{since} Its result so far does not count."


def _nothing(_app: Cockpit) -> None:
    """What is done is in `on`."""


@dataclass(frozen=True, slots=True)
class Action:
    id: str
    keys: tuple[str, ...]
    label: str
    """One or two words, for the key bar; empty for what is only in the help."""
    help: str
    run: Callable[[Cockpit], None] = _nothing
    refusal: Refusal = refusals.always
    """Why it does not apply now; empty where it does."""
    question: Callable[[Snapshot, Sequence[Trial]], str] | None = None
    """What is asked before it is done. The answer that is offered is no."""
    on: Callable[[Cockpit, Sequence[Trial]], None] | None = None
    """Of an action on trials: does it with those of the marked ones, or of the selected one, that it applies to."""
    group: str = "Trial"
    pane: str = ""
    """The id of the pane that must have the focus; elsewhere its keys may mean something else."""
    changes: bool = False
    """Whether it changes anything but the view: a read-only window refuses it."""


def _move(move: Move) -> Callable[[Cockpit], None]:
    return lambda app: app.move(move)


def _pause(app: Cockpit, trials: Sequence[Trial]) -> None:
    """Where any of them goes on, those are paused."""
    active = [trial.number for trial in trials if trial.status is not TrialStatus.PAUSED]
    if active:
        app.command("pause", trials=active)
    else:
        app.command("resume", trials=[trial.number for trial in trials])


def _pause_sweep(app: Cockpit) -> None:
    app.command("resume" if app.snapshot is not None and app.snapshot.label == "paused" else "pause")


def _on(verb: str) -> Callable[[Cockpit, Sequence[Trial]], None]:
    return lambda app, trials: app.command(verb, trials=[trial.number for trial in trials])


def _plot(tab: str) -> Callable[[Cockpit], None]:
    return lambda app: app.plotting.show_tab(tab)


ACTIONS = (
    Action("pause", ("p",), "pause", "Pause the trial, or let it go on", refusal=refusals.pausable, on=_pause,
           changes=True),
    Action("kill", ("x",), "kill", "Kill the trial", refusal=refusals.killable, question=_kill_question, on=_on("kill"),
           changes=True),
    Action("requeue", ("r",), "requeue", "Try the trial again", refusal=refusals.requeueable, on=_on("requeue"),
           changes=True),
    Action("edit", ("R",), "edit", "Try the trial with other parameters, as a new one",
           lambda app: app.steering.edit(), refusals.editable, changes=True),
    Action("evaluate", ("E",), "", "Evaluate the trial again, without training it again", refusal=refusals.evaluable,
           on=_on("evaluate"), changes=True),
    Action("open", ("enter",), "open", "Everything about the trial", lambda app: app.pages.open_trial(),
           refusals.any_trial, group="Look closer"),
    Action("undo", ("ctrl+z",), "", "Take the last command back, if it has not begun",
           lambda app: app.steering.undo(), refusals.started, changes=True),
    Action("log", ("l",), "log", "Switch to the log of the trial's next stage",
           lambda app: app.log_pane.switch_stage(), refusals.has_other_log, group="Log"),
    Action("log_attempt", ("a",), "", "Show the log of the attempt before; before the first one, of the newest",
           lambda app: app.log_pane.switch_attempt(-1), refusals.has_other_attempt, group="Log"),
    Action("log_attempt_after", ("A",), "", "Show the log of the attempt after; after the newest one, of the first",
           lambda app: app.log_pane.switch_attempt(1), refusals.has_other_attempt, group="Log"),
    Action("follow", ("f",), "follow", "Show the end of the log, and keep showing it",
           lambda app: app.log_pane.view.follow(), refusals.any_trial, group="Log"),
    Action("log_search", ("slash",), "search", "Search the log; re: begins a regular expression",
           lambda app: app.log_pane.search(), refusals.any_trial, group="In the log", pane="log"),
    Action("log_next", ("n",), "next", "The next line that the search is found in",
           lambda app: app.log_pane.find(forward=True), refusals.any_trial, group="In the log", pane="log"),
    Action("log_previous", ("N",), "", "The one before", lambda app: app.log_pane.find(forward=False),
           refusals.any_trial, group="In the log", pane="log"),
    Action("log_filter", ("ampersand",), "filter", "Show only lines with some words, and after - without them",
           lambda app: app.log_pane.filter(), refusals.any_trial, group="In the log", pane="log"),
    Action("log_wrap", ("w",), "wrap", "Let long lines go on in the next row; again: cut them",
           lambda app: app.log_pane.view.wrap(), refusals.any_trial, group="In the log", pane="log"),
    Action("log_copy", ("y",), "copy", "Copy the lines that are shown", lambda app: app.log_pane.copy(),
           refusals.any_trial, group="In the log", pane="log"),
    Action("log_copy_line", ("Y",), "", "Copy the line that the search has come to",
           lambda app: app.log_pane.copy(line=True), refusals.any_trial, group="In the log", pane="log"),
    Action("log_clear", ("escape",), "", "End the search, then the filter; then to the table",
           lambda app: app.log_pane.leave(), group="In the log", pane="log"),
    Action("plot_1", ("1",), "plots", "Plot learning curves, marked ones against the best",
           _plot("CURVES"), group="Plots"),
    Action("plot_2", ("2",), "", "Plot the scores by trial, and the best so far", _plot("HISTORY"), group="Plots"),
    Action("plot_3", ("3",), "", "Plot the scores over their cost; the Pareto front", _plot("COST"),
           group="Plots"),
    Action("plot_4", ("4",), "", "Plot the scores over a parameter; again: hide it", _plot("PARAMETERS"),
           group="Plots"),
    Action("plot_5", ("5",), "", "Plot how much each parameter matters, and what is believed along one",
           _plot("IMPORTANCE"), group="Plots"),
    Action("plot_close", ("escape",), "", "To the table, with the log in place of the plots",
           lambda app: app.plotting.leave(), group="Plots"),
    Action("plot_x", ("X",), "axis", "Time instead of steps; the next parameter",
           lambda app: app.plotting.pane.other_x(), group="In the plots", pane="plots"),
    Action("plot_in", ("plus", "equals_sign"), "zoom", "Zoom in", lambda app: app.plotting.pane.zoom_in(),
           group="In the plots", pane="plots"),
    Action("plot_out", ("minus",), "", "Zoom out", lambda app: app.plotting.pane.zoom_out(),
           group="In the plots", pane="plots"),
    Action("plot_left", ("h",), "", "To the left, as ← does", lambda app: app.plotting.pane.pan(-1),
           group="In the plots", pane="plots"),
    Action("plot_right", ("l",), "", "To the right, as → does", lambda app: app.plotting.pane.pan(1),
           group="In the plots", pane="plots"),
    Action("plot_metric", ("M",), "", "Of several metrics, the importance for the next one",
           lambda app: app.pages.next_metric(), refusals.several_metrics, group="In the plots", pane="plots"),
    Action("plot_log", ("y",), "log scale", "Logarithmic scores, or linear ones", lambda app: app.plotting.toggle_log(),
           group="In the plots", pane="plots"),
    Action("plot_reset", ("0",), "all", "All of the plot again", lambda app: app.plotting.pane.reset(),
           group="In the plots", pane="plots"),
    Action("filter", ("slash",), "filter", "Show only some trials: by state, score, parameter, or any text",
           lambda app: app.choosing.bar.open(), refusals.started, group="Table"),
    Action("show_all", ("escape",), "", "Show all trials again; without a filter, the log",
           lambda app: app.table.filter("") if app.table.query_text else app.plotting.leave(), group="Table",
           pane="table"),
    Action("sort", ("s",), "sort", "Sort by a column; a click on its title does it, too",
           lambda app: app.choosing.ask_order(), refusals.started, group="Table"),
    Action("sort_reverse", ("S",), "", "Sort the other way round", lambda app: app.table.reverse(), refusals.started,
           group="Table"),
    Action("mark", ("space",), "mark", "Mark the trial, or not: what is done is done to all that are marked",
           lambda app: app.table.toggle_mark(), refusals.any_trial, group="Table"),
    Action("mark_range", ("v",), "", "Mark from the last mark to the cursor", lambda app: app.table.mark_range(),
           refusals.any_trial, group="Table"),
    Action("mark_all", ("ctrl+a",), "", "Mark all trials that the filter shows", lambda app: app.table.mark_all(),
           refusals.any_trial, group="Table"),
    Action("unmark", ("u",), "", "Remove all marks", lambda app: app.table.unmark(), group="Table"),
    Action("follow_trials", ("N",), "", "Let the cursor follow the newest trial, the best one, or none",
           lambda app: app.choosing.follow_next(), refusals.any_trial, group="Table"),
    Action("best", ("b",), "best", "Go to the best trial", lambda app: app.go_to_best(), refusals.has_best,
           group="Go to"),
    Action("newest", ("n",), "newest", "Go to the newest trial, and on to each new one",
           lambda app: app.go_to_newest(), refusals.any_trial, group="Go to"),
    Action("pause_sweep", ("P",), "pause sweep", "Launch no more trials, or go on; running ones run on", _pause_sweep,
           refusals.sweep_pausable, group="Sweep", changes=True),
    Action("inject", ("i",), "inject", "Make a trial by hand: it is the next one", lambda app: app.steering.inject(),
           refusals.room, group="Sweep", changes=True),
    Action("more_slots", ("plus",), "", "One more trial at once", lambda app: app.steering.change_slots(1),
           refusals.started, group="Sweep", changes=True),
    Action("fewer_slots", ("minus",), "", "One trial less at once; running ones run on",
           lambda app: app.steering.change_slots(-1), refusals.has_slots, group="Sweep", changes=True),
    Action("max_trials", ("m",), "", "Change how many trials there will be",
           lambda app: app.steering.ask_max_trials(), refusals.started, group="Sweep", changes=True),
    Action("prompt", ("colon",), "command", "Write a command; Tab completes it", lambda app: app.steering.show_prompt(),
           group="Sweep"),
    Action("palette", ("ctrl+p",), "", "Find an action by a few letters", lambda app: app.steering.show_palette(),
           group="Sweep"),
    Action("compare", ("c",), "compare", "Compare the marked trials; one alone with the best",
           lambda app: app.pages.compare(), refusals.any_trial, group="Look closer"),
    Action("failures", ("e",), "failures", "Show the failed trials by their error",
           lambda app: app.pages.failures(), refusals.any_failed, group="Look closer"),
    Action("slots", ("o",), "slots", "Show which trial holds which slot and GPU",
           lambda app: app.pages.slots(), refusals.started, group="Look closer"),
    Action("copy", ("y",), "copy", "Copy a configuration: YAML, overrides, command, patch",
           lambda app: app.pages.copy(), refusals.any_trial, group="Look closer"),
    Action("optimizer", ("O",), "optimizer", "What matters, what is believed along each parameter, and what is next",
           lambda app: app.pages.optimizer(), refusals.started, group="Look closer"),
    Action("page_trial_before", ("left",), "before", "The trial before this one",
           lambda app: app.pages.step(Move.UP), group="On a page", pane="trial"),
    Action("page_trial_after", ("right",), "after", "The trial after this one",
           lambda app: app.pages.step(Move.DOWN), group="On a page", pane="trial"),
    Action("page_trial_log", ("l",), "log", "Go to the log of this trial", lambda app: app.pages.open_log(),
           group="On a page", pane="trial"),
    Action("page_metric", ("M",), "metric", "Of several metrics: what is known of the next one",
           lambda app: app.pages.next_metric(), refusals.several_metrics, group="On a page", pane="optimizer"),
    Action("page_requeue", ("r",), "requeue all", "Try all trials with this error again",
           lambda app: app.pages.requeue_group(), group="On a page", pane="failures", changes=True),
    Action("page_edit", ("R",), "edit", "Try them with other parameters, as new trials",
           lambda app: app.pages.edit_group(), refusals.room, group="On a page", pane="failures", changes=True),
    Action("page_select", ("enter",), "mark them", "Back to the table, with the trials of this error marked",
           lambda app: app.pages.choose(), group="On a page", pane="failures"),
    Action("page_open", ("enter",), "open", "Everything about the trial in this slot",
           lambda app: app.pages.choose(), group="On a page", pane="slots"),
    Action("page_back", ("escape", "q"), "back", "Back to the table", lambda app: app.pages.back(),
           group="On a page", pane="page"),
    Action("time_back", ("left_square_bracket",), "earlier", "Back in time, to the end of the trial before",
           lambda app: app.travel("end", -1), refusals.earlier, group=TIME),
    Action("time_on", ("right_square_bracket",), "later", "On in time, to the next end of a trial",
           lambda app: app.travel("end", 1), refusals.later, group=TIME),
    Action("time_change_back", ("left_curly_bracket",), "", "Back to the change before",
           lambda app: app.travel("change", -1), refusals.earlier, group=TIME),
    Action("time_change_on", ("right_curly_bracket",), "", "On to the next change",
           lambda app: app.travel("change", 1), refusals.later, group=TIME),
    Action("time_start", ("less_than_sign",), "", "Back to the start of the sweep",
           lambda app: app.travel("start"), refusals.earlier, group=TIME),
    Action("time_now", ("greater_than_sign",), "now", "Back to now", lambda app: app.travel("now"), refusals.later,
           group=TIME),
    Action("time_play", ("T",), "play", "Play from here on, of now from the start; again: stop",
           lambda app: app.travel("play"), refusals.started, group=TIME),
    Action("pane", ("tab", "shift+tab"), "pane", "Move between the table, the plots and the log",
           lambda app: app.switch_pane(), group="Move"),
    Action("up", ("up", "k"), "", "Up", _move(Move.UP), group="Move"),
    Action("down", ("down", "j"), "", "Down", _move(Move.DOWN), group="Move"),
    Action("page_up", ("pageup",), "", "Up by a page", _move(Move.PAGE_UP), group="Move"),
    Action("page_down", ("pagedown",), "", "Down by a page", _move(Move.PAGE_DOWN), group="Move"),
    Action("home", ("g", "home"), "", "To the first trial, or the start of the log", _move(Move.HOME), group="Move"),
    Action("end", ("G", "end"), "", "To the last trial, or the end of the log", _move(Move.END), group="Move"),
    Action("left", ("left",), "", "Columns to the left", _move(Move.LEFT), group="Move"),
    Action("right", ("right",), "", "Columns to the right", _move(Move.RIGHT), group="Move"),
    Action("help", ("question_mark",), "help", "Show all keys", lambda app: app.steering.show_help(), group="Sweep"),
    Action("quit", ("q", "ctrl+c", "ctrl+q"), "quit", "Leave: detach from the sweep, or stop it",
           lambda app: app.leaving.ask(), group="Sweep"),
)  # fmt: skip
"""In the order of the key bar."""

BY_ID = {action.id: action for action in ACTIONS}

_KEY_NAMES = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "escape": "Esc",
    "plus": "+",
    "minus": "-",
    "slash": "/",
    "underscore": "_",
    "less_than_sign": "<",
    "greater_than_sign": ">",
}
"""Those that are not called as Unicode calls the character."""


def key_name(key: str) -> str:
    """A key as it is printed on a keyboard."""
    if key in _KEY_NAMES or len(key) == 1:
        return _KEY_NAMES.get(key, key)
    *modifiers, last = key.split("+")
    if modifiers:
        name = key_name(last)
        return "+".join([*(modifier.capitalize() for modifier in modifiers), name[:1].upper() + name[1:]])
    try:
        found = unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return key.capitalize()
    return key.capitalize() if found.isspace() else found
