"""One frame of a screen, as it would stand in a terminal of a given size: as text, with colours, or as a picture."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import set_cell_size
from rich.console import Console

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.home import Home, Read
from sweeptui.app.screens.newsweep import NewSweep
from sweeptui.app.svg import svg
from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import App
    from textual.pilot import Pilot
    from textual.strip import Strip

STILL_S, LOOKS = 0.4, 3
"""A screen that has not changed for so long, while its thread has looked so often, shows all that there is."""
PATIENCE_S = 10.0
OPTIMIZER_S = 60.0
"""A new sweep's first suggestion may take longer: libraries have to be read from a cold disk."""
SEEN = "this is a picture of the sweep: it changes nothing"

SCREENS: dict[str, tuple[str, ...]] = {
    "main": (),
    "curves": ("plot_1",),
    "history": ("plot_2",),
    "cost": ("plot_3",),
    "parameters": ("plot_4",),
    "importance": ("plot_5",),
    "trial": ("open",),
    "compare": ("compare",),
    "failures": ("failures",),
    "slots": ("slots",),
    "optimizer": ("optimizer",),
    "copy": ("copy",),
    "palette": ("palette",),
    "help": ("help",),
}
"""The screens of a sweep, each with the actions that open it."""
HOME_SCREENS = ("sweeps", "new")
"""Those of no one sweep: the list, and the form for a new one."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stood on the screen, line by line; every line has the full width."""

    strips: tuple[Strip, ...]
    width: int
    title: str

    def text(self) -> str:
        """Without colours, each line exactly `width` cells wide."""
        return "".join(f"{set_cell_size(strip.text, self.width)}\n" for strip in self.strips)

    def ansi(self) -> str:
        """With colours; there is no other escape sequence in it."""
        console = Console(file=io.StringIO(), color_system="truecolor", force_terminal=True, legacy_windows=False)
        return "".join(f"{strip.render(console)}\n" for strip in self.strips)

    def svg(self) -> str:
        return svg(self.strips, self.title)


def sweep_frame(
    folder: Path,
    size: tuple[int, int],
    *,
    screen: str = "main",
    trial: int | None = None,
    clock: Callable[[], float] = time.time,
    start: int | None = None,
) -> Frame:
    """A frame of the cockpit of the sweep in `folder`, with the cursor on `trial`. Raises `UserError`.

    `start`: as it was at that row of its journal.

    `size` is columns and lines. With a `clock` that stands still, the same sweep gives the same frame.
    """
    if screen not in SCREENS:
        raise UserError(f"screen is {screen!r}; it can be {', '.join((*SCREENS, *HOME_SCREENS))}")
    app = Cockpit(folder, utf8=True, clock=clock, read_only=SEEN, start=start)
    # Whatever is pressed, nothing is entered into the store; and yet it looks like a window that could.
    app.read_only, app.header.read_only, app.keys.read_only = "", False, False

    async def look(pilot: Pilot[Any]) -> None:
        await _until(pilot, lambda: _read(app) or app.header.has_class("-notice"))
        if trial is not None and app.snapshot is not None:
            if app.snapshot.trial(trial) is None:
                raise UserError(f"sweep {folder.name} has no trial {trial}; it has {len(app.snapshot.trials)}")
            app.table.select(trial)
        for action in SCREENS[screen]:
            await _still(pilot, looked)
            app.action_act(action)
        if screen in ("optimizer", "importance"):
            await _until(pilot, lambda: app.pages.outlook.known.ends >= 0, 3 * OPTIMIZER_S)

    def looked() -> int:
        """Without a snapshot there is nothing to look at, and a picture that is due is not there yet."""
        if app.plotting.pane.pending:
            return 0
        return app._watcher.turns if app.snapshot is not None else int(time.monotonic() * 10)

    return take(app, size, look, f"sweeptui {folder.name}", looked)


def _read(app: Cockpit) -> bool:
    """All of the sweep is shown, and not its newest trials alone."""
    return app.snapshot is not None and not app.snapshot.older


def home_frame(
    root: Path,
    read: Read,
    size: tuple[int, int],
    *,
    screen: str = "sweeps",
    inside: str = "",
    clock: Callable[[], float] = time.time,
) -> Frame:
    """A frame of the start screen, `inside` an experiment, or of its form; for `read`, see `Home`."""
    app = Home(root, read, inside=inside, utf8=True, clock=clock)

    async def look(pilot: Pilot[Any]) -> None:
        await _until(pilot, lambda: app.looked)
        if screen == "new":
            app.sweeps.action_act("new")
            await _until(pilot, lambda: isinstance(app.screen, NewSweep) and app.screen.settled, OPTIMIZER_S)

    return take(app, size, look, "sweeptui", lambda: int(time.monotonic() * 10))


def take(
    app: App[Any],
    size: tuple[int, int],
    look: Callable[[Pilot[Any]], Awaitable[None]],
    title: str,
    looked: Callable[[], int],
) -> Frame:
    """Run `app` without a terminal, do `look`, wait until nothing moves, and keep what is on its screen.

    `looked` is how often its thread has looked at what it shows.
    """

    async def run() -> Frame:
        app.animation_level = "none"
        async with app.run_test(size=size, notifications=False) as pilot:
            await look(pilot)
            await _still(pilot, looked)
            return Frame(tuple(strips_of(app)), size[0], title)

    return asyncio.run(run())


def strips_of(app: App[Any]) -> list[Strip]:
    """What stands on its screen, line by line."""
    return [strip.simplify() for strip in app.screen._compositor.render_strips()]


async def _until(pilot: Pilot[Any], happened: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not happened() and time.monotonic() < deadline:
        await pilot.pause(0.02)


async def _still(pilot: Pilot[Any], looked: Callable[[], int]) -> None:
    """Wait until the screen stands still; of one that never does, what it shows then is as good as any."""
    deadline = time.monotonic() + PATIENCE_S
    shown: list[str] = []
    since, looks = time.monotonic(), looked()
    while (now := time.monotonic()) < deadline and (now - since < STILL_S or looked() - looks < LOOKS):
        await pilot.pause(0.05)
        strips = [strip.text for strip in strips_of(pilot.app)]
        if strips != shown:
            shown, since, looks = strips, time.monotonic(), looked()
