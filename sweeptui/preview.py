"""What a sweep would do and cost, without running anything."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from sweeptui.core.config import SweepTool
from sweeptui.core.dispatch import JobSpec
from sweeptui.core.files import Files
from sweeptui.core.flow import Flow
from sweeptui.core.jobspec import argv_of, template_of
from sweeptui.core.optimizers.seeding import stream_seed
from sweeptui.core.remote import SKYPILOT, route_of
from sweeptui.core.trial import Job, Stage, Trial
from sweeptui.dispatchers.places import estimate
from sweeptui.folders import sweep_path
from sweeptui.readiness import checked, first_suggestion, made_up_name, warm_start_of


def dry_run(recipe: str | None, tool: SweepTool, root: Path) -> list[tuple[Stage, list[str]]]:
    """The exact commands of the first trial; nothing is run and nothing written. Raises `UserError`."""
    root = root.resolve()
    tool = checked(tool, root)
    name = tool.sweep_name or made_up_name(recipe, root, tool)
    if tool.warm_start is not None:
        warm_start_of(root, tool, tool.warm_start)
    params = first_suggestion(tool).params
    trial = Trial(number=1, params=params, seed=stream_seed(tool.seed, "trial", 1) % 2**31, created_at=0.0)
    files = Files(sweep_path(root, name))
    found = []
    flow = Flow.of(tool)
    templates = [template_of(tool, step) for step in flow.steps]
    for step in flow.steps:
        job = Job(id=0, trial=1, stage=step.stage, attempt=1, created_at=0.0)
        found.append((step.stage, argv_of(tool, name, files, trial, job)))
        # Only the stages know: what stands there are the names of their fields, and the place of the checkpoint.
        trial = replace(trial, metrics={**trial.metrics, **{field: field.upper() for field in step.given.gives}})
        if step.stage is Stage.TRAIN and "{checkpoint}" in " ".join(itertools.chain(*templates)):
            trial = replace(trial, checkpoint=f"{files.checkpoints(1)}/CHECKPOINT")
    return found


@dataclass(frozen=True)
class Cost:
    """What SkyPilot's optimizer says of the jobs of one stage."""

    stage: Stage
    resources: str
    price_usd_h: float | None
    """Of one job; None where the catalogue knows no price."""
    sentence: str


def estimated_costs(tool: SweepTool, root: Path) -> list[Cost]:
    """What the machines would cost that SkyPilot would take, by stage; nothing is launched. Raises `UserError`."""
    stages = [step.stage for step in Flow.of(tool).steps if route_of(tool, step.stage, {}) == SKYPILOT]
    if not stages:
        return []
    tool = checked(tool, root.resolve())
    files = Files(root.resolve())
    costs = []
    for stage in stages:
        spec = JobSpec(
            token=f"trial_0001.{stage}.1",
            trial=1,
            stage=stage,
            argv=("true",),
            env={},
            cwd=files.folder,
            trial_dir=files.folder,
            log_path=files.folder,
            report_path=files.folder,
            cpus=tool.cpus_per_trial,
        )
        found = estimate(tool, spec)
        price = found["price_usd_h"]
        costs.append(Cost(stage, found["resources"], price, _what_it_costs(tool, stage, found["resources"], price)))
    return costs


def _what_it_costs(tool: SweepTool, stage: Stage, resources: str, price: float | None) -> str:
    if price is None:
        return f"{resources}, whose price is not known"
    at_once = min(tool.max_parallel_jobs, tool.max_trials)
    told = f"{resources}, ${price:.2f} per hour and job, ${price * at_once:.2f} per hour with {at_once} at once"
    step = Flow.of(tool).step(stage)
    limit_s = step.timeout_s
    if limit_s is None:
        return f"{told}; {step.timeout_field} would say what the sweep can cost"
    return f"{told}, ${price * tool.max_trials * limit_s / 3600:.2f} at most for {tool.max_trials} trials"
