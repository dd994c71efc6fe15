"""Which key does what: the registry's keys, and those that the user gave other ones in a configuration file.

[keys]
kill = "K"
pane = ["tab", "ctrl+w"]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.binding import Binding
from textual.keys import Keys

from sweeptui.app.actions import ACTIONS, BY_ID, Action, key_name
from sweeptui.core.errors import UserError, hint, shown
from sweeptui.folders import config_path

TABLE = "keys"
OTHERS = ("notify",)
"""Tables of the file that others read."""
EXAMPLE = "'K', '?' or 'ctrl+k'"
_NAMED = frozenset(key.value for key in Keys if not key.value.startswith("<"))
_MODIFIED = re.compile(r"(?:(?:ctrl|alt|super|hyper|meta|shift)\+)+(?P<key>[a-z0-9]|[a-z_0-9]{2,})")


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys of each action."""

    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the user chose, by action id, in Textual's names."""
    problems: tuple[str, ...] = ()
    """What is wrong with the user's file, a sentence each; what they are about is left at its default."""

    def keys(self, action: Action) -> tuple[str, ...]:
        return self.own.get(action.id, action.keys)

    def names(self, action: Action) -> list[str]:
        """The keys of an action as they are printed on a keyboard."""
        return [key_name(key) for key in self.keys(action)]

    def first(self, action: Action) -> str:
        """The key that a text names for an action."""
        return key_name(self.keys(action)[0])

    @property
    def overrides(self) -> dict[str, str]:
        """For `App.set_keymap`."""
        return {id_: ",".join(keys) for id_, keys in self.own.items()}


def keymap_of(app: object) -> Keymap:
    """The keymap of an app that has one."""
    keymap = getattr(app, "keymap", None)
    return keymap if isinstance(keymap, Keymap) else Keymap()


def load(path: Path | None = None) -> Keymap:
    """The keymap of the user's configuration file. Raises nothing: what is wrong with the file is in `problems`."""
    path = path or config_path()
    if not path.exists():
        return Keymap()
    import tomllib  # noqa: PLC0415 - most have no such file

    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Keymap()
    except (OSError, ValueError) as error:
        return Keymap(problems=(f"{path} cannot be read: {str(error) or type(error).__name__}",))
    own, problems = _read(config)
    problems += _take_out_clashes(own)
    return Keymap(own, tuple(f"{path}: {problem}" for problem in problems))


def _read(config: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    problems = [
        f"{name} is not a setting; {hint(name, [TABLE, *OTHERS])}" for name in config if name not in (TABLE, *OTHERS)
    ]
    table = config.get(TABLE, {})
    if not isinstance(table, dict):
        return {}, [*problems, f"{TABLE} is {shown(table)}; it must be a table: [{TABLE}]"]
    own: dict[str, tuple[str, ...]] = {}
    for id_, value in table.items():
        try:
            if id_ not in BY_ID:
                raise UserError(f"is not an action; {hint(id_, BY_ID)}")
            own[id_] = _keys(value)
        except UserError as error:
            problems.append(f"{TABLE}.{id_} {error}")
    return own, problems


def _keys(value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given or not all(isinstance(key, str) for key in given):
        raise UserError(f"is {shown(value)}; it must be a key such as {EXAMPLE}, or a list of keys")
    return tuple(dict.fromkeys(_key(key) for key in given))


def _key(text: str) -> str:
    """A key under Textual's name: `?` is `question_mark`, `shift+k` is `K`."""
    if len(text) == 1 and text.isprintable():
        return {" ": "space", ",": "comma"}.get(text) or next(iter(Binding.make_bindings([Binding(text, "")]))).key
    name = text.lower()
    if re.fullmatch(r"shift\+[a-z]", name):
        return name[-1].upper()
    modified = _MODIFIED.fullmatch(name)
    if name in _NAMED or name in _defaults() or (modified and (len(modified["key"]) == 1 or modified["key"] in _NAMED)):
        return name
    raise UserError(f"is {text!r}, which is no key; write one such as {EXAMPLE}; {hint(name, _NAMED)}")


def _defaults() -> set[str]:
    return {key for action in ACTIONS for key in action.keys}


def _take_out_clashes(own: dict[str, tuple[str, ...]]) -> list[str]:
    """Remove from `own` what would give a key to two actions of a pane, and say so."""
    problems: list[str] = []
    while clash := next(_clashes(own), None):
        key, first, second = clash
        name = key_name(key)
        if second in own:
            problems.append(f"{TABLE}.{first} and {TABLE}.{second} are both {name!r}; give each a key of its own")
        else:
            problems.append(f"{TABLE}.{first} is {name!r}, the key of {second}; choose another, or give {second} one")
        own.pop(first)
        own.pop(second, None)
    return problems


def _clashes(own: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    """A key, and two actions that have it, the first of which the user gave it to."""
    taken: dict[tuple[str, str], str] = {}
    for action in sorted(ACTIONS, key=lambda action: action.id in own):
        for key in own.get(action.id, action.keys):
            other = taken.setdefault((action.pane, key), action.id)
            if other != action.id and action.id in own:
                yield key, action.id, other


def table(keymap: Keymap) -> list[tuple[str, str, str, str]]:
    """Every action: its group, its keys, its id and what it does, in the registry's order."""
    return [(action.group, " ".join(keymap.names(action)), action.id, action.help) for action in ACTIONS]


def markdown() -> str:
    """The page about the keys, from the registry."""
    lines = [
        "# Keys",
        "",
        "Written by `sweeptui keys --markdown > docs/keys.md`; `sweeptui keys` prints the keys that hold for you.",
        "",
        "An action can be given other keys by its id, in `config.toml` in your configuration folder (on Linux",
        "`~/.config/sweeptui/config.toml`; `sweeptui keys` prints the path):",
        "",
        "    [keys]",
        '    kill = "K"',
        '    pane = ["tab", "ctrl+w"]',
        "",
        "A key that is given twice, an unknown action and an unknown key are refused, with a sentence in the cockpit",
        "and at `sweeptui doctor`.",
    ]
    rows = table(Keymap())
    for group in dict.fromkeys(row[0] for row in rows):
        lines += ["", f"## {group}", "", "| Key | Id | What it does |", "| --- | --- | --- |"]
        for _, keys, id_, what in (row for row in rows if row[0] == group):
            shown_keys = " ".join(f"`{key}`" for key in keys.split()).replace("|", "\\|")
            lines.append(f"| {shown_keys} | `{id_}` | {what} |")
    return "\n".join(lines) + "\n"
