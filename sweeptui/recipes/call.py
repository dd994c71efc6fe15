"""Runs one training or evaluation function of a recipe module, as a process of its own.

    python -m sweeptui.recipes.call MODULE.FUNCTION --args name=value ... --overrides path=value ...

The function is called with those arguments that it takes. If it returns a tool (something with `invoke`), the
overrides are applied to the tool, which is then invoked with the other arguments. A function that does its work
itself may take the overrides as a dictionary, in a parameter named `overrides`.

    python -m sweeptui.recipes.call --factory RECIPE --run NAME --args ... --overrides ...

makes the tool with the `train_tool_factory` of the `SweepTool` that the recipe returns.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sweeptui.reporting
from sweeptui.core.errors import UserError
from sweeptui.core.values import parse_value
from sweeptui.recipes.find import find_function, find_recipe
from sweeptui.recipes.load import bind
from sweeptui.recipes.settings import apply_setting, parse_settings, split_settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def call(target: str, args: Mapping[str, str], overrides: Mapping[str, Any]) -> int:
    """Call a function by name and invoke the tool it returns, if it returns one; the exit code."""
    function = find_function(target, Path.cwd())
    bound = bind(function, {**args, "overrides": dict(overrides)}, target)
    left = {name: parse_value(text) for name, text in args.items() if name not in bound}
    result = function(**bound)
    if hasattr(result, "invoke"):
        return invoke(result, left, {} if "overrides" in bound else overrides)
    # It has done its work already; what it was not told of must not pass in silence.
    if left:
        raise UserError(f"{target} takes no argument {next(iter(left))}")
    if overrides and "overrides" not in bound:
        raise UserError(f"{target} returned {_kind(result)}, not a tool, so there is nothing to apply overrides to")
    return _exit_code(result, target)


def call_factory(recipe: str, run: str, args: Mapping[str, str], overrides: Mapping[str, Any]) -> int:
    """Make a tool with the factory of a recipe's sweep, invoke it, and evaluate it on the sweep's simulations."""
    sweep = find_recipe(recipe, Path.cwd()).build(args)
    if sweep.train_tool_factory is None:
        raise UserError(f"{recipe}: its SweepTool has no train_tool_factory")
    tool = sweep.train_tool_factory(run)
    if not hasattr(tool, "invoke"):
        raise UserError(f"{recipe}: train_tool_factory returned {_kind(tool)}, not a tool with invoke()")
    code = invoke(tool, {"run": run}, overrides)
    if code == 0 and sweep.evaluation_simulations:
        if not hasattr(tool, "evaluate"):
            raise UserError(f"{recipe}: {type(tool).__name__} has no evaluate() for the sweep's evaluation_simulations")
        simulations = [simulation.model_dump(mode="json") for simulation in sweep.evaluation_simulations]
        sweeptui.reporting.report(**tool.evaluate(simulations))
    return code


def invoke(tool: Any, args: dict[str, Any], overrides: Mapping[str, Any]) -> int:
    """Apply overrides to a tool and invoke it."""
    override = getattr(tool, "override", None)
    for path, value in overrides.items():
        if override is not None:
            override(path, value)
        else:
            apply_setting(tool, path, value)
    takes_args = bool(inspect.signature(tool.invoke).parameters)
    return _exit_code(tool.invoke(args) if takes_args else tool.invoke(), type(tool).__name__)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _exit_code(result: Any, what: str) -> int:
    if result is None or result is True:
        return 0
    if isinstance(result, int):
        return int(result) if result is not False else 1
    raise UserError(f"{what} returned {_kind(result)}; return a tool, an exit code or nothing")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeptui.recipes.call")
    parser.add_argument("target", nargs="?", help="MODULE.FUNCTION, MODULE:FUNCTION or FILE.py:FUNCTION")
    parser.add_argument("--factory", metavar="RECIPE", help="use the train_tool_factory of this recipe's SweepTool")
    parser.add_argument("--run", default="", help="the run name for the factory")
    parser.add_argument("--args", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--overrides", nargs="*", default=[], metavar="PATH=VALUE")
    options = parser.parse_args(argv)
    if (options.target is None) == (options.factory is None):
        parser.error("give either a function or --factory RECIPE")
    try:
        args, overrides = split_settings(options.args), parse_settings(options.overrides)
        if options.factory:
            return call_factory(options.factory, options.run, args, overrides)
        return call(options.target, args, overrides)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
