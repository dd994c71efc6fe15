"""One Slurm and one SkyPilot for all tests here; whatever happens, their processes are ended."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest
from slurm_cluster import missing


@pytest.fixture(scope="session")
def server() -> Iterator[object]:
    """A `SkyServer` on a Slurm cluster. Skips where that cannot be, or fails where it was promised."""
    give_up = pytest.fail if os.environ.get("SWEEPTUI_SKYPILOT_REQUIRED") else pytest.skip
    if importlib.util.find_spec("sky") is None:
        give_up("skypilot is not installed: make skypilot-test")
    if why := missing():
        give_up(why)
    from sky_server import slurm_and_sky

    with slurm_and_sky() as running:
        yield running
