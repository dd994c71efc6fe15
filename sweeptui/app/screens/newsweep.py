"""A form for a new sweep. What it makes is a command line, checked as the command line itself would be."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static
from textual.worker import get_current_worker

from sweeptui.app import theme, wording
from sweeptui.app.messages import Latest
from sweeptui.app.screens.hints import Hint, Hints
from sweeptui.app.screens.sweeptable import shown_path
from sweeptui.core.errors import UserError
from sweeptui.folders import DATABASE, sweep_path
from sweeptui.launch import Session, prepare
from sweeptui.preview import dry_run
from sweeptui.readiness import checked

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Click

    from sweeptui.core.config import SweepTool
    from sweeptui.core.trial import Stage
    from sweeptui.recipes.find import RecipeInfo

QUIET_S = 0.15
"""So long nothing is typed before it is checked."""
PREVIEW_S = 0.8
"""And so long before the first trial's commands are made: they need the optimizer, which takes seconds."""


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    label: str
    option: str
    """Of the command line."""
    help: str
    """What stands in the empty field, where the recipe does not say."""
    default: Callable[[SweepTool], object] | None = None
    """What the recipe says."""


FIELDS = (
    Field("name", "Name", "--sweep-name", "made up"),
    Field("trials", "Trials", "--max-trials", "how many in all", lambda tool: tool.max_trials),
    Field("jobs", "At once", "--max-parallel-jobs", "how many run at once", lambda tool: tool.max_parallel_jobs),
    Field("method", "Method", "--method", "bayes, random, ...", lambda tool: tool.protein_config.method),
    Field("seed", "Seed", "--seed", "of all that is random", lambda tool: tool.seed),
    Field("settings", "Settings", "--set", "any field=value, several with spaces between them"),
)


@dataclass
class Checked(Latest):
    """What became of the words of a command line: the configuration, or what is wrong with them."""

    words: tuple[str, ...]
    tool: SweepTool | None
    problem: str


@dataclass
class Previewed(Latest):
    """The exact commands of the first trial, or why there are none."""

    words: tuple[str, ...]
    commands: tuple[tuple[Stage, list[str]], ...]
    problem: str


class NewSweep(Screen[None], inherit_bindings=False):
    """Posts `Ready` with a sweep that has been made and only waits to be run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", show=False),
        Binding("escape,ctrl+c,ctrl+q", "back", show=False),
        # With priority, so that what is typed right after them is already for the next field.
        Binding("tab", "next", show=False, priority=True),
        Binding("shift+tab", "previous", show=False, priority=True),
        Binding("down", "step(1)", show=False, priority=True),
        Binding("up", "step(-1)", show=False, priority=True),
    ]

    class Ready(Message):
        def __init__(self, session: Session) -> None:
            super().__init__()
            self.session = session

    def __init__(
        self,
        root: Path,
        recipes: tuple[RecipeInfo, ...],
        read: Callable[[Sequence[str]], tuple[str, SweepTool]],
    ) -> None:
        """`read` turns the words of a command line into its recipe and configuration, or raises `UserError`."""
        super().__init__()
        self._root = root
        self._recipes = recipes
        self._read = read
        self._words: tuple[str, ...] = ()
        self._problem = ""
        self._checked: Checked | None = None
        self._preview: Previewed | None = None
        self._starting = False
        self._over = Event()
        names = [recipe.name for recipe in recipes]
        self.recipe = Input(
            names[0] if names else "",
            placeholder="a name, file.py:function, module:function or file.yaml",
            suggester=SuggestFromList(names),
            id="recipe",
        )
        self.fields = {field.id: Input(placeholder=field.help, id=field.id) for field in FIELDS}
        for box in (self.recipe, *self.fields.values()):
            box.cursor_blink = False
        self.known = Static(id="known")
        self.verdict = Static(id="verdict")
        self.keys = Hints(id="keys")

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="form", can_focus=False):
            with Horizontal(classes="field"):
                yield Label("Recipe")
                yield self.recipe
            yield self.known
            for field in FIELDS:
                with Horizontal(classes="field"):
                    yield Label(field.label)
                    yield self.fields[field.id]
        with VerticalScroll(id="outcome", can_focus=False):
            yield self.verdict
        yield self.keys

    def on_mount(self) -> None:
        self.query_one("#form").border_title = "New sweep"
        self.query_one("#outcome").border_title = "What will be run"
        self.recipe.focus()
        self.recipe.action_end()
        self.read_form()

    def on_unmount(self) -> None:
        self._over.set()

    # -- what the form says

    def read_form(self) -> None:
        """Something was typed: have it checked."""
        self._words, self._problem = (), ""
        recipe = self.recipe.value.strip()
        words = [recipe]
        try:
            for field in FIELDS:
                value = self.fields[field.id].value.strip()
                pieces = shlex.split(value) if field.id == "settings" else [value] if value else []
                for piece in pieces:
                    words += [field.option, piece]
        except ValueError as error:  # shlex's: "No closing quotation"
            self._problem = f"the settings have a quotation mark too few: {str(error).lower()}"
        if not recipe:
            self._problem = "choose a recipe"
        self._words = tuple(words)
        if not self._problem:
            self._check(self._words)
        self._show()

    @work(thread=True, group="check", exclusive=True)
    def _check(self, words: tuple[str, ...]) -> None:
        """A newer call ends this one: what it has not begun yet, it leaves undone."""
        worker = get_current_worker()
        if self._over.wait(QUIET_S) or worker.is_cancelled:
            return
        recipe, tool, problem = words[0], None, ""
        try:
            recipe, tool = self._read(words)
            self._refuse_existing(tool)
            tool = checked(tool, self._root)
        except UserError as error:
            tool, problem = None, str(error)
        if worker.is_cancelled:
            return
        self.post_message(Checked(words, tool, problem))
        if tool is None or self._over.wait(PREVIEW_S) or worker.is_cancelled:
            return
        try:
            preview = Previewed(words, tuple(dry_run(recipe, tool, self._root)), "")
        except UserError as error:
            preview = Previewed(words, (), str(error))
        if not worker.is_cancelled:
            self.post_message(preview)

    def _refuse_existing(self, tool: SweepTool) -> None:
        """This form makes a new sweep. Raises `UserError`."""
        name = tool.sweep_name
        if name is not None and (sweep_path(self._root, name) / DATABASE).exists():
            raise UserError(f"there is a sweep {name!r} already: choose another name, or go on with it from the list")

    def on_checked(self, message: Checked) -> None:
        if message.words != self._words:
            return
        self._checked = message
        for field in FIELDS:
            said = field.help
            if message.tool is not None and field.default is not None:
                said = f"{wording.line(str(field.default(message.tool)))} (the recipe's)"
            self.fields[field.id].placeholder = said
        self._show()

    def on_previewed(self, message: Previewed) -> None:
        if message.words == self._words:
            self._preview = message
            self._show()

    @property
    def problem(self) -> str:
        """What is wrong with the form as it stands, as far as it is known."""
        if self._problem:
            return self._problem
        found = self._checked
        return found.problem if found is not None and found.words == self._words else ""

    @property
    def good(self) -> bool:
        """It has been checked as it stands, and nothing is wrong."""
        return self._checked is not None and self._checked.words == self._words and self._checked.tool is not None

    @property
    def settled(self) -> bool:
        """Nothing more will be known before something is typed."""
        return bool(self.problem) or (self._preview is not None and self._preview.words == self._words)

    def _show(self) -> None:
        self.known.update(self._known())
        self.verdict.update(self._verdict())
        self.set_class(bool(self.problem), "-wrong")
        ready = self.good and not self._starting
        self.keys.show(
            [
                Hint("Enter", "start", "screen.start", ready),
                Hint("Tab", "next field", "screen.next"),
                Hint("Esc", "back", "screen.back"),
            ]
        )

    def _known(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        width = max((len(recipe.name) for recipe in self._recipes), default=0)
        for recipe in self._recipes:
            chosen = recipe.name == self.recipe.value.strip()
            line = Text(f"{'▶' if chosen else ' '} {recipe.name:<{width}}  ", style=theme.SKY if chosen else theme.TEXT)
            line.append(f"{wording.line(recipe.line)}\n", style=theme.QUIET)
            line.apply_meta({"recipe": recipe.name})
            text.append(line)
        return text

    def _verdict(self) -> Text:
        text = Text()
        if self._starting:
            return text.append("◌ starting", style=theme.QUIET)
        if problem := self.problem:
            return text.append("✗ ", style=f"bold {theme.VERMILLION}").append(wording.line(problem), style=theme.TEXT)
        if not self.good:
            return text.append("◌ checking", style=theme.QUIET)
        text.append("✔ ", style=f"bold {theme.GREEN}")
        text.append(f"sweeptui {wording.line(shlex.join(self._words))}\n", style=f"bold {theme.TEXT}")
        preview = self._preview
        if preview is None or preview.words != self._words:
            return text.append("the first trial's commands are being made ...", style=theme.QUIET)
        if preview.problem:
            return text.append(f"✗ {wording.line(preview.problem)}", style=theme.VERMILLION)
        text.append("its first trial:\n", style=theme.QUIET)
        for stage, argv in preview.commands:
            text.append(f"{stage}  ", style=f"bold {theme.SKY}")
            text.append(f"{' '.join(_word(word) for word in argv)}\n", style=theme.TEXT)
        return text

    # -- what the user does

    @on(Input.Changed)
    def _typed(self) -> None:
        if self.is_mounted:
            self.read_form()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_start()

    def on_click(self, event: Click) -> None:
        if (name := event.style.meta.get("recipe")) is not None:
            self._choose(name)

    def _choose(self, name: str) -> None:
        self.recipe.value = name
        self.recipe.action_end()

    def action_next(self) -> None:
        self.focus_next(Input)

    def action_previous(self) -> None:
        self.focus_previous(Input)

    def action_step(self, step: int) -> None:
        """To the next field; in that of the recipe, to the next of those that there are."""
        if self.recipe.has_focus and self._recipes:
            names = [recipe.name for recipe in self._recipes]
            value = self.recipe.value.strip()
            at = names.index(value) if value in names else min(0, -step)
            self._choose(names[(at + step) % len(names)])
        elif step > 0:
            self.action_next()
        else:
            self.action_previous()

    def action_back(self) -> None:
        self.dismiss()

    def action_start(self) -> None:
        if self._starting:
            return
        if self.problem:
            self.notify(wording.line(self.problem), severity="warning", markup=False)
            return
        self._starting = True
        self._show()
        self._start(self._words)

    @work(thread=True, group="start")
    def _start(self, words: tuple[str, ...]) -> None:
        try:
            recipe, tool = self._read(words)
            self._refuse_existing(tool)
            session = prepare(recipe, tool, self._root, label="cockpit", new=True)
        except UserError as error:
            self.app.call_from_thread(self._not_started, words, str(error))
            return
        self.post_message(self.Ready(session))

    def _not_started(self, words: tuple[str, ...], problem: str) -> None:
        self._starting = False
        self.on_checked(Checked(words, None, problem))


def _word(word: str) -> str:
    """A word of a command as one writes it in a shell."""
    quoted = shlex.quote(word)
    return shown_path(word) if quoted == word else wording.line(quoted)
