"""The start screen: every sweep under the root, and what can be done with it."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from sweeptui.app import theme, wording
from sweeptui.app.columns import BEST, BOLD, MARK, PLAIN, QUIET, Piece, fit
from sweeptui.app.dialogs import Ask, Choice
from sweeptui.app.inventory import EXPERIMENT, STAGE, SWEEP
from sweeptui.app.moves import Move
from sweeptui.app.panels import Part, arrange
from sweeptui.app.screens.hints import Hint, Hints
from sweeptui.app.screens.sweepactions import SWEEP_ACTIONS, to_requeue
from sweeptui.app.screens.sweeptable import SweepTable, holder_of, shown_path, state_of
from sweeptui.app.trash import TRASH

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Key

    from sweeptui.app.inventory import Entry
    from sweeptui.recipes.find import RecipeInfo

ROOMY = (150, 40)
"""From so many columns and lines on, a sweep's details have the room that the list has no use for."""
LIST_LINES, LEAST_LIST = 3, 8
"""Of its frame and its titles; and how high it is with hardly any sweep."""
KILL = (Choice("yes", "Yes, kill them", "y"), Choice("no", "No", "n"))
DELETE = (Choice("yes", "Yes, delete it", "y"), Choice("no", "No", "n"))


_MOVES = {
    Move.UP: "up,k", Move.DOWN: "down,j", Move.PAGE_UP: "pageup", Move.PAGE_DOWN: "pagedown", Move.HOME: "home,g",
    Move.END: "end,G",
}  # fmt: skip


class SweepList(Screen[None], inherit_bindings=False):
    """Shows what `show` is given, and posts what the user wants done with a sweep."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(",".join(action.keys), f"act('{action.id}')", action.help, show=False) for action in SWEEP_ACTIONS),
        *(Binding(keys, f"move('{move.name}')", show=False) for move, keys in _MOVES.items()),
    ]

    class Wanted(Message):
        """The user wants the sweep opened, resumed or deleted, or a new one."""

        def __init__(self, action: str, entry: Entry | None) -> None:
            super().__init__()
            self.action = action
            self.entry = entry

    def __init__(self, folder: Path, recipes: tuple[RecipeInfo, ...], clock: Callable[[], float] = time.time) -> None:
        """`folder` is where the sweeps lie; `recipes` are offered where there is none yet."""
        super().__init__()
        self._folder = folder
        self._clock = clock
        self._entries: tuple[Entry, ...] | None = None
        self.header = Static(id="sweeps-header")
        self.filter = Input(placeholder="words, in any order; -word leaves out", id="filter")
        self.filter.cursor_blink = False
        self.table = SweepTable(clock=clock, id="sweeps")
        self.details = Static(id="details")
        self.welcome = Static(_welcome(folder, recipes), id="welcome-text")
        self.keys = Hints(last=2, id="keys")

    def compose(self) -> ComposeResult:
        yield self.header
        yield Horizontal(Static("/", id="filter-slash"), self.filter, id="filter-line")
        yield self.table
        yield self.details
        yield Vertical(self.welcome, id="welcome")
        yield self.keys

    def on_mount(self) -> None:
        self.table.focus()
        self._refresh()

    def show(self, entries: tuple[Entry, ...]) -> None:
        self._entries = entries
        self.set_class(not entries, "-empty")
        self.table.show(entries)

    def on_resize(self) -> None:
        self._refresh()

    @on(SweepTable.Looked)
    def _refresh(self) -> None:
        entries, entry = self._entries, self.table.selected
        self.header.update(self._header())
        roomy = self.size.width >= ROOMY[0] and self.size.height >= ROOMY[1]
        # The list needs no more lines than it has sweeps, and what is left goes to the one that the cursor is on.
        rows = len(self.table.entries) + LIST_LINES
        self.table.styles.height = max(LEAST_LIST, min(rows, self.size.height // 2)) if roomy else None
        self.details.styles.height = "1fr" if roomy else None
        self.details.update(_details(entry, max(20, self.size.width - 4), self._clock(), roomy=roomy))
        # Stages and what is inside of experiments come and go with where one is: counted is what one sees.
        of = len(self.table.entries) if self.table.at else sum(not each.parent for each in entries or ())
        shown = len(self.table.entries)
        if self.table.words:
            of = sum(each.kind != STAGE for each in entries or ())
        what = "Stages and sweeps" if self.table.at else "Sweeps"
        self.table.border_title = f"{what} {of}" if shown == of else f"{what} {shown} of {of}"
        self.table.border_subtitle = "" if not self.table.words else f"filter: {' '.join(self.table.words)}"
        self.details.border_title = wording.line(entry.name) if entry is not None else ""
        self.keys.show(
            [
                Hint(action.shown, action.label, f"screen.act('{action.id}')", not action.refusal(entry))
                for action in SWEEP_ACTIONS
                if action.label and (action.id != "back" or self.table.at)
            ]
        )

    def _header(self) -> Text:
        entries = None if self._entries is None else tuple(each for each in self._entries if each.kind == SWEEP)
        crumbs: list[Piece] = [(f"sweeps in {shown_path(self._folder)}", QUIET)]
        if around := self.table.around:
            crumbs = [("sweeps", QUIET)]
            for each in around:
                crumbs += [(" / ", QUIET), (wording.line(each.title or each.name), BOLD)]
        first: list[Part] = [(0, [("sweeptui", BOLD)]), (0 if around else 1, crumbs)]
        second: list[Part] = []
        if entries is None:
            second = [(0, [("◌ looking for sweeps", QUIET)])]
        elif not entries:
            second = [(0, [("no sweep yet", QUIET)])]
        else:
            second = [(0, [(f"{len(entries)} {'sweep' if len(entries) == 1 else 'sweeps'}", BOLD)])]
            labels = list(dict.fromkeys(entry.label for entry in sorted(entries, key=lambda entry: not entry.lives)))
            for depth, label in enumerate(labels):
                same = [entry for entry in entries if entry.label == label]
                state = state_of(same[0])
                second.append((1 + depth, [(f"{state.glyph} {len(same)} {state.word}", theme.style(state.colour))]))
        width = max(10, self.size.width - 2)
        return _text([arrange(first, width), arrange(second, width)], width)

    # -- keys

    def action_move(self, move: str) -> None:
        self.table.move(Move[move])

    def action_act(self, id_: str) -> None:
        """Do what a key asks for, or say why not."""
        action = next(action for action in SWEEP_ACTIONS if action.id == id_)
        entry = self.table.selected
        if why := action.refusal(entry):
            self.notify(why, severity="warning", markup=False)
            return
        match id_:
            case "filter":
                self.add_class("-filtering")
                self.filter.focus()
            case "sort":
                self.table.sort()
            case "turn":
                self.table.turn()
            case "clear":
                if self.table.at and not self.table.words and not self.has_class("-filtering"):
                    self.table.leave()
                else:
                    self._end_filter(keep=False)
            case "back":
                if self.table.at:
                    self.table.leave()
            case "open" if entry is not None and entry.kind != SWEEP:
                self._go_into(entry)
            case "stop" | "kill" if entry is not None:
                self._stop(id_, self.table.experiment_of(entry))
            case "pause" if entry is not None:
                self.post_message(self.Wanted(id_, self.table.experiment_of(entry)))
            case "resume" if entry is not None and to_requeue(entry):
                self.post_message(self.Wanted("requeue", entry))
            case "help":
                self.app.push_screen(SweepHelp())
            case "delete" if entry is not None:
                self._ask_to_delete(entry)
            case _:
                self.post_message(self.Wanted(id_, entry))

    def _go_into(self, entry: Entry) -> None:
        """Into an experiment; of a stage, to the newest sweep that it ran."""
        if entry.kind == EXPERIMENT:
            self.table.enter(entry.name)
            return
        sweeps = [each for each in self.table.inside(entry.name) if each.kind == SWEEP]
        newest = max(sweeps, key=lambda each: (each.lives, each.created_at or 0.0))
        self.post_message(self.Wanted("open", newest))

    def _stop(self, id_: str, entry: Entry) -> None:
        if id_ == "stop":
            self.post_message(self.Wanted(id_, entry))
            return
        inside = " and all that runs inside it" if entry.kind == EXPERIMENT else ""

        def answered(choice: str | None) -> None:
            if choice == "yes":
                self.post_message(self.Wanted("kill", entry))

        self.app.push_screen(
            Ask(f"Stop {wording.line(entry.name)}{inside}, and kill its running trials?", KILL, "no"), answered
        )

    def _ask_to_delete(self, entry: Entry) -> None:
        trials = "1 finished trial" if entry.done == 1 else f"{entry.done} finished trials"
        what = trials if not entry.problem else "its database cannot be read"
        inside = sum(each.kind != STAGE for each in self.table.inside(entry.name))
        with_all = f" and {inside} inside it" if inside else ""
        question = (
            f"Delete {wording.line(entry.name)}{with_all} ({what})? It is moved to {shown_path(self._folder / TRASH)}."
        )

        def answered(choice: str | None) -> None:
            if choice == "yes":
                self.post_message(self.Wanted("delete", entry))

        self.app.push_screen(Ask(question, DELETE, "no"), answered)

    # -- filtering

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.table.search(event.value)

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._end_filter(keep=True)

    def on_key(self, event: Key) -> None:
        """While the words are typed, the arrows still choose a sweep."""
        if self.filter.has_focus and event.key in ("up", "down"):
            event.stop()
            self.table.move(Move.UP if event.key == "up" else Move.DOWN)

    def _end_filter(self, *, keep: bool) -> None:
        if not keep:
            self.filter.value = ""
            self.table.search("")
        self.set_class(keep and bool(self.filter.value), "-filtering")
        self.table.focus()

    @on(SweepTable.Opened)
    def _opened(self) -> None:
        self.action_act("open")


class SweepHelp(ModalScreen[None]):
    """All keys of the start screen, from the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter,space", "dismiss", show=False)]

    def compose(self) -> ComposeResult:
        text = Text().append("Sweeps\n", style=f"bold {theme.SKY}")
        for action in SWEEP_ACTIONS:
            text.append(f"  {action.shown:<10}", style=f"bold {theme.ORANGE}")
            text.append(f"{action.help}\n", style=theme.TEXT)
        text.append("\nA click selects a sweep, two open it; the wheel scrolls.", style=theme.QUIET)
        with Vertical(id="help"):
            yield Static(text)


# -- what is said


def _text(lines: list[list[Piece]], width: int) -> Text:
    """Lines of pieces, each cut to the width."""
    text = Text(no_wrap=True, end="")
    for index, pieces in enumerate(lines):
        text.append("\n" * (index > 0))
        for segment in fit(pieces, width) if pieces else ():
            text.append(segment.text, segment.style)
    return text


def _details(entry: Entry | None, width: int, now: float, *, roomy: bool) -> Text:
    """What the table has no room for; `roomy`: a line for each parameter."""
    if entry is None:
        return Text()
    state = state_of(entry)
    badge: Piece = (str(state), theme.style(state.colour, bold=True))
    indent = len(badge[0]) + 2
    reason = textwrap.wrap(wording.line(entry.problem or entry.reason), max(10, width - indent)) or [""]
    lines: list[list[Piece]] = [[badge, (f"  {reason[0]}", PLAIN)]]
    lines += [[(" " * indent + more, PLAIN)] for more in reason[1:]]
    if entry.kind == STAGE and not entry.max_trials:
        took: list[Piece] = [("took ", QUIET), (wording.duration(entry.run_s), PLAIN)] if not entry.lives else []
        lines.append(took)
    elif entry.created_at is not None:
        counts: list[Part] = [
            (0, [(f"{entry.done}/{entry.max_trials} trials", PLAIN)]),
            (1, [("created ", QUIET), (f"{wording.duration(float(int(now - entry.created_at)))} ago", PLAIN)]),
            # Of a run that goes on, it is only known when it has ended.
            (2, [] if entry.lives else [("ran ", QUIET), (wording.duration(entry.run_s), PLAIN)]),
            (3, [("cost ", QUIET), (wording.cost(entry.spent, entry.cost_unit), PLAIN)]),
            (4, [("run by ", QUIET), (holder_of(entry), PLAIN)] if entry.holder else []),
        ]
        lines += [
            arrange(counts, width),
            arrange(
                [
                    (0, _what(entry)),
                    (1, [(f"{entry.goal} ", QUIET), (wording.line(entry.metric), PLAIN)] if entry.goal else []),
                    (2, _inside(entry)),
                ],
                width,
            ),
        ]
        lines += _best_list(entry) if roomy else _best_lines(entry, width)
    if roomy or entry.created_at is None:
        lines += [[], [("Its files are in ", QUIET), (shown_path(entry.folder), PLAIN)]]
    return _text(lines, width)


def _what(entry: Entry) -> list[Piece]:
    """What it is, or is a sweep of."""
    if entry.kind == STAGE:
        return [("stage ", QUIET), (wording.line(entry.title), PLAIN)]
    what = "experiment " if entry.kind == EXPERIMENT else "recipe "
    return [(what, QUIET), (wording.line(entry.recipe) or wording.UNKNOWN, PLAIN)]


def _inside(entry: Entry) -> list[Piece]:
    """The experiment that it is in, and the stage that ran it."""
    around, _, stage = entry.parent.partition(":")
    if not around or entry.kind == STAGE:
        return []
    place: list[Piece] = [("inside ", QUIET), (wording.line(around), PLAIN)]
    return [*place, (", stage ", QUIET), (wording.line(stage), PLAIN)] if stage else place


def _best_list(entry: Entry) -> list[list[Piece]]:
    """The best configuration, as it is given to a command."""
    best = entry.best
    failed: list[Piece] = [(f"{entry.failed} failed", theme.style(theme.VERMILLION))] if entry.failed else []
    running: list[Piece] = [(f"{entry.running} running", theme.style(theme.SKY))] if entry.running else []
    states = [*running, *([("   ", PLAIN)] if running and failed else []), *failed]
    lines = [states, []] if states else [[]]
    if best is None:
        return [*lines, [("☆ no trial has a score yet", QUIET)]]
    lines += [[(f"{MARK} {wording.param(best.score, full=True)}", BEST), (f"  {best.id}", BOLD)], []]
    longest = max((len(path) for path in best.params), default=0)
    lines += [
        [(f"  {wording.line(path):<{longest}}  ", QUIET), (wording.param(value, full=True), PLAIN)]
        for path, value in best.params.items()
    ]
    if entry.kind != SWEEP:
        return lines
    copies: list[Piece] = [("sweeptui best ", QUIET), (wording.line(entry.name), theme.style(theme.SKY))]
    return [*lines, [], [*copies, (" prints it, ready to use", QUIET)]]


def _best_lines(entry: Entry, width: int) -> list[list[Piece]]:
    best = entry.best
    if best is None:
        return [[("☆ no trial has a score yet", QUIET)]]
    lines: list[list[Piece]] = [[(f"{MARK} {wording.param(best.score, full=True)}", BEST), (f"  {best.id}", BOLD)]]
    names = wording.short_names(tuple(best.params))
    line: list[Piece] = []
    used = 0
    for path, value in best.params.items():
        name, text = f"{names[path]} ", wording.param(value)
        size = len(name) + len(text) + 3
        if line and used + size - 3 > width:
            lines.append(line)
            line, used = [], 0
        line += [(name, QUIET), (text, PLAIN), ("   ", PLAIN)]
        used += size
    return [*lines, line] if line else lines


def _welcome(folder: Path, recipes: tuple[RecipeInfo, ...]) -> Text:
    """What stands there before the first sweep."""
    text = Text()
    text.append("No sweep here yet\n\n", style=f"bold {theme.SKY}")
    text.append("Press ", style=theme.TEXT).append("n", style=f"bold {theme.ORANGE}")
    text.append(" to start one, or on the command line:\n\n", style=theme.TEXT)
    offers = [(recipe.name, wording.line(recipe.line)) for recipe in recipes]
    offers.append(("lr.yaml", "your own, a YAML file or file.py:function"))
    width = max(len(name) for name, _ in offers)
    for name, line in offers:
        text.append(f"  sweeptui {name:<{width}}", style=f"bold {theme.GREEN}")
        text.append(f"   {line}\n", style=theme.QUIET)
    text.append("\n")
    text.append(f"Sweeps are kept in {shown_path(folder)}.", style=theme.QUIET)
    return text
