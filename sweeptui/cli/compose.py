"""From a recipe and the words of a command line to the configuration of a sweep."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.cli import COMMANDS
from sweeptui.core.config import SweepTool
from sweeptui.core.errors import PlacedError, UserError
from sweeptui.core.flowcheck import check_flow
from sweeptui.core.values import parse_value
from sweeptui.recipes.find import find_recipe, list_recipes
from sweeptui.recipes.settings import parse_settings, split_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sweeptui.recipes.find import RecipeRef

ALIASES = {"max_trials": "num_trials"}
"""What a recipe may call the argument for a field, besides the field's own name."""


def compose(
    recipe: str,
    args: Iterable[str],
    fields: Mapping[str, Any],
    settings: Iterable[str],
    overrides: Mapping[str, Iterable[str]],
) -> SweepTool:
    """Build a recipe's configuration with what the user gave. Raises `UserError`.

    `args`: `name=value` words for the recipe's function, or for the configuration where the function does not take
    them. `fields`: values of named options, by path in the configuration; they too go to the function where it takes
    them, so that a recipe can derive other things from them. `settings`: `path=value` words for the configuration.
    `overrides`: `path=value` words for `train_overrides` and `eval_overrides`, which take any path.
    """
    ref = resolve(recipe)
    given: dict[str, Any] = {**split_settings(args), **fields}
    taken = {name: given[field] for field in given for name in (field, ALIASES.get(field)) if name in ref.parameters}
    if ref.is_experiment:
        raise UserError(f"{recipe} is an experiment, not a sweep; run it with: sweeptui {recipe}")
    built = ref.build(taken)
    tree = built.to_json()
    for field, value in given.items():
        if field not in ref.parameters and ALIASES.get(field) not in ref.parameters:
            set_path(tree, field, parse_value(value) if field not in fields else value)
    for mapping, words in overrides.items():
        tree[mapping] = {**tree.get(mapping, {}), **parse_settings(words)}
    tool = SweepTool.from_json(tree).with_overrides(list(settings))
    try:
        check_flow(tool)
    except PlacedError as error:
        raise ref.blamed(error, built, tool) from None
    return tool


def set_path(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set what a dot path names. Keys may hold dots themselves: the longest that fits is followed.

    What is None is a group that was not given yet.
    """
    for key in sorted(tree, key=len, reverse=True):
        if path.startswith(f"{key}.") and (tree[key] is None or isinstance(tree[key], dict)):
            tree[key] = tree[key] or {}
            set_path(tree[key], path.removeprefix(f"{key}."), value)
            return
    tree[path] = value


def resolve(recipe: str) -> RecipeRef:
    """Find the recipe that a word of the command line names. Raises `UserError`."""
    try:
        return find_recipe(recipe, Path.cwd())
    except UserError:
        names = [known.name for known in list_recipes()]
        if recipe in names or not recipe.replace("-", "_").isidentifier():
            raise
        near = difflib.get_close_matches(recipe, [*names, *COMMANDS], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the recipes are {', '.join(names)}"
        raise UserError(
            f"{recipe!r} is neither a recipe nor a command; {hint} (your own: file.py:function or file.yaml)"
        ) from None
