"""Values as arguments of a command, and back. Standard library only: training scripts use it on other machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PYTHON_WORDS = {"True": True, "False": False, "None": None}


def format_value(value: Any) -> str:
    """A value as an argument, so that JSON, YAML and Hydra read the same value back. Strings are left as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        return repr(value)
    if isinstance(value, Path):
        return str(value)
    return json.dumps(value)


def parse_value(text: str) -> Any:
    """A value of a `name=value` argument: JSON, or True, False and None as Python writes them, or else the text."""
    if text in _PYTHON_WORDS:
        return _PYTHON_WORDS[text]
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(word: str) -> None:
    raise ValueError(word)
