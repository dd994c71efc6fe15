"""What a trial is said to do in its stages, told from a stored configuration.

Who only looks at a sweep asks here: pydantic, which the stages' own models need, is not for the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeptui.core.trial import BUILT_IN_STAGES, Job, JobOutcome, Stage, Trial, TrialStatus

PREPARING = "preparing"
OF_ONE = {"simulation": "name", "simulation_env": "env", "simulation_episodes": "episodes", "simulation_json": ""}
"""Fields of the simulation that a job evaluates, or all of them, where each simulation has a job of its own."""
EACH = tuple(f"{{{name}}}" for name in OF_ONE)
"""An eval_command with one of these is run for each simulation."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What trials are said to do, where there is more than a training and an evaluation."""

    words: Mapping[Stage, str] = field(default_factory=dict)
    """In each of the stages that a recipe adds."""
    due: Mapping[int, Stage] = field(default_factory=dict)
    """The next stage of each trial that is between two of those after its training."""

    def of(self, trial: Trial, job: Job | None) -> str:
        """What a trial does, `job` being its unfinished one; empty where its status says it."""
        if job is not None:
            return self.words.get(job.stage, "")
        due = self.due.get(trial.number)
        return self.words.get(due, "") if due is not None else ""


def doing(config: Mapping[str, Any], trials: Iterable[Trial], jobs: Callable[[int], Sequence[Job]]) -> Doing:
    """What `trials` do by a stored configuration; `jobs` gives all jobs of one of them, oldest first."""
    late = _late(config)
    found: dict[int, Stage] = {}
    for trial in trials:
        if len(late) > 1 and trial.status is TrialStatus.TRAINED and trial.eval_attempt:
            due = _due(late, jobs(trial.number), trial.requeued_after_job)
            if due is not None:
                found[trial.number] = due
    return Doing(words_of(config), found)


def words_of(config: Mapping[str, Any]) -> dict[Stage, str]:
    """What a trial is said to do in the stages that a stored configuration adds to training and evaluation:
    "preparing", "evaluating 2/3", or just the stage's name.
    """
    words: dict[Stage, str] = {}
    names = [str(each.get("name")) for each in config.get("stages") or ()]
    for at, name in enumerate(names):
        if name not in BUILT_IN_STAGES:
            words[Stage(name)] = PREPARING if Stage.TRAIN in names[at:] else name
    simulations = _simulations(config)
    for at, stage in enumerate(simulations, 1):
        words[stage] = f"evaluating {at}/{len(simulations)}"
    return words


def _simulations(config: Mapping[str, Any]) -> list[Stage]:
    """Where each simulation has a job of its own, their stages."""
    simulations = config.get("evaluation_simulations") or ()
    if not runs_each([each.get("command") for each in simulations], config.get("eval_command")):
        return []
    return [Stage.of_simulation(each["name"]) for each in simulations]


def _late(config: Mapping[str, Any]) -> list[tuple[Stage, bool]]:
    """The stages after the training, in order, and whether a trial goes on where they fail."""
    given = list(config.get("stages") or ({"name": Stage.TRAIN}, {"name": Stage.EVAL}))
    after = next((at for at, each in enumerate(given, 1) if each.get("name") == Stage.TRAIN), 0)
    evaluations = _simulations(config) or [Stage.EVAL]
    found: list[tuple[Stage, bool]] = []
    for each in given[after:]:
        stages = evaluations if each.get("name") == Stage.EVAL else [Stage(str(each.get("name")))]
        found += [(stage, bool(each.get("may_fail"))) for stage in stages]
    return found


def _due(late: Sequence[tuple[Stage, bool]], jobs: Sequence[Job], since: int) -> Stage | None:
    """The first of the stages after the training that is not behind the trial; None where it is the first of all."""
    since = max([since, *(job.id for job in jobs if job.stage is Stage.TRAIN)])
    newest = {job.stage: job.outcome for job in jobs if job.id > since}
    for at, (stage, may_fail) in enumerate(late):
        outcome = newest.get(stage)
        failed = outcome is not None and outcome.failure is not None
        if outcome is not JobOutcome.COMPLETED and not (may_fail and failed):
            return stage if at else None
    return None


def runs_each(commands: Sequence[object], eval_command: Sequence[str] | None) -> bool:
    """Whether simulations with these commands have a job each, and not one evaluation for all of them."""
    by_name = any(word in item for item in eval_command or () for word in EACH)
    return any(command or by_name for command in commands)
