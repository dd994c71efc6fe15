"""Where in a recipe's own file a part of its configuration stands, once all of it is known."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

from sweeptui.recipes.load import line_of, load_yaml
from sweeptui.recipes.wandb_sweep import is_wandb_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Place = tuple[int | str, ...]


def value_at(tree: Any, place: Place) -> Any:
    """What stands there, or the nearest above it that is not there in parts: a command written as one text."""
    for part in place:
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return tree
    return tree


def line_in_yaml(file: Path, place: Place) -> int | None:
    """The line of a YAML recipe; None where what stands there was made of something else."""
    value, nodes = load_yaml(file)
    if is_wandb_sweep(value):
        return None
    given: Mapping[str, Any] = value
    if place[0] not in given and isinstance(given.get("sweep"), dict):
        place = ("sweep", *place)
    return line_of(nodes, place)


def line_in_python(file: Path, function: Callable[..., Any], text: Any) -> int:
    """The one line of a Python recipe with a text; where there is none, or several, that of what its function makes."""
    nodes = list(ast.walk(ast.parse(file.read_bytes())))
    strings = [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for lines in (
        {node.lineno for node in strings if node.value == text},
        {node.lineno for node in strings if text in str(node.value).split()},
    ):
        if len(lines) == 1:
            return lines.pop()
    first = inspect.unwrap(function).__code__.co_firstlineno
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.lineno >= first]
    made = [call.lineno for call in calls if ast.unparse(call.func).rpartition(".")[2] == "SweepTool"]
    return min(made, default=first)
