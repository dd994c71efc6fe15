"""The copy menu: a configuration in each form in which it is used again."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from sweeptui.app import theme, wording
from sweeptui.core.analysis.best import BEST, as_overrides, as_patch, as_yaml, patch_file, training_command
from sweeptui.core.analysis.summary import tool_of
from sweeptui.core.ansi import sanitize
from sweeptui.core.errors import UserError
from sweeptui.survey import open_sweep

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult

    from sweeptui.app.cockpit import Cockpit
    from sweeptui.core.trial import Trial

FOLDER = "copied"
"""In the sweep's folder: where what was copied lies as a file, for terminals that have no clipboard."""


@dataclass(frozen=True, slots=True)
class Form:
    id: str
    key: str
    label: str
    ending: str


FORMS = (
    Form("yaml", "y", "YAML", "yaml"),
    Form("overrides", "o", "Overrides", "txt"),
    Form("command", "c", "Full command", "sh"),
    Form("patch", "p", "Patch file", "yaml"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A configuration that may be copied."""

    trial: Trial
    name: str
    """What is made of it is called `<sweep>_<name>`."""


@dataclass
class Ready(Message):
    """The forms of a configuration."""

    trial: int
    texts: dict[str, str]
    problems: dict[str, str]


@dataclass
class Copied(Message):
    """What became of a file that was written."""

    said: str
    problem: str = ""


def forms(folder: Path, subject: Subject) -> Ready:
    """Every form of a configuration, or why there is none. For threads only."""
    sweep, trial = folder.name, subject.trial
    ready = Ready(trial.number, {}, {})
    ready.texts["yaml"] = as_yaml(trial.params)
    ready.texts["overrides"] = shlex.join(as_overrides(trial.params)) + "\n"
    ready.texts["patch"] = as_patch(sweep, trial, subject.name)
    try:
        with open_sweep(folder) as store:
            tool = tool_of(store.state)
        if not tool.train_command:
            raise UserError("the configuration of this sweep has no training command")
        command = shlex.join(training_command(tool, sweep, folder, trial, subject.name))
        where = f"cd {shlex.quote(str(tool.working_dir))} && " if tool.working_dir else ""
        ready.texts["command"] = f"{where}{command}\n"
    except (UserError, ValueError) as error:
        ready.problems["command"] = wording.line(str(error))
    return ready


def write_private(path: Path, text: str) -> None:
    """Write so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


class CopyMenu(ModalScreen[None], inherit_bindings=False):
    """Shows each form before it is copied. Tab goes from the best configuration to the selected trial's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", show=False),
        Binding("tab,shift+tab", "other", show=False),
        Binding("ctrl+c,ctrl+q", "app.act('quit')", show=False),
        *(Binding(form.key, f"copy('{form.id}')", show=False) for form in FORMS),
    ]
    CSS_PATH = "pages.tcss"

    def __init__(self, folder: Path, subjects: tuple[Subject, ...]) -> None:
        """`subjects`: one or two; the first is shown."""
        super().__init__()
        self._folder = folder
        self._subjects = subjects
        self._at = 0
        self._ready: dict[int, Ready] = {}
        self._asked: set[int] = set()
        self._title = Static(id="copy-title")
        self._list = OptionList(id="copy-forms")
        self._preview = Static(id="copy-preview", markup=False)
        self._end = Static(id="copy-end")

    @property
    def cockpit(self) -> Cockpit:
        return self.app  # type: ignore[return-value]

    @property
    def subject(self) -> Subject:
        return self._subjects[self._at]

    def compose(self) -> ComposeResult:
        with Vertical(id="copy"):
            yield self._title
            yield self._list
            with VerticalScroll(id="copy-view", can_focus=False):
                yield self._preview
            yield self._end

    def on_mount(self) -> None:
        for form in FORMS:
            text = Text(f" {form.key}  ", style=f"bold {theme.ORANGE}").append(form.label, style=theme.TEXT)
            self._list.add_option(Option(text, id=form.id))
        self._list.highlighted = 0
        self._list.focus()
        self._show()

    def _show(self) -> None:
        subject = self.subject
        score = wording.param(subject.trial.score, full=True) if subject.trial.score is not None else "no score"
        what = "the best configuration" if subject.name == BEST else "the configuration"
        title = Text("Copy ", style=f"bold {theme.SKY}").append(
            f"{what} of {subject.trial.id}", style=f"bold {theme.SKY}"
        )
        self._title.update(title.append(f"  {score}", style=theme.QUIET))
        ready = self._ready.get(subject.trial.number)
        if ready is None:
            if subject.trial.number not in self._asked:
                self._asked.add(subject.trial.number)
                self._prepare(subject)
            self._preview.update(Text("reading …", style=theme.QUIET))
        else:
            form = FORMS[self._list.highlighted or 0]
            problem = ready.problems.get(form.id)
            text = sanitize(ready.texts.get(form.id, ""), colour=False).rstrip("\n")
            self._preview.update(Text(problem, style=theme.YELLOW) if problem else Text(text, style=theme.TEXT))
        hint = Text(" Enter", style=f"bold {theme.ORANGE}").append(" copies  ", style=theme.QUIET)
        if len(self._subjects) > 1:
            other = self._subjects[1 - self._at]
            hint.append("Tab", style=f"bold {theme.ORANGE}")
            hint.append(f" {'the best' if other.name == BEST else other.trial.id} instead  ", style=theme.QUIET)
        hint.append("Esc", style=f"bold {theme.ORANGE}").append(" back", style=theme.QUIET)
        self._end.update(hint)

    @work(thread=True, group="copy")
    def _prepare(self, subject: Subject) -> None:
        self.post_message(forms(self._folder, subject))

    def on_ready(self, message: Ready) -> None:
        self._ready[message.trial] = message
        self._show()

    def on_option_list_option_highlighted(self) -> None:
        self._show()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_copy(event.option_id or "")

    # -- keys

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_other(self) -> None:
        self._at = (self._at + 1) % len(self._subjects)
        self._show()

    def action_copy(self, form_id: str) -> None:
        ready = self._ready.get(self.subject.trial.number)
        if ready is None:
            self.notify("one moment: it is being read", markup=False)
            return
        if problem := ready.problems.get(form_id):
            self.notify(problem, severity="warning", markup=False)
            return
        form = next(each for each in FORMS if each.id == form_id)
        text = ready.texts[form.id]
        read_only = self.cockpit.read_only
        if form.id == "patch":
            if read_only:
                self.notify(read_only, severity="warning", markup=False)
                return
            path = patch_file(self._folder.parents[2], self._folder.name, self.subject.name)
            self.cockpit.pages.write(path, text, f"use it with +trainer/patch={path.stem}: written to ")
        else:
            self.app.copy_to_clipboard(text)
            said = f"{form.label} of {self.subject.trial.id} copied"
            if read_only:
                self.notify(said, markup=False)
            else:
                path = self._folder / FOLDER / f"{self.subject.trial.id}.{form.id}.{form.ending}"
                self.cockpit.pages.write(path, text, f"{said}; where the terminal has no clipboard, take it from ")
        self.dismiss(None)
