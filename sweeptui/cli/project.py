"""The project's default sweep: `[tool.sweeptui]` in pyproject.toml, or sweeptui.toml."""

from __future__ import annotations

import difflib
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import click

ADVICE = """\
no recipe is given, and this folder has no default sweep; name a recipe, or write into sweeptui.toml:

    recipe = "ppo"
    max_trials = 10

(or the same under [tool.sweeptui] in pyproject.toml; every option of `sweeptui run` can stand there)"""


def default_words(options: Sequence[click.Parameter], folder: Path) -> list[str] | None:
    """Return the project's default sweep as words of a command line; None where it has none. Raises `UserError`."""
    for file, table in _tables(folder):
        if "recipe" not in table:
            raise UserError(f'{file} names no recipe; add a line like: recipe = "ppo"')
        words = [str(table["recipe"])]
        known = {
            word.lstrip("-").replace("-", "_"): option
            for option in options
            for word in option.opts
            if option.name != "recipe"
        }
        for key, value in table.items():
            name = key.replace("-", "_")
            if name == "recipe":
                continue
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise UserError(f"{file}: unknown option {key!r}" + (f"; did you mean {near[0]}?" if near else ""))
            words += _words(known[name].opts[0], value)
        return words
    return None


def _tables(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in (folder / "sweeptui.toml", folder / "pyproject.toml"):
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read: {error}") from None
        if file.name == "sweeptui.toml":
            yield file, table
        elif "sweeptui" in table.get("tool", {}):
            yield file, table["tool"]["sweeptui"]


def _words(option: str, value: Any) -> list[str]:
    """`max_trials = 3` -> `--max-trials 3`; a table gives one `key=value` per entry, a list one word per item."""
    match value:
        case bool():
            return [option] if value else []
        case dict():
            return [word for path, item in _flat(value) for word in (option, f"{path}={_text(item)}")]
        case list():
            return [word for item in value for word in (option, _text(item))]
    return [option, _text(value)]


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
