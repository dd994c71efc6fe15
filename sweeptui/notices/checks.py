"""Whether the notifications that are set would arrive, as far as can be said without sending any.

No sentence here has a secret in it: of a webhook's URL nothing is said but whether it is one, of a command only which
program it is.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sweeptui.notices.channels import Undelivered, desktop_program, plain, webhook_url

if TYPE_CHECKING:
    from sweeptui.core.notifying import NotifyConfig

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Finding(NamedTuple):
    channel: str
    message: str
    fix: str = ""
    """Empty where nothing is wrong."""


def findings(config: NotifyConfig) -> list[Finding]:
    """One for each channel that is set."""
    found = []
    if config.command is not None:
        found.append(_command(config.command[0]))
    if config.webhook_env or config.webhook_file:
        found.append(_webhook(config))
    if config.desktop:
        found.append(_desktop())
    if config.bell:
        found.append(_bell())
    return found


def _command(program: str) -> Finding:
    if (path := shutil.which(program)) is None:
        what = "is there, but is not executable" if Path(program).is_file() else "is not found"
        fix = f"chmod +x {program}" if Path(program).is_file() else "install it, or write its whole path"
        return Finding("command", f"{program} {what}", fix)
    return Finding("command", f"runs {path}")


def _webhook(config: NotifyConfig) -> Finding:
    try:
        url = webhook_url(config)
    except Undelivered as error:
        fix = f"export {config.webhook_env}=..." if config.webhook_env else "write the URL into that file"
        return Finding("webhook", plain(str(error)), fix)
    where = f"variable {config.webhook_env}" if config.webhook_env else f"file {config.webhook_file}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is none
    except ValueError:
        return Finding("webhook", f"the {where} has a URL that cannot be parsed", "copy it again, whole")
    if not parts.hostname or any(letter.isspace() or not letter.isprintable() for letter in url):
        return Finding("webhook", f"the {where} has a URL that cannot be parsed", "copy it again, whole")
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        return Finding("webhook", f"the {where} has an http URL: whoever is on the way reads it", "use https")
    if config.webhook_file and not config.webhook_env:
        path = Path(config.webhook_file).expanduser()
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            return Finding("webhook", f"the {where} can be read by others", f"chmod 600 {path}")
    return Finding("webhook", f"the {where} has a URL")


def _desktop() -> Finding:
    program = desktop_program()
    if shutil.which(program) is None:
        return Finding("desktop", f"{program} is not installed", f"install {program}, or take desktop out")
    session = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform != "darwin" and not any(os.environ.get(name) for name in session):
        return Finding("desktop", "there is no desktop session here", "start sweeps from a terminal of the desktop")
    return Finding("desktop", f"runs {program}")


def _bell() -> Finding:
    try:
        with Path("/dev/tty").open("wb"):
            return Finding("bell", "rings in this terminal")
    except OSError:
        return Finding("bell", "there is no terminal here", "it rings where a sweep is run from a terminal")
