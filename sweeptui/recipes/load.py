"""Brings in what a user wrote, functions and YAML, and tells what is wrong with it by file and line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import ValidationError

from sweeptui.core.errors import UserError, explain
from sweeptui.core.values import parse_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType


@contextlib.contextmanager
def project_on_path(*folders: Path) -> Iterator[None]:
    """Let the user's own modules be imported, as they would be by a script in these folders.

    Only for as long as it is needed: a `types.py` of theirs must not get in the way of what is imported later.
    """
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def told_by_line(file: Path, what: str) -> Iterator[None]:
    """Turn whatever the user's code raises into one sentence with the line in their file."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        line = _line_in(file, error)
        where = f"{short(file)}, line {line}" if line else short(file)
        if isinstance(error, ValidationError):
            raise UserError(f"{where}: {explain(error)}") from None
        if isinstance(error, SyntaxError):
            raise UserError(f"{where}: {what} is not valid Python: {error.msg}") from None
        reason = " ".join(str(error).split())
        raise UserError(f"{where}: {what} failed with {type(error).__name__}{reason and f': {reason}'}") from None


def _line_in(file: Path, error: BaseException) -> int | None:
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return lines[-1] if lines else None


def short(file: Path) -> str:
    """A file as a message names it."""
    with contextlib.suppress(ValueError):
        return str(file.relative_to(Path.cwd()))
    return str(file)


def load_file(file: Path) -> ModuleType:
    """Run a Python file as a module. Raises `UserError` with its line number."""
    if not file.is_file():
        raise UserError(f"there is no file {file}")
    # A name of its own, found again by pickle and dataclasses, that shadows no module.
    name = f"sweeptui_recipe_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with told_by_line(file, "the recipe file"):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    return module


def load_module(name: str, cwd: Path) -> ModuleType:
    """Import a module by its dotted name. Raises `UserError` where there is none, or with its line number."""
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        raise UserError(f"the package of {name} cannot be imported: {type(error).__name__}: {error}") from None
    if found is None:
        raise UserError(f"there is no module {name}, neither in {cwd} nor installed")
    with told_by_line(Path(found.origin or name), f"module {name}"):
        return importlib.import_module(name)


def source_of(function: Callable[..., Any]) -> Path:
    """The file that a function was written in."""
    return Path(inspect.unwrap(function).__code__.co_filename)


def bind(function: Callable[..., Any], given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The part of `given` that the function takes, with texts read as values where it does not want a text.

    Raises `UserError` for a parameter that it needs and was not given.
    """
    parameters = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    bound: dict[str, Any] = {}
    for name, value in given.items():
        parameter = parameters.get(name)
        if parameter is None or parameter.kind is parameter.VAR_KEYWORD:
            if open_ended:
                bound[name] = parse_value(value) if isinstance(value, str) else value
        elif isinstance(value, str) and not _wants_text(parameter):
            bound[name] = parse_value(value)
        else:
            bound[name] = value
    for name, parameter in parameters.items():
        if (
            parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            and name not in bound
        ):
            raise UserError(f"{what} needs the argument {name}, and none was given")
    return bound


def _wants_text(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        return re.search(r"\bstr\b", annotation) is not None
    if annotation is parameter.empty:
        return isinstance(parameter.default, str)
    return annotation is str or str in get_args(annotation)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of plain values: `1e-5` is a number, `off`, `12:30` and `2024-01-01` are texts."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "float",
        r"(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
    ("merge", r"<<$", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def load_yaml(file: Path, loader: type[yaml.SafeLoader] = _Loader) -> tuple[Any, yaml.Node | None]:
    """A YAML file's value, and its nodes, which know their lines. Raises `UserError` with the line."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no file {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None
    try:
        return yaml.load(text, loader), yaml.compose(text, loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "cannot be read"
        raise UserError(f"{short(file)}{where}: not valid YAML: {reason}") from None


def line_of(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """The line on which the value at `path` stands, or the nearest above it that exists."""
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            if pair is None:
                continue  # pydantic also names the kind of a union's member
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
