"""`path=value` settings of a command line, and how one is applied to a nested configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError, hint, problem
from sweeptui.core.values import parse_value

if TYPE_CHECKING:
    from collections.abc import Iterable


def split_settings(items: Iterable[str]) -> dict[str, str]:
    """`["a.b=1", ...]` as a dictionary. Raises `UserError` for an item without a name and a `=`."""
    settings = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise UserError(f"{item!r} is not a setting; write name=value")
        settings[name] = text
    return settings


def parse_settings(items: Iterable[str]) -> dict[str, Any]:
    """The same with the values read as JSON where they are JSON."""
    return {name: parse_value(text) for name, text in split_settings(items).items()}


def apply_setting(target: Any, path: str, value: Any) -> None:
    """Set what the dot path names inside nested objects, pydantic models and dictionaries.

    Only what exists can be set, and a pydantic field validates its value. Raises `UserError` for an unknown part of
    the path, with the nearest name that exists, and for a value that a field does not take.
    """
    *parents, last = path.split(".")
    owner = target
    for depth, part in enumerate(parents):
        owner = _child(owner, part, path, ".".join(parents[:depth]))
    _child(owner, last, path, ".".join(parents))
    if isinstance(owner, dict):
        owner[last] = value
        return
    validator = getattr(type(owner), "__pydantic_validator__", None)
    try:
        if validator is not None:
            validator.validate_assignment(owner, last, value)
        else:
            setattr(owner, last, value)
    except (ValueError, TypeError, AttributeError) as error:
        found = error.errors() if hasattr(error, "errors") else None  # pydantic's; not imported to be recognized
        raise UserError(f"{path} {problem(found[0])}" if found else f"{path}={value!r}: {error}") from None


def _child(owner: Any, name: str, path: str, owner_path: str) -> Any:
    names = _names(owner)
    if name in names:
        return owner[name] if isinstance(owner, dict) else getattr(owner, name)
    where = owner_path or type(owner).__name__
    choice = hint(name, names) if names else "it has none"
    raise UserError(f"{path}: {where} has no field {name!r}; {choice}")


def _names(owner: Any) -> list[str]:
    if isinstance(owner, dict):
        return [str(name) for name in owner]
    fields = getattr(type(owner), "model_fields", None)
    if fields is not None:
        return list(fields)
    if owner is None or isinstance(owner, (str, int, float, list)):
        return []
    return [name for name in dir(owner) if not name.startswith("_") and not callable(getattr(owner, name))]
