"""The guard that keeps a sweep from filling the disk: below a limit nothing is launched."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

CHECK_S = 2.0


class DiskGuard:
    """Says why nothing may be launched, or "". Looks at most every `CHECK_S` seconds."""

    def __init__(self, folder: Path, min_free_mb: float) -> None:
        self._folder = folder
        self._min_free_mb = min_free_mb
        self._checked = float("-inf")
        self.message = ""

    def refuse(self, message: str) -> None:
        """A write has just failed: nothing is launched until the next look finds room."""
        self.message = message
        self._checked = time.monotonic()

    def check(self) -> str:
        now = time.monotonic()
        if now - self._checked >= CHECK_S:
            self._checked = now
            free_mb = shutil.disk_usage(self._folder).free / 1e6
            self.message = ""
            if free_mb < self._min_free_mb:
                self.message = (
                    f"{free_mb:.0f} MB are free in {self._folder}, less than min_free_disk_mb "
                    f"({self._min_free_mb:g}): nothing is launched until there is room"
                )
        return self.message
