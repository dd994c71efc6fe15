"""One Slurm and one SkyPilot for all tests here; whatever happens, their processes are ended."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster, missing


@pytest.fixture(scope="session")
def server() -> Iterator[object]:
    """A `SkyServer` on a Slurm cluster. Skips where that cannot be, or fails where it was promised."""
    give_up = pytest.fail if os.environ.get("SWEEPTUI_SKYPILOT_REQUIRED") else pytest.skip
    if importlib.util.find_spec("sky") is None:
        give_up("skypilot is not installed: make skypilot-test")
    if why := missing():
        give_up(why)
    from sky_server import SkyServer

    # Short, for the sake of sockets, and to be entered by every user.
    with tempfile.TemporaryDirectory(prefix="sky", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("slurm", "home", "shared"):
            (folder / each).mkdir()
        (folder / "shared").chmod(0o777)
        cluster = SlurmCluster(folder / "slurm")
        try:
            cluster.start()
            sky = SkyServer(folder / "home", cluster)
            try:
                sky.start()
                yield sky
            finally:
                sky.stop()
        finally:
            cluster.stop()
