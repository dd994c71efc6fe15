"""From a trial to what a dispatcher starts: argv, environment, files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core import tracking
from sweeptui.core.dispatch import JobSpec
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files, token
from sweeptui.core.flow import Flow, Step
from sweeptui.core.remote import SKYPILOT, route_of
from sweeptui.core.schedulers.base import Resources
from sweeptui.core.template import Context, render
from sweeptui.core.trial import Job, Stage, Trial

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool


def project_dir(tool: SweepTool) -> Path:
    """Where jobs run: `working_dir`, else where the sweep was started."""
    return Path(tool.working_dir) if tool.working_dir else Path.cwd()


def context_of(tool: SweepTool, sweep: str, files: Files, trial: Trial, job: Job) -> Context:
    flow = Flow.of(tool)
    step = flow.step(job.stage)
    remote = route_of(tool, job.stage, trial.params) == SKYPILOT
    here = files.trial_dir(trial.number)
    return Context(
        sweep=sweep,
        trial=trial.number,
        params=trial.params,
        stage=job.stage,
        attempt=job.attempt,
        seed=trial.seed,
        trial_dir=Path(tool.skypilot.trial_dir(sweep, trial.id)) if remote else here,
        report_path=files.reports(job),
        project_dir=project_dir(tool),
        metric=tool.protein_config.metric,
        searched=tuple(tool.protein_config.parameters),
        overrides=overrides_of(tool, step),
        checkpoint=tool.skypilot.seen_there(trial.checkpoint) if remote else trial.checkpoint,
        recipe_module=tool.recipe_module,
        train_entrypoint=tool.train_entrypoint,
        eval_entrypoint=tool.eval_entrypoint,
        gpus=tool.gpus_per_trial,
        simulations=[each.model_dump(mode="json", exclude=_OF_JOBS) for each in tool.evaluation_simulations],
        each=step.simulation.model_dump(mode="json", exclude=_OF_JOBS) if step.simulation else None,
        inputs=inputs_of(flow, trial, job.stage),
        python=tool.skypilot.python if remote else sys.executable,
        nested=tool.wandb_runs.nested if tool.wandb_runs else {},
    )


_OF_JOBS = {"command", "weight"}
"""What says how simulations are run, and nothing of them."""


def overrides_of(tool: SweepTool, step: Step) -> dict[str, Any]:
    """What goes to a stage's command beside the searched parameters."""
    if step.stage is Stage.TRAIN:
        return tool.train_overrides
    if not step.stage.evaluates:
        return {}
    return {**tool.eval_overrides, **(step.simulation.overrides if step.simulation else {})}


def inputs_of(flow: Flow, trial: Trial, stage: Stage) -> dict[str, Any]:
    """What the stages before one have given, as far as they have."""
    given = {**trial.metrics, "trial": trial.number}
    return {name: given[name] for name in flow.fields_before(stage) if name in given}


def template_of(tool: SweepTool, step: Step) -> list[str]:
    """A stage's command before anything stands in it; empty where there is none."""
    if step.stage is Stage.TRAIN:
        return list(tool.train_command or ())
    own = step.simulation.command if step.simulation else step.given.command
    return list(own or (tool.eval_command if step.stage.evaluates else None) or ())


def argv_of(tool: SweepTool, sweep: str, files: Files, trial: Trial, job: Job) -> list[str]:
    """The exact command of a job. Raises `UserError` where a placeholder has nothing to stand for."""
    step = Flow.of(tool).step(job.stage)
    template = template_of(tool, step)
    if not template:
        raise UserError(f"{step.command_field} is empty")
    return render(template, context_of(tool, sweep, files, trial, job))


def spec_of(
    tool: SweepTool, sweep: str, files: Files, trial: Trial, job: Job, resources: Resources | None = None
) -> JobSpec:
    """Everything a dispatcher needs; makes the trial's folder and writes its parameters there.

    Raises `UserError` for a command that cannot be rendered, `OSError` where the folder cannot be written.
    """
    folder = files.trial_dir(trial.number)
    argv = argv_of(tool, sweep, files, trial, job)
    params_file = folder / "params.json"
    if not params_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        files.checkpoints(trial.number).mkdir(exist_ok=True)
        partial = folder / "params.json.part"
        partial.write_text(json.dumps(dict(trial.params)))
        partial.rename(params_file)
    wandb = tool.wandb_runs
    if wandb is not None:
        settings = {**context_of(tool, sweep, files, trial, job).settings, **trial.params}
        tracking.write_files(wandb, files, job, settings)
    train = job.stage is Stage.TRAIN
    flow = Flow.of(tool)
    step = flow.step(job.stage)
    takes = {"SWEEPTUI_INPUTS": json.dumps(inputs_of(flow, trial, job.stage))} if tool.stages else {}
    each = {"SWEEPTUI_SIMULATION": step.simulation.name} if step.simulation else {}
    route = route_of(tool, job.stage, trial.params)
    given = resources or Resources()
    checkpoint = tool.skypilot.seen_there(trial.checkpoint) if route == SKYPILOT else trial.checkpoint
    begins = {"SWEEPTUI_CHECKPOINT": checkpoint} if train and checkpoint else {}
    return JobSpec(
        token=token(job),
        trial=trial.number,
        stage=job.stage,
        argv=tuple(argv),
        env={
            **(tracking.environment(wandb, sweep, files, trial, job) if wandb else {}),
            **tool.env,
            "SWEEPTUI_SWEEP": sweep,
            "SWEEPTUI_RUN": f"{sweep}_{trial.id}",
            "SWEEPTUI_STAGE": job.stage,
            "SWEEPTUI_PARAMS": os.fspath(params_file),
            "SWEEPTUI_TRIAL_DIR": os.fspath(folder),
            "SWEEPTUI_SEED": str(trial.seed),
            **begins,
            **takes,
            **each,
        },
        cwd=project_dir(tool),
        trial_dir=folder,
        log_path=files.log(job),
        report_path=files.reports(job),
        route=route,
        remote_dir=tool.skypilot.trial_dir(sweep, trial.id) if route == SKYPILOT else None,
        queue_timeout_s=tool.queue_timeout_s,
        timeout_s=(given.time_limit or step.timeout_s) if train else step.timeout_s,
        grace_s=tool.kill_grace_s,
        cpus=tool.cpus_per_trial if given.cpus is None else given.cpus,
        gpus=tool.gpus_per_trial if given.gpus is None else given.gpus,
    )
