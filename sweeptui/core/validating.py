"""Replicates: what is made to see how good the best configurations really are, and the default beside them.

The best of N noisy trials flatters itself: it is the best partly because it was lucky. So each configuration is trained
again, with seeds that none was chosen by, and all with the same ones. A replicate is a trial like any other to the
engine (journalled, adopted, shown), but no optimizer and no scheduler knows of it: see `Trial.is_replicate`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.errors import UserError
from sweeptui.core.objectives import objectives_of, value_of
from sweeptui.core.optimizers.seeding import stream_seed
from sweeptui.core.trial import VALIDATION, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Params, Trial

DEFAULT = "default"
"""What the centre of the search space is called: where a user who does not search would be."""
ENVIRONMENT = "SWEEPTUI_SEED"
"""The environment variable that each training has its seed in."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration that is trained again."""

    name: str
    """`trial_0003`, or `DEFAULT`."""
    params: Params
    score: float | None = None
    """What the sweep found it with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a `validate` command asks for. Raises `UserError` for arguments that make no sense."""

    top_k: int
    seeds: int
    which: int = 0
    """The objective that it goes by."""
    seed_parameter: str = ""
    """The parameter that each replicate's seed is written to, where the command line has no `{seed}`."""

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Asked:
        numbers = {name: args.get(name, default) for name, default in (("top_k", 3), ("seeds", 10), ("which", 0))}
        for name, value in numbers.items():
            least = {"top_k": 1, "seeds": 2, "which": 0}[name]
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f"{name} is {value!r}; it must be a whole number of at least {least}")
        return cls(**numbers, seed_parameter=str(args.get("seed_parameter") or ""))


def check_seed(tool: SweepTool, asked: Asked) -> None:
    """Raise `UserError` where nothing could be trained, or would be the same training again, with the same seed."""
    if tool.train_command is None and tool.recipe_module is None:
        raise UserError(
            "this sweep has no training command (it was imported), so nothing of it can be trained again; a recipe "
            "that learns from it can be validated: sweeptui RECIPE --warm-start SWEEP"
        )
    if asked.seed_parameter:
        return
    words = " ".join(tool.train_command or ())
    if "{seed}" not in words:
        raise UserError(
            f"the training command has no {{seed}}, so all replicates might be one training again and again; write "
            f"{{seed}} into train_command, name the parameter that is the seed (--seed-parameter trainer.seed), or say "
            f"--seed-parameter {ENVIRONMENT} where the script reads that environment variable or is never seeded"
        )


def candidates(state: SweepState, tool: SweepTool, asked: Asked) -> list[Candidate]:
    """The default, and the best `top_k` configurations that are not it, best first. Raises `UserError` for none."""
    objectives = objectives_of(state.config)
    if asked.which >= len(objectives):
        raise UserError(f"the sweep has {len(objectives)} metrics, so there is none of number {asked.which}")
    goal = objectives[asked.which].goal
    order = ranked(state.trials.values(), goal, lambda trial: value_of(trial, objectives, asked.which))
    found = [Candidate(DEFAULT, tool.space.center())]
    known = {signature(found[0].params, asked.seed_parameter): 0}
    for each in order:
        key = signature(each.trial.params, asked.seed_parameter)
        if key in known:
            if known[key] == 0 and found[0].score is None:
                found[0] = Candidate(DEFAULT, found[0].params, each.score)
            continue
        if len(found) > asked.top_k:
            break
        known[key] = len(found)
        found.append(Candidate(each.trial.id, each.trial.params, each.score))
    if len(found) == 1:
        raise UserError("no trial but the default has a score yet, so there is nothing to validate")
    return found


def replicate_seed(seed: int, index: int) -> int:
    """Of the sweep's replicates number `index`, from 1: the same for all configurations, and no search trial's."""
    return stream_seed(seed, VALIDATION, index) % 2**31


def signature(params: Params, seed_parameter: str = "") -> str:
    """Equal for two configurations exactly when they differ in nothing but the seed."""
    return json.dumps({name: value for name, value in params.items() if name != seed_parameter}, sort_keys=True)


def replicates(state: SweepState, tool: SweepTool, asked: Asked) -> dict[tuple[str, int], Trial]:
    """Those that there are, by configuration (its signature) and number of the seed. A killed one was given up."""
    index_of = {replicate_seed(tool.seed, index): index for index in range(1, asked.seeds + 1)}
    found: dict[tuple[str, int], Trial] = {}
    for number in sorted(state.replicates):
        trial = state.trials[number]
        if trial.status is not TrialStatus.KILLED and (index := index_of.get(trial.seed)) is not None:
            found[signature(trial.params, asked.seed_parameter), index] = trial
    return found


@dataclass(frozen=True, slots=True)
class Replicate:
    """One that is still to be made."""

    params: dict[str, Any]
    seed: int
    provenance: dict[str, Any]


def missing(state: SweepState, tool: SweepTool, asked: Asked) -> list[Replicate]:
    """What is to be made, seed by seed: where it is ended early, all configurations were trained as often.

    Asked again, as after a crash, it is what is not there yet. Raises `UserError`.
    """
    check_seed(tool, asked)
    chosen = candidates(state, tool, asked)
    there = replicates(state, tool, asked)
    wanted = []
    for index in range(1, asked.seeds + 1):
        seed = replicate_seed(tool.seed, index)
        for each in chosen:
            if (signature(each.params, asked.seed_parameter), index) in there:
                continue
            params = dict(each.params)
            if asked.seed_parameter not in ("", ENVIRONMENT):
                params[asked.seed_parameter] = seed
            provenance = {"method": VALIDATION, "of": each.name, "repeat": f"{index} of {asked.seeds}"}
            wanted.append(Replicate(params, seed, provenance))
    return wanted
