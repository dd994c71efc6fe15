"""`path=value` settings on a whole sweep: which field a dot path means, and what type its value has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from sweeptui.core.errors import UserError, hint
from sweeptui.core.fields import Model
from sweeptui.core.values import parse_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweeptui.core.config import SweepTool

OTHER_PATHS = (
    *(("sweep.protein.", "protein_config."), ("sweep.", ""), ("protein.", "protein_config.")),
    ("scheduler.", "scheduler_options."),
)
"""Beginnings of paths that mean another one."""


def overridden(tool: SweepTool, settings: Sequence[str]) -> dict[str, Any]:
    """The JSON of `tool` with settings applied, not yet validated. Raises `UserError` for a path it does not have."""
    data = tool.to_json()
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise UserError(f"{setting!r} is no setting; write path=value, such as max_trials=20")
        _set(tool, data, path, text)
    return data


def _set(tool: SweepTool, data: Any, path: str, text: str) -> None:
    start = next((new + path.removeprefix(old) for old, new in OTHER_PATHS if path.startswith(old)), path)
    node: Any = tool
    parts = start.split(".")
    while True:
        name, parts = _step(node, parts, path)
        if not parts:
            # The environment is text, whatever it looks like.
            data[name] = text if node is tool.env else parse_value(text)
            return
        child = getattr(node, name) if isinstance(node, Model) else node[name]
        if child is None and isinstance(node, Model) and (group := _group(node, name)):
            child = group.model_construct()
            data[name] = child.model_dump(mode="json")
        node, data = child, data[name]


def _group(node: Model, name: str) -> type[Model] | None:
    """The model that a field, which is None, could hold."""
    members = get_args(type(node).model_fields[name].annotation)
    return next((each for each in members if isinstance(each, type) and issubclass(each, Model)), None)


def _step(node: Any, parts: list[str], path: str) -> tuple[Any, list[str]]:
    """What the beginning of `parts` names inside `node`, and the parts that are left."""
    first, *rest = parts
    if isinstance(node, Model):
        name = node.other_names.get(first, first)
        field = type(node).model_fields.get(name)
        if field is None or field.exclude:
            raise _unknown(path, first, type(node).field_hint(first))
        return name, rest
    if isinstance(node, list):
        if not first.isdecimal() or int(first) >= len(node):
            raise _unknown(path, first, hint(first, map(str, range(len(node)))))
        return int(first), rest
    if not isinstance(node, dict):
        raise UserError(f"{path} is not a field; what comes before {first!r} has no fields")
    whole = ".".join(parts)
    if not any(isinstance(value, Model) for value in node.values()):
        return whole, []
    inside = max((name for name in node if f"{whole}.".startswith(f"{name}.")), key=len, default=None)
    if inside is None:
        raise _unknown(path, whole, _parameter_hint(parts, node))
    return inside, parts[inside.count(".") + 1 :]


def _parameter_hint(parts: list[str], names: Iterable[str]) -> str:
    """The last part is a field of the parameter, unless the whole parameter was to be replaced."""
    return hint(".".join(parts[:-1]) or parts[0], names)


def _unknown(path: str, part: str, fix: str) -> UserError:
    where = "" if part == path else f" ({part!r} is unknown)"
    return UserError(f"{path} is not a field{where}; {fix}")
