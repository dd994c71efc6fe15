"""Outputs of stages that are taken again where neither the input nor the code has changed."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from sweeptui.core.errors import UserError, shown
from sweeptui.core.experiments.contracts import Context
from sweeptui.core.experiments.reading import reads

if TYPE_CHECKING:
    from sweeptui.core.experiments.pipeline import Stage


def place(folder: Path, stage: Stage, context: Context) -> Path:
    """The file for the output of `stage` on this input. Raises `UserError` where the input has no fixed form."""
    needs = reads(stage.call, frozenset(context))
    names = set(context) if needs.whole is not None and not needs.attributes else set(needs.required()) & set(context)
    names |= set(needs.by_name) & set(context)
    try:
        seen = {name: to_jsonable_python(context[name]) for name in sorted(names)}
    except PydanticSerializationError:
        odd = next(name for name in sorted(names) if not _storable(context[name]))
        raise UserError(
            f"stage {stage.name!r} is cached, but its input {odd!r} is {shown(context[odd], 60)}, which has no fixed "
            f"form; make it a dataclass or a pydantic model, or take cache= away"
        ) from None
    version = stage.hooks.cache if isinstance(stage.hooks.cache, str) else ""
    key = json.dumps([stage.name, version, code_version(stage.call), seen], sort_keys=True)
    return folder / "cache" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def load(path: Path) -> dict[str, Any] | None:
    """A kept output; None where there is none, or only a broken one."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def save(path: Path, outputs: dict[str, Any]) -> None:
    """Keep an output: whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(outputs))
    temporary.replace(path)


def copied(context: Context) -> Context:
    """The same fields as new objects, as far as they can be copied."""
    fields = {}
    for name, value in context.items():
        try:
            fields[name] = copy.deepcopy(value)
        except Exception:  # noqa: BLE001 - a lock, a socket: there is only one of it
            fields[name] = value
    return Context(fields)


def code_version(call: Callable[..., Any]) -> str:
    """A digest of a function's code: the same for the same source, whatever its comments and its place."""
    call = inspect.unwrap(call)
    code = getattr(call, "__code__", None)
    if not isinstance(code, CodeType):
        return f"{getattr(call, '__module__', '')}.{getattr(call, '__qualname__', repr(type(call)))}"
    digest = hashlib.sha256()
    _add(code, digest.update)
    for value in (*(getattr(call, "__defaults__", None) or ()), *_closed_over(call)):
        digest.update(repr(value).encode() if isinstance(value, str | int | float | bool | None) else b"?")
    return digest.hexdigest()


def _add(code: CodeType, update: Callable[[bytes], Any]) -> None:
    update(code.co_code)
    update(repr(code.co_names).encode())
    for const in code.co_consts:
        if isinstance(const, CodeType):
            _add(const, update)
        else:
            update(repr(sorted(const, key=repr) if isinstance(const, frozenset) else const).encode())


def _closed_over(call: Callable[..., Any]) -> list[Any]:
    cells = getattr(call, "__closure__", None) or ()
    return [cell.cell_contents for cell in cells]


def _storable(value: Any) -> bool:
    try:
        to_jsonable_python(value)
    except PydanticSerializationError:
        return False
    return True
