"""What a user did wrong, in one sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError

MISTAKE = "mistake"
"""The type of those pydantic errors whose message already goes on after the field's name: "is 3; ..."."""

MAX_CHOICES = 12
_KEY = "[key]"
"""What pydantic adds to the place of a mapping's key."""
_MUST_BE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of its fields",
    "callable_type": "a function",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


class UserError(Exception):
    """A mistake of the user: the message is one sentence naming the field, the value and the fix."""


class FieldError(UserError):
    """A value that a field cannot have. `problem` goes on after the field's name: "is 3; it must be ..."."""

    def __init__(self, path: str | tuple[str, ...], problem: str) -> None:
        self.path = (path,) if isinstance(path, str) else path
        self.problem = problem
        super().__init__(f"{'.'.join(self.path)} {problem}")


class PlacedError(UserError):
    """A mistake in a recipe, and where in its fields: ("stages", 1, "command", 2)."""

    def __init__(self, place: tuple[int | str, ...], message: str) -> None:
        self.place = place
        super().__init__(message)


def hint(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` where something known is near, else what there is to choose from."""
    import difflib  # noqa: PLC0415 - only a mistake pays for it

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if len(names) > MAX_CHOICES:
        return f"there are {', '.join(names[:MAX_CHOICES])} and {len(names) - MAX_CHOICES} more"
    return f"choose one of {', '.join(names)}" if names else "there is nothing to choose from"


def shown(value: Any, limit: int = 120) -> str:
    """A value as a message shows it, shortened where it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def explain(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, in one sentence, and how many more there are."""
    first, *others = error.errors(include_url=False)
    path = ".".join(str(part) for part in first["loc"] if part != _KEY)
    more = f" (and {len(others)} more)" if others else ""
    return f"{path or error.title} {problem(first)}{more}"


def problem(details: Mapping[str, Any]) -> str:
    """What is wrong with a field, to go on after its name; `details` is an element of `ValidationError.errors()`."""
    kind, value, context = details["type"], details.get("input"), details.get("ctx", {})
    if kind == MISTAKE:
        return str(details["msg"])
    if kind == "missing":
        return "is missing; give it a value"
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"is {shown(value)}; {hint(value if isinstance(value, str) else '', choices)}"
    if kind in _MUST_BE:
        quoted = kind in ("int_type", "float_type", "bool_type") and isinstance(value, str)
        if kind == "string_type" and isinstance(value, int | float):
            return f"is {shown(value)}; it must be text: put it in quotes"
        return f"is {shown(value)}; it must be {_MUST_BE[kind]}{', not text in quotes' if quoted else ''}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"is {shown(value)}; it must be {words} {context[name]:g}"
    if kind == "string_too_short":
        return "is empty; give it a value"
    return f"is {shown(value)}; {details['msg']}"
