"""How a recipe is found: by name, by `module:function`, by `file.py:function`, or as a YAML file."""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from sweeptui.core.config import SweepTool
from sweeptui.core.errors import PlacedError, UserError, explain, hint
from sweeptui.core.flowcheck import check_contracts
from sweeptui.core.template import literal
from sweeptui.core.values import format_value
from sweeptui.recipes.load import (
    bind,
    line_of,
    load_file,
    load_module,
    load_yaml,
    project_on_path,
    short,
    source_of,
    told_by_line,
)
from sweeptui.recipes.locate import line_in_python, line_in_yaml, value_at
from sweeptui.recipes.wandb_sweep import is_wandb_sweep, notes_on, read_wandb_sweep

GROUP = "sweeptui.recipes"
"""Entry points of this group, in any installed package, are recipes by name."""

OWN = "sweeptui"
OWN_RECIPES = {
    "ppo": "sweeptui.recipes.ppo:ppo",
    "quick_test": "sweeptui.recipes.quick_test:quick_test",
    "spirals": "sweeptui.recipes.spirals:spirals",
    "curriculum": "sweeptui.experiments.recipes:curriculum",
    "hybrid": "sweeptui.experiments.recipes:hybrid",
    "meta": "sweeptui.experiments.recipes:meta",
}
"""Known even where sweeptui runs without its package metadata."""

Function = Callable[..., Any]


class RecipeInfo(NamedTuple):
    """A recipe that can be run by name."""

    name: str
    origin: str
    """The distribution that brings it."""
    line: str
    """The first line of its documentation, or why it cannot be loaded."""
    target: str
    """`module:function`, which is a name of its own."""


@dataclass(frozen=True, slots=True)
class RecipeRef:
    """A recipe that was found, and can be made into a sweep."""

    name: str
    """As the user gave it; from the same folder, it finds the same recipe."""
    cwd: Path
    source: Path
    function: Function | None
    """None for a YAML file."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The arguments that `build` can pass on."""
        return tuple(inspect.signature(self.function).parameters) if self.function else ()

    def build(self, args: Mapping[str, Any]) -> SweepTool:
        """The sweep that the recipe describes, called with those of `args` that it takes.

        Raises `UserError` with the recipe's own file and line for anything that goes wrong in it.
        """
        if self.function is None:
            return _from_yaml(self.source)
        tool, bound = self._made(args)
        if not isinstance(tool, SweepTool):
            raise UserError(f"recipe {self.name} returned a {type(tool).__name__}; it must return a SweepTool")
        if tool.train_tool_factory is not None and tool.train_command is None:
            tool.train_command = self._factory_command(tool, bound)
        return tool

    @property
    def is_experiment(self) -> bool:
        """Its function says that it returns an `Experiment`, or a class whose name ends so."""
        said = self.function.__annotations__.get("return") if self.function else None
        return str(getattr(said, "__name__", said)).endswith("Experiment")

    def experiment(self, args: Mapping[str, Any]) -> Any:
        """What a recipe returns that `is_experiment`. Raises `UserError` as `build` does."""
        return self._made(args)[0]

    def _made(self, args: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        assert self.function is not None
        bound = bind(self.function, args, f"recipe {self.name}")
        with project_on_path(self.cwd, self.source.parent), told_by_line(self.source, f"recipe {self.name}"):
            return self.function(**bound), bound

    def notes(self, *, limited: bool = False) -> list[str]:
        """What a W&B sweep file asks for in vain, or leaves open; empty for all other recipes.

        `limited`: the number of trials was given elsewhere.
        """
        if self.function is not None or not is_wandb_sweep(load_yaml(self.source)[0]):
            return []
        return notes_on(self.source, limited=limited)

    def blamed(self, error: PlacedError, built: SweepTool, tool: SweepTool) -> UserError:
        """A mistake in `tool`, with the recipe's file and line where it is one of `built`, which the recipe gave.

        `tool` is what became of that by the words of a command line, which have no lines.
        """
        found = value_at(tool.to_json(), error.place)
        if found != value_at(built.to_json(), error.place):
            return error
        if self.function is None:
            line = line_in_yaml(self.source, error.place)
        else:
            key = error.place[-1]
            line = line_in_python(self.source, self.function, key if isinstance(key, str) else found)
        return error if line is None else UserError(f"{short(self.source)}, line {line}: {error}")

    def _factory_command(self, tool: SweepTool, bound: Mapping[str, Any]) -> list[str]:
        # The factory is a Python object of this process: the training process gets it by calling the recipe again.
        owner, _, function_name = self.name.partition(":")
        name = f"{self.source}:{function_name}" if tool.working_dir and owner.endswith(".py") else self.name
        command = ["{python}", "-m", "sweeptui.recipes.call", "--factory", literal(name), "--run", "{run}"]
        given = [f"{name}={format_value(value)}" for name, value in bound.items() if value is not None]
        if given:
            command += ["--args", *map(literal, given)]
        return [*command, "--overrides", "{overrides}"]


def find_recipe(name: str, cwd: Path) -> RecipeRef:
    """Find a recipe by name, `module:function`, `module.function`, `file.py:function`, `file.py` or `file.yaml`.

    Paths are relative to `cwd`, and modules are looked for there, too. Raises `UserError`.
    """
    if name.endswith((".yaml", ".yml")):
        return RecipeRef(name, cwd, (cwd / name).absolute(), None)
    file_name, _, function_name = name.partition(":")
    if file_name.endswith(".py") and not function_name:
        name = f"{file_name}:{_only_recipe(cwd / file_name, cwd)}"
    known = [recipe for recipe in _named() if recipe.name == name]
    if len(known) > 1:
        offers = " and ".join(f"{recipe.origin} ({recipe.target})" for recipe in known)
        raise UserError(f"recipe {name} is offered by {offers}; name the one you mean by what is in the parentheses")
    target = known[0].target if known else name
    if ":" in target or ("." in target and _is_dotted(target)):
        function = find_function(target, cwd)
        return RecipeRef(name, cwd, source_of(function), function)
    names = sorted({recipe.name for recipe in _named()})
    raise UserError(f"unknown recipe {name!r}; {hint(name, names)} (one of your own is file.py:function or file.yaml)")


def find_function(target: str, cwd: Path) -> Function:
    """The function at `module:function`, `module.function` or `file.py:function`. Raises `UserError`."""
    owner, _, function_name = target.partition(":") if ":" in target else target.rpartition(".")
    if owner.endswith(".py"):
        file = (cwd / owner).absolute()
        with project_on_path(cwd, file.parent):
            module = load_file(file)
    elif _is_dotted(owner):
        with project_on_path(cwd):
            module = load_module(owner, cwd)
    else:
        raise UserError(f"{target!r} names no function; write module:function or file.py:function")
    function: Any = getattr(module, function_name, None)
    if not inspect.isfunction(function):
        names = [name for name, _ in inspect.getmembers(module, inspect.isfunction)]
        choice = hint(function_name, names) if names else "it has none"
        raise UserError(f"{owner} has no function {function_name!r}; {choice}")
    return function


def list_recipes(*, sweeps_only: bool = False) -> list[RecipeInfo]:
    """The recipes that can be run by name, with the first line of their documentation; broken ones say so.

    `sweeps_only` leaves out those that are experiments.
    """
    known = [recipe for recipe in _named() if not (sweeps_only and _is_experiment(recipe))]
    return sorted(recipe._replace(line=_line(recipe)) for recipe in known)


def _is_experiment(recipe: RecipeInfo) -> bool:
    if recipe.target.startswith("sweeptui."):  # nothing need be imported to know these
        return recipe.target.startswith("sweeptui.experiments.")
    with contextlib.suppress(UserError):
        return find_recipe(recipe.name, Path.cwd()).is_experiment
    return False


def check_command(argv: Sequence[str], cwd: Path | None = None) -> None:
    """Raise `UserError` where the program of a command, or of its template, does not exist.

    A program given as a relative path is looked for in `cwd`.
    """
    program = argv[0].replace("{python}", sys.executable)
    if "{" in program:
        return  # only the trial will tell
    path = str((cwd or Path.cwd()) / program) if "/" in program else program
    if shutil.which(path) is None:
        raise UserError(f"command not found: {program}; install it, or give the path of the program")


def _named() -> list[RecipeInfo]:
    found = {RecipeInfo(name, OWN, "", target) for name, target in OWN_RECIPES.items()}
    for entry in importlib.metadata.entry_points(group=GROUP):
        found.add(RecipeInfo(entry.name, entry.dist.name if entry.dist else "unknown", "", entry.value))
    return sorted(found)


def _line(recipe: RecipeInfo) -> str:
    try:
        function = find_function(recipe.target, Path.cwd())
    except UserError as error:
        return f"cannot be loaded: {error}"
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _only_recipe(file: Path, cwd: Path) -> str:
    with project_on_path(cwd, file.absolute().parent):
        module = load_file(file.absolute())
    names = [
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and function.__annotations__.get("return") in ("SweepTool", SweepTool)
    ]
    if not names:
        raise UserError(f"{file.name} has no function that returns a SweepTool (`def my_sweep() -> SweepTool:`)")
    if len(names) > 1:
        raise UserError(f"{file.name} has several recipes; choose {' or '.join(f'{file.name}:{n}' for n in names)}")
    return names[0]


def _is_dotted(name: str) -> bool:
    return bool(name) and all(part.isidentifier() for part in name.split("."))


def _from_yaml(file: Path) -> SweepTool:
    value, nodes = load_yaml(file)
    if is_wandb_sweep(value):
        return read_wandb_sweep(file)
    if not isinstance(value, dict):
        raise UserError(f"{file.name}: a recipe is a mapping of SweepTool's fields; `sweeptui schema` prints them")
    try:
        tool = SweepTool.model_validate(value)
    except ValidationError as error:
        raise UserError(f"{short(file)}, line {line_of(nodes, error.errors()[0]['loc'])}: {explain(error)}") from None
    try:
        check_contracts(tool)
    except PlacedError as error:
        raise UserError(f"{short(file)}, line {line_of(nodes, error.place)}: {error}") from None
    return tool
