"""From a trial to what a dispatcher starts: argv, environment, files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.core import tracking
from sweeptui.core.dispatch import JobSpec
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files, token
from sweeptui.core.schedulers.base import Resources
from sweeptui.core.template import Context, render
from sweeptui.core.trial import Job, Stage, Trial

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool


def project_dir(tool: SweepTool) -> Path:
    """Where jobs run: `working_dir`, else where the sweep was started."""
    return Path(tool.working_dir) if tool.working_dir else Path.cwd()


def context_of(tool: SweepTool, sweep: str, files: Files, trial: Trial, job: Job) -> Context:
    return Context(
        sweep=sweep,
        trial=trial.number,
        params=trial.params,
        stage=job.stage,
        attempt=job.attempt,
        seed=trial.seed,
        trial_dir=files.trial_dir(trial.number),
        report_path=files.reports(job),
        project_dir=project_dir(tool),
        metric=tool.protein_config.metric,
        overrides=tool.train_overrides if job.stage is Stage.TRAIN else tool.eval_overrides,
        checkpoint=trial.checkpoint,
        recipe_module=tool.recipe_module,
        train_entrypoint=tool.train_entrypoint,
        eval_entrypoint=tool.eval_entrypoint,
        gpus=tool.gpus_per_trial,
        simulations=[simulation.model_dump(mode="json") for simulation in tool.evaluation_simulations],
        nested=tool.wandb_runs.nested if tool.wandb_runs else {},
    )


def argv_of(tool: SweepTool, sweep: str, files: Files, trial: Trial, job: Job) -> list[str]:
    """The exact command of a job. Raises `UserError` where a placeholder has nothing to stand for."""
    template = tool.train_command if job.stage is Stage.TRAIN else tool.eval_command
    if not template:
        raise UserError(f"{job.stage}_command is empty")
    return render(list(template), context_of(tool, sweep, files, trial, job))


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
    given = resources or Resources()
    begins = {"SWEEPTUI_CHECKPOINT": trial.checkpoint} if train and trial.checkpoint else {}
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
            "SWEEPTUI_STAGE": job.stage.value,
            "SWEEPTUI_PARAMS": os.fspath(params_file),
            "SWEEPTUI_TRIAL_DIR": os.fspath(folder),
            "SWEEPTUI_SEED": str(trial.seed),
            **begins,
        },
        cwd=project_dir(tool),
        trial_dir=folder,
        log_path=files.log(job),
        report_path=files.reports(job),
        timeout_s=(given.time_limit or tool.train_timeout_s) if train else tool.eval_timeout_s,
        grace_s=tool.kill_grace_s,
        cpus=tool.cpus_per_trial if given.cpus is None else given.cpus,
        gpus=tool.gpus_per_trial if given.gpus is None else given.gpus,
    )
