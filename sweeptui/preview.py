"""What a sweep would do and cost, without running anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweeptui.core.config import SweepTool
from sweeptui.core.dispatch import JobSpec
from sweeptui.core.files import Files
from sweeptui.core.jobspec import argv_of
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
    for stage in (Stage.TRAIN, Stage.EVAL) if tool.has_eval else (Stage.TRAIN,):
        if stage is Stage.EVAL and "{checkpoint}" in " ".join(tool.eval_command or ()):
            # Only the training knows: what stands there is the place where it will be.
            trial = Trial(
                number=1,
                params=params,
                seed=trial.seed,
                created_at=0.0,
                checkpoint=f"{files.checkpoints(1)}/CHECKPOINT",
            )
        job = Job(id=0, trial=1, stage=stage, attempt=1, created_at=0.0)
        found.append((stage, argv_of(tool, name, files, trial, job)))
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
    stages = [stage for stage in tool.stages if route_of(tool, stage, {}) == SKYPILOT]
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
    limit_s = tool.train_timeout_s if stage is Stage.TRAIN else tool.eval_timeout_s
    if limit_s is None:
        return f"{told}; {stage}_timeout_s would say what the sweep can cost"
    return f"{told}, ${price * tool.max_trials * limit_s / 3600:.2f} at most for {tool.max_trials} trials"
