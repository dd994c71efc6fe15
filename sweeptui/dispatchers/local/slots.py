"""Where on this machine a job runs: a number for people, and GPUs that it shares with no other job."""

from __future__ import annotations

import functools
import subprocess
from typing import TYPE_CHECKING, Any

from sweeptui.core.dispatch import Capacity
from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

VISIBLE = "CUDA_VISIBLE_DEVICES"
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
NVIDIA_SMI_S = 20.0


class Slots:
    """Gives each job the smallest free number and as many GPUs as it asks for.

    CPUs are not counted: how many jobs run at once is the user's `max_parallel_jobs`, and a job is only told how many
    threads it should use.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._indices: set[int] = set()
        self._used_gpus: set[str] = set()

    @functools.cached_property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs that this process may use, named as in the inherited CUDA_VISIBLE_DEVICES."""
        visible = self._environ.get(VISIBLE)
        return _count_gpus() if visible is None else parse_visible(visible)

    def check_resources(self, gpus: int) -> None:
        """Raise UserError where the machine can never run a job with so many GPUs."""
        if gpus <= 0 or gpus <= len(self.gpus):
            return
        if VISIBLE in self._environ:
            seen, fix = f"{VISIBLE}={self._environ[VISIBLE]!r} allows {len(self.gpus)}", f"widen {VISIBLE}"
        else:
            seen, fix = f"this machine has {len(self.gpus)}", "run on a machine with more"
        raise UserError(f"gpus_per_trial is {gpus}, but {seen}: lower gpus_per_trial, or {fix}.")

    def capacity(self, gpus: int) -> Capacity:
        """Whether a job with so many GPUs could start now."""
        free = len(self._free_gpus()) if gpus > 0 else 0
        if gpus <= free:
            return Capacity(free=True)
        needs, are = "1 GPU" if gpus == 1 else f"{gpus} GPUs", "is" if free == 1 else "are"
        return Capacity(free=False, reason=f"needs {needs}, but {free} of {len(self.gpus)} {are} free")

    def take(self, gpus: int) -> dict[str, Any]:
        """Occupy a slot, `{"index": 0, "gpus": ["0"]}`; `capacity` has to be free."""
        index = next(i for i in range(len(self._indices) + 1) if i not in self._indices)
        slot = {"index": index, "gpus": self._free_gpus()[:gpus] if gpus > 0 else []}
        self.occupy(slot)
        return slot

    def occupy(self, slot: Mapping[str, Any]) -> None:
        """Mark a slot as taken by a job that runs already."""
        self._indices.add(slot["index"])
        self._used_gpus.update(slot["gpus"])

    def release(self, slot: Mapping[str, Any]) -> None:
        """Give a slot back."""
        self._indices.discard(slot["index"])
        self._used_gpus.difference_update(slot["gpus"])

    def environment(self, slot: Mapping[str, Any], cpus: int, user: Mapping[str, str]) -> dict[str, str]:
        """What tells a job to keep to its slot. Thread limits that the user set, here or outside, are left alone."""
        limits = {name: str(max(1, cpus)) for name in THREAD_LIMITS if name not in user and name not in self._environ}
        return limits | {VISIBLE: ",".join(slot["gpus"])} if slot["gpus"] else limits

    def _free_gpus(self) -> list[str]:
        return [gpu for gpu in self.gpus if gpu not in self._used_gpus]


def parse_visible(value: str) -> tuple[str, ...]:
    """The devices in a CUDA_VISIBLE_DEVICES value, as CUDA reads it: up to the first that is no device."""
    devices: list[str] = []
    for part in value.split(","):
        device = part.strip()
        if not (device.isdecimal() or device.startswith(("GPU-", "MIG-"))):
            break
        if device not in devices:
            devices.append(device)
    return tuple(devices)


def _count_gpus() -> tuple[str, ...]:
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=NVIDIA_SMI_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(str(i) for i, _ in enumerate(line for line in listing.splitlines() if line.startswith("GPU ")))
