"""Finding an action: by a few letters, or in the list of all keys. Enter does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from sweeptui.app import theme, wording
from sweeptui.app.actions import ACTIONS, BY_ID, Action

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult

    from sweeptui.app.keymap import Keymap
    from sweeptui.app.snapshot import Snapshot

Refusal = Callable[[Action], str]
KEYS_WIDTH = 15


def row(action: Action, keymap: Keymap, refusal: Refusal, matcher: Matcher | None = None) -> Option:
    """An action as a line: its keys, what it does, and why it cannot be done now."""
    why = refusal(action)
    keys = " ".join(keymap.names(action))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {keys:<{KEYS_WIDTH}} ", style=theme.QUIET if why else f"bold {theme.ORANGE}")
    shown = Text(action.help, style=theme.QUIET if why else theme.TEXT)
    if matcher is not None:
        for at in _matched(matcher, action):
            shown.stylize(f"bold {theme.SKY}", at, at + 1)
    text.append_text(shown)
    if why:
        text.append(f"  {wording.line(why)}", style=f"italic {theme.QUIET}")
    return Option(text, id=action.id)


def _matched(matcher: Matcher, action: Action) -> Iterable[int]:
    """Which letters of the help match."""
    spans = matcher.highlight(action.help).spans
    return [at for span in spans for at in range(span.start, span.end)]


class _Finder(ModalScreen[str]):
    """Ends with the id of the action that was chosen. Choosing one that does not apply says why."""

    CSS_PATH = "steering.tcss"

    def __init__(self, keymap: Keymap, refusal: Refusal) -> None:
        super().__init__()
        self._keymap = keymap
        self._refusal = refusal
        self.list = OptionList(id="actions", compact=True)
        self.end = Static(classes="form-end")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        action = BY_ID[str(event.option_id)]
        if why := self._refusal(action):
            self.notify(wording.line(why), severity="warning", markup=False)
        else:
            self.dismiss(action.id)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Why it does not apply may be too long for its line."""
        why = self._refusal(BY_ID[str(event.option_id)])
        text = f"✗ {wording.line(why)}" if why else "Enter does it   Esc closes this"
        self.end.update(Text(text, style=theme.YELLOW if why else theme.QUIET, no_wrap=True, overflow="ellipsis"))

    def action_cancel(self) -> None:
        self.dismiss(None)

    def action_move(self, how: str) -> None:
        getattr(self.list, f"action_{how}")()

    def show(self, snapshot: Snapshot) -> None:  # noqa: ARG002 - what applies is asked of the app
        """The sweep has changed, and with it what applies."""
        for index in range(self.list.option_count):
            id_ = self.list.get_option_at_index(index).id
            if id_ is not None:
                self.list.replace_option_prompt(id_, self._row(BY_ID[id_]).prompt)

    def _row(self, action: Action) -> Option:
        return row(action, self._keymap, self._refusal)


class Palette(_Finder):
    """All actions, those first that the letters fit best."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c,ctrl+p", "cancel", show=False, priority=True),
        Binding("down,tab", "move('cursor_down')", show=False, priority=True),
        Binding("up,shift+tab", "move('cursor_up')", show=False, priority=True),
        Binding("pagedown", "move('page_down')", show=False, priority=True),
        Binding("pageup", "move('page_up')", show=False, priority=True),
    ]

    def __init__(self, keymap: Keymap, refusal: Refusal) -> None:
        super().__init__(keymap, refusal)
        self.list.can_focus = False
        self.input = Input(placeholder="what do you want to do?", id="search", compact=True)

    def compose(self) -> ComposeResult:
        with Vertical(id="palette", classes="form"):
            yield self.input
            yield self.list
            yield self.end

    def on_mount(self) -> None:
        self.input.focus()
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._search(event.value.strip())

    def on_input_submitted(self) -> None:
        self.list.action_select()

    def _row(self, action: Action) -> Option:
        query = self.input.value.strip()
        return row(action, self._keymap, self._refusal, Matcher(query) if query else None)

    def _search(self, query: str) -> None:
        matcher = Matcher(query)
        scored = [(_score(matcher, action) if query else 1.0, action) for action in ACTIONS if not action.pane]
        found = [(score, action) for score, action in scored if score > 0]
        # What can be done comes first; of equal fit, the registry's order holds.
        found.sort(key=lambda pair: (bool(self._refusal(pair[1])), -pair[0]))
        self.list.clear_options()
        self.list.add_options([self._row(action) for _, action in found])
        self.list.highlighted = 0 if found else None


def _score(matcher: Matcher, action: Action) -> float:
    words = (action.id.replace("_", " "), action.label, action.help)
    return max(matcher.match(word) * weight for word, weight in zip(words, (1.2, 1.2, 1.0), strict=True))


class Help(_Finder):
    """All keys by group, from the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,ctrl+c", "cancel", show=False, priority=True),
        Binding("j", "move('cursor_down')", show=False),
        Binding("k", "move('cursor_up')", show=False),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="all-keys", classes="form"):
            yield self.list
            yield self.end

    def on_mount(self) -> None:
        for group in dict.fromkeys(action.group for action in ACTIONS):
            self.list.add_option(Option(Text(group, style=f"bold {theme.SKY}"), disabled=True))
            self.list.add_options([self._row(action) for action in ACTIONS if action.group == group])
        self.list.focus()
        self.list.action_first()
