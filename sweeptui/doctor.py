"""`sweeptui doctor`: what on this machine would get in a sweep's way, each with the fix."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sweeptui.core.errors import UserError
from sweeptui.core.stores.connection import network_filesystem
from sweeptui.core.stores.recover import recover
from sweeptui.dispatchers import places
from sweeptui.dispatchers.local.slots import Slots
from sweeptui.dispatchers.skypilot.gateway import GatewayError
from sweeptui.dispatchers.skypilot.records import known_id
from sweeptui.folders import config_path, existing_sweep, sweeps_dir
from sweeptui.notices.checks import findings
from sweeptui.notices.settings import settings
from sweeptui.survey import DATABASE, sightings, strays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweeptui.survey import Sighting

MIN_PYTHON = (3, 11)
MIN_TERMINAL = (80, 24)
MIN_FREE_MB = 1000
MIN_OPEN_FILES = 1024
TORCH_IMPORT_S = 120


class Check(NamedTuple):
    """One finding. "warn" is worth knowing, "fail" keeps sweeps from running."""

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    fix: str = ""


def examine(root: Path) -> list[Check]:
    """Look at everything; writes nothing."""
    found = sightings(sweeps_dir(root))
    return [
        _python(),
        _platform(),
        _torch(),
        _packages(),
        _terminal(),
        _root(root),
        _disk(root),
        _file_system(root),
        _gpus(),
        _open_files(),
        *_notifications(),
        *_databases(found),
        *_processes(found),
        *_skypilot(found),
    ]


def recover_sweep(root: Path, name: str) -> dict[str, Any]:
    """Save what can be read of a sweep's damaged database; what was done, with a sentence. Raises `StoreError`."""
    result = recover(existing_sweep(root, name) / DATABASE)
    lost = f"; nothing is left of trials {', '.join(map(str, result.lost_trials))}" if result.lost_trials else ""
    message = (
        f"recovered {result.trials} trials, {result.jobs} jobs and {result.reports} reports of {name}{lost}; "
        f"the damaged database is kept as {result.aside}"
    )
    return {
        "sweep": name,
        "path": str(result.path),
        "aside": str(result.aside),
        "trials": result.trials,
        "jobs": result.jobs,
        "reports": result.reports,
        "lost_trials": list(result.lost_trials),
        "message": message,
    }


def _python() -> Check:
    message = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    if sys.version_info < MIN_PYTHON:
        return Check("python", "fail", message, "install Python 3.11 or newer")
    return Check("python", "ok", message)


def _platform() -> Check:
    message = f"{platform.system()} {platform.release()} {platform.machine()}"
    if sys.platform == "win32":
        return Check("platform", "fail", message, "run sweeptui inside WSL (https://aka.ms/wsl)")
    if "microsoft" in platform.release().lower():
        return Check("platform", "ok", f"{message} (WSL; keep sweeps on its own disk, /mnt/c is slow)")
    return Check("platform", "ok", message)


def _torch() -> Check:
    """Torch is asked in a process of its own: importing it takes seconds and much memory."""
    version = _version("torch")
    if version is None:
        return Check("torch", "warn", "is not installed: the recipe ppo cannot run", "pip install 'sweeptui[ppo]'")
    ask = "import torch; c = torch.cuda; print(c.get_device_name() if c.is_available() else 'CPU')"
    try:
        told = subprocess.run(
            [sys.executable, "-c", ask], capture_output=True, text=True, timeout=TORCH_IMPORT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check("torch", "warn", f"{version} cannot be imported: {_last_line(error)}", "reinstall torch")
    return Check("torch", "ok", f"{version} on {told.stdout.strip()}")


def _last_line(error: Exception) -> str:
    lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _packages() -> Check:
    versions = {name: _version(name) for name in ("stable-baselines3", "gymnasium")}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        fix = "pip install 'sweeptui[ppo]'"
        return Check("ppo recipe", "warn", f"{' and '.join(missing)} missing: the recipe ppo cannot run", fix)
    return Check("ppo recipe", "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _terminal() -> Check:
    if not sys.stdout.isatty():
        return Check("terminal", "ok", "stdout is no terminal: sweeps run headless")
    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "").lower()
    depth = (
        "true colour" if os.environ.get("COLORTERM") in ("truecolor", "24bit") else os.environ.get("TERM", "unknown")
    )
    message = f"{size.columns}x{size.lines}, {encoding}, {depth}"
    if os.environ.get("TERM") in ("dumb", None):
        return Check("terminal", "warn", f"{message}: no cockpit, sweeps run headless", "use another terminal")
    if "utf" not in encoding:
        return Check("terminal", "warn", message, "set a UTF-8 locale: export LC_ALL=C.UTF-8")
    if size.columns < MIN_TERMINAL[0] or size.lines < MIN_TERMINAL[1]:
        return Check("terminal", "warn", message, "enlarge it to 80x24 or more")
    return Check("terminal", "ok", message)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _root(root: Path) -> Check:
    place = _existing(sweeps_dir(root))
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("root", "fail", f"{place} cannot be written", "change its permissions or pass another --root")
    return Check("root", "ok", f"{sweeps_dir(root).absolute()} can be written")


def _disk(root: Path) -> Check:
    place = _existing(sweeps_dir(root))
    free_mb = shutil.disk_usage(place).free / 1e6
    message = f"{free_mb:,.0f} MB free under {place}"
    if free_mb < MIN_FREE_MB:
        return Check("disk", "warn", message, "make room: sweeps launch nothing below min_free_disk_mb")
    return Check("disk", "ok", message)


def _file_system(root: Path) -> Check:
    kind = network_filesystem(_existing(sweeps_dir(root)))
    if kind:
        message = f"{kind}, a network file system: sweeps use SQLite's rollback journal (safe, slower)"
        return Check("file system", "warn", message, "a --root on a local disk is faster")
    return Check("file system", "ok", "local: sweeps use SQLite's write-ahead log")


def _gpus() -> Check:
    slots = Slots(os.environ)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    limited = "" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible!r})"
    return Check("gpus", "ok", (", ".join(slots.gpus) or "none") + limited)


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MIN_OPEN_FILES:
        fix = f"ulimit -n {MIN_OPEN_FILES}"
        return Check("open files", "warn", f"{soft} at most (hard limit {hard}): few for many parallel trials", fix)
    return Check("open files", "ok", f"{soft} at most")


def _notifications() -> Iterator[Check]:
    """What of the notifications that the user's configuration file asks for would not arrive."""
    try:
        config = settings(None)
    except UserError as error:
        yield Check("notifications", "fail", str(error), "mend the table [notify] there: docs/notifications.md")
        return
    found = findings(config)
    for channel, message, fix in found:
        yield Check(f"notify {channel}", "warn" if fix else "ok", message, fix)
    if not found:
        yield Check("notifications", "ok", f"none are set in {config_path()}")


def _databases(found: list[Sighting]) -> Iterator[Check]:
    for seen in found:
        if seen.problem:
            yield Check(f"sweep {seen.name}", "fail", seen.problem)
    readable = sum(not seen.problem for seen in found)
    if readable or not found:
        yield Check("sweeps", "ok", f"{readable} with a readable database")


def _processes(found: list[Sighting]) -> Iterator[Check]:
    orphans = [stray for stray in strays() if any(stray.folder == seen.folder.absolute() for seen in found)]
    for stray in orphans:
        yield Check(
            "processes",
            "warn",
            f"process {stray.pid} of {stray.token} in sweep {stray.folder.name} outlived its job",
            f"kill {stray.pid}",
        )
    detached = [seen.name for seen in found if seen.label == "detached"]
    if detached:
        fix = f"adopt them: sweeptui continue {detached[0]}"
        yield Check("processes", "warn", f"trials of {', '.join(detached)} run, and nobody runs the sweep", fix)
    if not orphans and not detached:
        yield Check("processes", "ok", "none left behind")


def _skypilot(found: list[Sighting]) -> Iterator[Check]:
    """Where jobs could run, and what of sweeps still stands there although nobody runs them."""
    if not places.installed():
        yield Check("skypilot", "ok", "is not installed: sweeps run on this machine only")
        return
    try:
        clouds, standing = places.inspect()
    except GatewayError as error:
        yield Check("skypilot", "warn", f"does not answer: {error}", "sky api status")
        return
    if clouds:
        yield Check("skypilot", "ok", f"may use {', '.join(clouds)}")
    else:
        yield Check("skypilot", "warn", "has no cloud that it may use", "sky check")
    sweeps = {identity: seen for seen in found if (identity := known_id(seen.folder)) is not None}
    leaked = 0
    for name, kind in standing:
        seen = sweeps.get(name.rpartition("-")[2])
        if seen is not None and (seen.holder is not None or seen.label == "detached"):
            continue
        leaked += 1
        whose = "whose sweep is not here" if seen is None else f"of sweep {seen.name}, which is {seen.label}"
        fix = f"sky down -y {name}" if kind == "cluster" else f"sky jobs cancel -y -n {name}"
        yield Check("skypilot", "warn", f"{kind} {name}, {whose}, still stands", fix)
    if clouds and not leaked:
        yield Check("skypilot", "ok", "nothing of a sweep is left behind there")
