"""A trial's parameters as a form, checked while they are typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Static

from sweeptui.app import theme, wording
from sweeptui.core import handmade
from sweeptui.core.space import Space

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.space import Distribution
    from sweeptui.core.trial import Params, Trial

MARK = "•"
"""Before a parameter that differs from where it was taken from."""


SHARE = 0.92
"""Of the terminal's height, at most."""
FRAME, BARE_FRAME = 9, 5
"""Lines of the form besides its fields and the choice where to start; where there is hardly any room."""
TINY = 18
"""On a terminal with fewer lines only what must be there is shown."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where parameters can be taken from."""

    id: str | int
    """As a command names it: `center`, or a trial's number."""
    key: str
    label: str
    params: Params


@dataclass(frozen=True, slots=True)
class Edited:
    source: str | int
    changed: Mapping[str, Any]
    """What differs from the source."""


class Field(Horizontal):
    """One parameter: its name, its value, and what it may be or why it cannot be that."""

    def __init__(self, path: str, name: str, width: int, distribution: Distribution) -> None:
        super().__init__(classes="field")
        self.path = path
        self.distribution = distribution
        self._base: Any = None
        self._mark = Static(" ", classes="field-mark")
        self._label = Static(Text(wording.line(name)), classes="field-name")
        self._label.styles.width = width + 1
        words = [as_text(value) for value in handmade.choices(distribution)]
        self.input = Input(compact=True, suggester=SuggestFromList(words) if words else None, select_on_focus=True)
        self.said = Static(classes="field-said")

    def compose(self) -> ComposeResult:
        yield self._mark
        yield self._label
        yield self.input
        yield self.said

    def start_from(self, value: Any) -> None:
        """Show a value as the one it is compared with."""
        self._base = value
        self.input.value = "" if value is None else as_text(value)
        self.judge()

    @property
    def value(self) -> Any:
        return handmade.read(self.distribution, self.input.value.strip())

    @property
    def changed(self) -> bool:
        return bool(self.value != self._base)

    @property
    def wrong(self) -> str:
        """What is wrong with the value, to go on after the name."""
        if not self.input.value.strip():
            return f"is empty; give it {handmade.allowed(self.distribution)}"
        return handmade.problem(self.distribution, self.value)

    def judge(self) -> None:
        """Say whether it can be, and whether it differs."""
        wrong = self.wrong
        self.input.set_class(bool(wrong), "-wrong")
        self._mark.update(Text(MARK if self.changed else " ", style=f"bold {theme.YELLOW}"))
        if wrong:
            self.said.update(Text(f"✗ {wording.line(wrong)}", style=theme.VERMILLION))
            return
        text = Text(wording.line(handmade.allowed(self.distribution)), style=theme.QUIET)
        if self.changed and self._base is not None:
            text = Text(f"was {wording.line(as_text(self._base))}, ", style=theme.YELLOW).append_text(text)
        self.said.update(text)


class Edit(ModalScreen[Edited]):
    """Ends with what was entered, or None where it was left. Only what is in the search space can be entered."""

    CSS_PATH = "steering.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", show=False, priority=True),
        Binding("up,shift+tab", "app.focus_previous", show=False),
        Binding("down,tab", "app.focus_next", show=False),
        Binding("f2", "start_from(0)", show=False),
        Binding("f3", "start_from(1)", show=False),
        Binding("f4", "start_from(2)", show=False),
    ]

    def __init__(
        self, title: str, note: str, space: Space, sources: list[Source], *, at: int = 0, unchanged: str = ""
    ) -> None:
        """`sources`: what it may start from, and `at` which of them; `unchanged`: why nothing may stay as it is."""
        super().__init__()
        self._heading = title
        self._note = note
        self._sources = sources
        self._space = space
        self._at = at
        self._unchanged = unchanged
        names = wording.short_names(tuple(space.names))
        searched = {path: each for path, each in space.distributions.items() if each.kind != "constant"}
        width = max((len(names[path]) for path in searched), default=0)
        self.fields = [Field(path, names[path], width, each) for path, each in searched.items()]
        self.rows = VerticalScroll(*self.fields, id="fields", can_focus=False)
        self._said = Static(id="said")
        self._buttons = [Button(self._source_label(source), classes="source") for source in sources]

    @classmethod
    def of_trial(cls, snapshot: Snapshot, trial: Trial) -> Edit:
        """For a new trial that differs from `trial`."""
        return cls(
            f"Requeue {trial.id} with other parameters",
            f"It becomes a new trial, {_place(snapshot)}; {trial.id} stays as it is.",
            Space.from_parameters(snapshot.parameters),
            [Source(trial.number, "", trial.id, trial.params)],
            unchanged=f"nothing is changed; change a parameter, or leave this and try {trial.id} again as it is",
        )

    @classmethod
    def new(cls, snapshot: Snapshot, selected: Trial | None) -> Edit:
        """For a new trial, beginning at the best one or, where there is none, at the center."""
        space = Space.from_parameters(snapshot.parameters)
        sources = [Source(handmade.CENTER, "F2", "center", space.center())]
        if snapshot.best is not None:
            sources.append(Source(snapshot.best.number, "F3", f"best #{snapshot.best.number}", snapshot.best.params))
        if selected is not None and snapshot.best is not selected:
            sources.append(Source(selected.number, f"F{len(sources) + 2}", f"#{selected.number}", selected.params))
        note = f"It becomes {_place(snapshot)}, and is the next one to be trained."
        return cls("Make a trial by hand", note, space, sources, at=1 if snapshot.best is not None else 0)

    def compose(self) -> ComposeResult:
        with Vertical(id="edit", classes="form"):
            yield Static(Text(self._heading), classes="form-title")
            yield Static(Text(self._note, style=theme.QUIET), classes="form-note")
            if len(self._sources) > 1:
                with Horizontal(id="sources"):
                    yield Static(Text("start from", style=theme.QUIET), id="sources-title")
                    yield from self._buttons
            yield self.rows
            yield self._said
            with Horizontal(id="choices"):
                yield Button("Queue it", id="enter")
                yield Button("Cancel", id="cancel")

    def on_resize(self) -> None:
        # What is left beside everything that must be seen; the rest is scrolled to.
        tiny = self.size.height < TINY
        self.set_class(tiny, "-tiny")
        others = BARE_FRAME if tiny else FRAME + (len(self._sources) > 1) * 2
        self.rows.styles.max_height = max(1, int(self.size.height * SHARE) - others)

    def on_mount(self) -> None:
        self.action_start_from(self._at)
        self.call_after_refresh(self.fields[0].input.focus)

    def action_start_from(self, at: int) -> None:
        if at >= len(self._sources):
            return
        self._at = at
        for button in self._buttons:
            button.set_class(button is self._buttons[at], "-chosen")
        for field in self.fields:
            field.start_from(self._space.full(self._sources[at].params).get(field.path))
        self._say("")

    def on_input_changed(self, event: Input.Changed) -> None:
        field = event.input.parent
        if isinstance(field, Field):
            field.judge()
            self._say(f"{field.path} {field.wrong}" if field.wrong else "")

    def on_input_submitted(self) -> None:
        self._enter()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button in self._buttons:
            self.action_start_from(self._buttons.index(event.button))
        elif event.button.id == "enter":
            self._enter()
        else:
            self.dismiss(None)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _enter(self) -> None:
        wrong = [field for field in self.fields if field.wrong]
        changed = {field.path: field.value for field in self.fields if field.changed}
        if wrong:
            wrong[0].input.focus()
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            self._say(f"{wrong[0].path} {wrong[0].wrong}{more}")
        elif self._unchanged and not changed:
            self._say(self._unchanged)
        else:
            self.dismiss(Edited(self._sources[self._at].id, changed))

    def _say(self, text: str) -> None:
        self._said.update(Text(f"✗ {wording.line(text)}" if text else "", style=f"bold {theme.VERMILLION}"))

    @staticmethod
    def _source_label(source: Source) -> Text:
        return Text(f"{source.key} ", style=f"bold {theme.ORANGE}").append(source.label, style=theme.TEXT)


def as_text(value: Any) -> str:
    """A value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value)


def _place(snapshot: Snapshot) -> str:
    """Which of how many trials the next one is."""
    number = snapshot.trials[-1].number + 1 if snapshot.trials else 1
    return f"trial {number} of {snapshot.max_trials}"
