"""What a user wants to be told of, and by what. Secrets are named here, and never given."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictBool

from sweeptui.core.fields import Argv, Model, NotNegative, PathText, Text

Kind = Literal["best", "ended", "breaker", "disk"]
KINDS: tuple[Kind, ...] = ("best", "ended", "breaker", "disk")


class NotifyConfig(Model):
    """Notifications; see docs/notifications.md. What is not given here is as the user's configuration file has it."""

    on: list[Kind] = Field(default_factory=lambda: list(KINDS))
    """"best" (a new best trial), "ended", "breaker" (too many failures) and "disk" (too little room)."""
    command: Argv | None = None
    """A program that is given the event as JSON on its standard input, and in its environment."""
    webhook_env: Text | None = None
    """The environment variable that has the URL of a Slack-compatible webhook."""
    webhook_file: PathText | None = None
    """The file that has it, where it is in no variable."""
    desktop: StrictBool = False
    """A notification on the desktop, by notify-send or osascript."""
    bell: StrictBool = False
    """The terminal's bell."""
    pause_s: NotNegative = 30.0
    """Between two notifications of a new best: what comes faster is told together."""
