"""The ways by which a notification leaves: a program, a webhook, the desktop, the terminal's bell.

Each raises `Undelivered` with a sentence that has no secret in it: no URL, no answer, no output.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.ansi import sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeptui.core.notifying import NotifyConfig

    Send = Callable[[Mapping[str, Any]], None]

TIMEOUT_S = 10.0
_programs: set[int] = set()
"""The process groups of those that run now."""
_SCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"


class Undelivered(Exception):  # noqa: N818 - said as it is
    """It did not arrive. `lasting`: trying again would not help."""

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


def channels(config: NotifyConfig) -> dict[str, Send]:
    """What is wanted, by name."""
    found: dict[str, Send] = {}
    if config.command is not None:
        argv = list(config.command)
        found["command"] = lambda event: _command(argv, event)
    if config.webhook_env or config.webhook_file:
        found["webhook"] = lambda event: _webhook(config, event)
    if config.desktop:
        found["desktop"] = _desktop
    if config.bell:
        found["bell"] = _bell
    return found


def _run(argv: Sequence[str], stdin: str, env: Mapping[str, str]) -> None:
    """A program with all that it starts ended after `TIMEOUT_S`, and what it prints thrown away."""
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **env},
        )
    except OSError as error:
        raise Undelivered(f"cannot be started: {error.strerror}", lasting=True) from None
    _programs.add(process.pid)
    try:
        process.communicate(stdin.encode("utf-8", "replace"), timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Undelivered(f"took longer than {TIMEOUT_S:g} s") from None
    finally:
        _end(process.pid)
        process.wait()
        _programs.discard(process.pid)
    if process.returncode:
        raise Undelivered(f"ended with exit code {process.returncode}")


def _end(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def stop_programs() -> None:
    """End the programs that still run, before this process ends."""
    for group in list(_programs):
        _end(group)


def _command(argv: Sequence[str], event: Mapping[str, Any]) -> None:
    told = {f"SWEEPTUI_{name.upper()}": str(event[name]) for name in ("event", "sweep", "message")}
    _run(argv, json.dumps(event, allow_nan=False), {name: text.replace("\0", "") for name, text in told.items()})


def webhook_url(config: NotifyConfig) -> str:
    """The URL, from where it is kept. Raises `Undelivered`."""
    if config.webhook_env:
        url = os.environ.get(config.webhook_env, "")
        where = f"webhook_env: the variable {config.webhook_env}"
    else:
        where = f"webhook_file: {config.webhook_file}"
        try:
            url = Path(config.webhook_file or "").expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise Undelivered(f"{where} cannot be read", lasting=True) from None
    url = url.strip()
    if not url.startswith(("https://", "http://")):
        raise Undelivered(f"{where} has no URL in it", lasting=True)
    return url


def _webhook(config: NotifyConfig, event: Mapping[str, Any]) -> None:
    import urllib.error  # noqa: PLC0415 - every sweep imports this module, and few have a webhook
    import urllib.request  # noqa: PLC0415

    text = str(event["message"]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = json.dumps({"text": text}).encode()
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            webhook_url(config), data=body, headers={"Content-Type": "application/json", "User-Agent": "sweeptui"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        lasting = 400 <= error.code < 500 and error.code not in (408, 429)
        raise Undelivered(f"the server answered {error.code}", lasting=lasting) from None
    except (OSError, ValueError) as error:
        # What these say may have the URL in it.
        raise Undelivered(f"the server was not reached ({type(error).__name__})") from None


def desktop_program() -> str:
    return "osascript" if sys.platform == "darwin" else "notify-send"


def _desktop(event: Mapping[str, Any]) -> None:
    title, message = f"sweeptui: {event['sweep']}", str(event["message"])
    if sys.platform == "darwin":
        argv = [desktop_program(), "-e", _SCRIPT, title, message]
    else:
        argv = [desktop_program(), "--app-name=sweeptui", "--", title, message]
    if shutil.which(argv[0]) is None:
        raise Undelivered(f"{argv[0]} is not installed", lasting=True)
    _run(argv, "", {})


def _bell(_event: Mapping[str, Any]) -> None:
    try:
        with Path("/dev/tty").open("wb", buffering=0) as terminal:
            terminal.write(b"\a")
    except OSError:
        raise Undelivered("there is no terminal", lasting=True) from None


def plain(text: str) -> str:
    return " ".join(sanitize(text, colour=False).split())
