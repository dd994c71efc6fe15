"""Reads W&B's sweep files, unmodified, as recipes."""

from sweeptui.recipes.wandb_sweep.file import is_wandb_sweep, notes_on, read_wandb_sweep

__all__ = ["is_wandb_sweep", "notes_on", "read_wandb_sweep"]
