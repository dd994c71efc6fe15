"""What a trial is said to do in its stages, told from a stored configuration.

Who only looks at a sweep asks here: pydantic, which the stages' own models need, is not for the first frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeptui.core.trial import BUILT_IN_STAGES, Stage

PREPARING = "preparing"
OF_ONE = {"simulation": "name", "simulation_env": "env", "simulation_episodes": "episodes", "simulation_json": ""}
"""Fields of the simulation that a job evaluates, or all of them, where each simulation has a job of its own."""
EACH = tuple(f"{{{name}}}" for name in OF_ONE)
"""An eval_command with one of these is run for each simulation."""


def words_of(config: Mapping[str, Any]) -> dict[Stage, str]:
    """What a trial is said to do in the stages that a stored configuration adds to training and evaluation:
    "preparing", "evaluating 2/3", or just the stage's name.
    """
    words: dict[Stage, str] = {}
    names = [str(each.get("name")) for each in config.get("stages") or ()]
    for at, name in enumerate(names):
        if name not in BUILT_IN_STAGES:
            words[Stage(name)] = PREPARING if Stage.TRAIN in names[at:] else name
    simulations = config.get("evaluation_simulations") or ()
    if runs_each([each.get("command") for each in simulations], config.get("eval_command")):
        for at, each in enumerate(simulations, 1):
            words[Stage.of_simulation(each["name"])] = f"evaluating {at}/{len(simulations)}"
    return words


def runs_each(commands: Sequence[object], eval_command: Sequence[str] | None) -> bool:
    """Whether simulations with these commands have a job each, and not one evaluation for all of them."""
    by_name = any(word in item for item in eval_command or () for word in EACH)
    return any(command or by_name for command in commands)
