"""The W&B run of a PPO training or evaluation, where its sweep says that there is one."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

Log = Callable[[Mapping[str, Any]], None]


def wandb_log() -> Log:
    """Begin the run that the environment names; what it returns logs to it.

    Where there is none, the package is not installed, or W&B does not answer, it does nothing: the sweep has the same
    numbers by its own reports.
    """
    if "WANDB_RUN_ID" not in os.environ or importlib.util.find_spec("wandb") is None:
        return _nothing
    import wandb  # noqa: PLC0415 - heavy, and an extra

    try:
        run = wandb.init()
    except wandb.errors.Error as error:
        sys.stdout.write(f"W&B is not there, so nothing is logged to it: {' '.join(str(error).split())}\n")
        return _nothing
    return lambda values: run.log({name: value for name, value in values.items() if value is not None})


def _nothing(_: Mapping[str, Any]) -> None:
    """Where nobody listens."""
