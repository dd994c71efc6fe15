"""`frame`: one picture of a screen."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeptui.cli.complete import SweepName
from sweeptui.cli.options import at_option, moment_at, parse_trials, root_option, sweep_to_read
from sweeptui.cli.run import read_words
from sweeptui.core.errors import UserError
from sweeptui.folders import by_path, is_experiment

if TYPE_CHECKING:
    from collections.abc import Callable

    SizeType = click.ParamType[tuple[int, int]]
else:
    # Older clicks have no type of what a word becomes.
    SizeType = click.ParamType

LEAST, MOST = (20, 5), (1000, 500)
SCALE = 2
"""Pixels of a PNG for each of its SVG's: as dense as the screens it is looked at on."""
RENDER_S = 60
NO_RENDERER = (
    "--png needs a program that draws SVG: install rsvg-convert (apt install librsvg2-bin, brew install librsvg), "
    "Chromium, or cairosvg (pip install cairosvg); --svg needs none"
)


class Size(SizeType):
    """`120x40`: columns and lines."""

    name = "COLUMNSxLINES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", str(value))
        if match is None:
            self.fail(f"{value!r} is no size; write columns and lines, as in 120x40", param, ctx)
        columns, lines = int(match[1]), int(match[2])
        if not (LEAST[0] <= columns <= MOST[0] and LEAST[1] <= lines <= MOST[1]):
            self.fail(f"{value} is outside {LEAST[0]}x{LEAST[1]} to {MOST[0]}x{MOST[1]}", param, ctx)
        return columns, lines


@click.command()
@click.argument("sweep", type=SweepName(), required=False)
@click.option("--size", type=Size(), default="120x40", show_default=True, help="Columns and lines.")
@click.option("--screen", metavar="NAME", default="main", show_default=True, help="Which screen; see docs/cockpit.md.")
@at_option
@click.option("--at-trial", metavar="TRIAL", help="With the cursor on this trial.")
@click.option(
    "--now", type=float, metavar="EPOCH_S", help="What time it shall be, for a frame that is always the same."
)
@click.option("--ansi", is_flag=True, help="Print it with its colours.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw it into an SVG.")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw it into a PNG.")
@root_option
def frame(
    *,
    sweep: str | None,
    size: tuple[int, int],
    screen: str,
    at: str | None,
    at_trial: str | None,
    now: float | None,
    ansi: bool,
    svg: Path | None,
    png: Path | None,
    root: Path,
) -> int:
    """Print one frame of the cockpit as text, for a bug report or a CI log, or draw it.

    The screens `sweeps` and `new` show no one sweep; all others are of SWEEP. Of an experiment it is its tree.
    """
    clock = time.time if now is None else lambda: now
    draw = _renderer() if png is not None else None
    from sweeptui.app import frame as app  # noqa: PLC0415 - Textual is not for those who run headless

    inside = sweep if sweep is not None and not by_path(sweep) and is_experiment(root, sweep) else ""
    if (screen in app.HOME_SCREENS or inside) and at is not None:
        raise UserError(f"--at is of a sweep, and screen {screen!r} shows no one sweep; leave it out")
    if screen in app.HOME_SCREENS or inside:
        screen = screen if screen in app.HOME_SCREENS else "sweeps"
        shown = app.home_frame(root, read_words, size, screen=screen, inside=inside, clock=clock)
    elif sweep is None:
        raise UserError(f"screen {screen!r} is of a sweep: name the sweep, or choose one of {_or(app.HOME_SCREENS)}")
    else:
        trial = None if at_trial is None else parse_trials([at_trial])[0]
        folder = sweep_to_read(root, sweep)
        shown = app.sweep_frame(
            folder, size, screen=screen, trial=trial, clock=clock, start=moment_at(folder, at) if at else None
        )
    if svg is None and png is None:
        click.echo(shown.ansi() if ansi else shown.text(), nl=False, color=ansi)
        return 0
    picture = shown.svg()
    if svg is not None:
        _write(svg, picture.encode())
    if png is not None and draw is not None:
        _write(png, draw(picture))
    return 0


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(names)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _renderer() -> Callable[[str], bytes]:
    """The best program for SVG that this machine has. Raises `UserError` where there is none."""
    if rsvg := shutil.which("rsvg-convert"):
        return lambda picture: _output([rsvg, f"--zoom={SCALE}", "--format=png"], picture)
    browsers = map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))
    if browser := next(filter(None, browsers), None):
        return lambda picture: _in_browser(browser, picture)
    try:
        import cairosvg  # type: ignore[import-not-found]  # noqa: PLC0415 - nobody has to have it
    except (ImportError, OSError):  # OSError: it is there, and the library it needs is not
        raise UserError(NO_RENDERER) from None
    return lambda picture: bytes(cairosvg.svg2png(bytestring=picture.encode(), scale=SCALE))


def _output(command: list[str], given: str) -> bytes:
    try:
        done = subprocess.run(command, input=given.encode(), capture_output=True, check=False, timeout=RENDER_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]} could not draw the frame: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise UserError(f"{command[0]} could not draw the frame: {said or f'exit code {done.returncode}'}")
    return done.stdout


def _in_browser(program: str, picture: str) -> bytes:
    width, height = re.findall(r'(?:width|height)="(\d+)"', picture)[:2]
    with tempfile.TemporaryDirectory(prefix="sweeptui-") as folder:
        source, target = Path(folder, "frame.svg"), Path(folder, "frame.png")
        source.write_text(picture, encoding="utf-8")
        _output(
            [
                program,
                "--headless",
                "--no-sandbox",  # what it opens was drawn here, and loads nothing
                "--disable-gpu",
                "--hide-scrollbars",
                "--default-background-color=00000000",
                f"--user-data-dir={folder}/profile",
                f"--force-device-scale-factor={SCALE}",
                f"--window-size={width},{height}",
                f"--screenshot={target}",
                source.as_uri(),
            ],
            "",
        )
        if not target.exists():
            raise UserError(f"{program} could not draw the frame: it wrote no picture")
        return target.read_bytes()
