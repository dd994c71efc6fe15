"""Prepare a job and start its first process, or say in one sentence why that cannot be."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeptui.dispatchers.local.files import JobFiles, PidRecord, reserve_exit

if TYPE_CHECKING:
    from collections.abc import Mapping

IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""An ignored signal would stay ignored in the job."""


NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class LaunchError(Exception):
    """The job was not started; the message is one sentence for the user."""

    def __init__(self, message: str, cause: OSError | None = None) -> None:
        super().__init__(message)
        self.errno = cause.errno if cause else None


def refusal(error: LaunchError | OSError) -> dict[str, Any]:
    """What is answered to whoever wanted the launch."""
    return {"error": str(error), "no_room": error.errno in NO_ROOM}


class LaunchOrder(NamedTuple):
    """A job that is fit to be started: what could be looked up, opened and refused beforehand has been."""

    files: JobFiles
    """Relative to `home`."""
    record: PidRecord
    """Still without its pids."""
    program: str
    argv: list[str]
    environ: dict[str, str]
    cwd: str
    home: int
    """An open descriptor of the trial's folder."""
    log: int
    """An open descriptor."""
    timeout_s: float | None
    grace_s: float


def prepare(request: Mapping[str, Any], boot: str) -> LaunchOrder:
    """Check a request before anything is on record, so that a typo leaves no trace of a run. Raises LaunchError."""
    environ = {**os.environ, **request["env"]}
    home = _open(request["trial_dir"], os.O_RDONLY, "the trial's folder")
    try:
        os.fchdir(home)
        files = JobFiles.of(Path(), request["token"])
        if files.pid.exists() or files.exit.exists():
            raise LaunchError(f"{request['token']} was started before; a job is never started twice")
        _enter(request["cwd"])
        program = _find(request["argv"][0], environ)
        log = _open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, "the log")
        try:
            os.fchdir(home)
            reserve_exit(files)
        except OSError as error:
            os.close(log)
            raise LaunchError(f"{request['trial_dir']} cannot be written: {_reason(error)}", error) from None
    except BaseException:
        os.close(home)
        raise
    record = PidRecord(
        token=request["token"],
        key=request["key"],
        host=os.uname().nodename,
        boot=boot,
        keeper_pid=0,
        keeper_start="",
        job_pid=0,
        job_start="",
        started_at=time.time(),
        slot=request["slot"],
    )
    return LaunchOrder(
        files=files,
        record=record,
        program=program,
        argv=request["argv"],
        environ=environ,
        cwd=request["cwd"],
        home=home,
        log=log,
        timeout_s=request["timeout_s"],
        grace_s=request["grace_s"],
    )


def spawn(order: LaunchOrder) -> int:
    """Start the process in a session of its own and return its pid; its program has been loaded then.

    It reads /dev/null, as this process does, writes to the log, and runs in this process's working directory. Raises
    LaunchError, with nothing started.
    """
    # posix_spawn and not fork: copying this process's memory would cost more than all the rest of a launch.
    try:
        return os.posix_spawn(
            order.program,
            order.argv,
            order.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, order.log, 1), (os.POSIX_SPAWN_DUP2, order.log, 2)],
            setsid=True,
            setsigdef=IGNORED_BY_PYTHON,
        )
    except OSError as error:
        raise LaunchError(_why(order.argv[0], error)) from None
    except ValueError as error:
        raise LaunchError(f"{order.argv[0]!r} could not be started: {error} in its arguments or env") from None
    finally:
        os.close(order.log)


def _open(path: str, flags: int, what: str) -> int:
    try:
        return os.open(path, flags, 0o644)
    except OSError as error:
        raise LaunchError(f"{what} {path!r} cannot be opened: {_reason(error)}", error) from None


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise LaunchError(
            f"the working directory {folder!r} cannot be entered: {_reason(error)}; create it or change working_dir"
        ) from None


def _find(name: str, environ: Mapping[str, str]) -> str:
    folders = [""] if "/" in name else os.get_exec_path(environ)
    files = [file for folder in folders if (file := Path(folder, name)).is_file()]
    if not files:
        where = f" (looked in {Path.cwd()}); check the path" if "/" in name else "; is it installed and on PATH?"
        raise LaunchError(f"command not found: {name!r}{where}")
    for file in files:
        if os.access(file, os.X_OK):
            return str(file.absolute())
    raise LaunchError(f"{str(files[0])!r} is not executable: run chmod +x on it, or name its interpreter first")


def _why(name: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"the interpreter in the first line of {name!r} does not exist; fix that line or install it"
    if error.errno == errno.ENOEXEC:
        return f"{name!r} is not a program for this machine; does a script begin with '#!'?"
    if error.errno == errno.E2BIG:
        return f"the arguments and environment of {name!r} are too long for this system; pass them in a file"
    return f"{name!r} could not be started: {_reason(error)}"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
