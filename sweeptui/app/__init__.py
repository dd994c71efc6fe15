"""The cockpit: the sweep on a terminal's screen. The only room of the house where Textual is."""

from __future__ import annotations

from sweeptui.app.run import run_cockpit

__all__ = ["run_cockpit"]
