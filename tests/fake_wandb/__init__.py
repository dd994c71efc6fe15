"""A W&B server for tests: the protocol as the real client speaks it, kept in memory, with faults at will."""

from fake_wandb.runs import Run, Runs
from fake_wandb.schema import ENTITY
from fake_wandb.server import KEY, FakeWandb, Fault, Request

__all__ = ["ENTITY", "KEY", "FakeWandb", "Fault", "Request", "Run", "Runs"]
