"""Every screen and every state of the cockpit and the start screen, at 80x24, 120x40 and 200x60.

The frames lie in `__snapshots__/test_snapshots`, as text with its styles, and the principal views as SVG beside them,
as pytest-textual-snapshot stores them. After a change that is meant: `make snapshots`, and look at what has changed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snapshot_sweeps
from app_sweep import Sweep
from contrast import LEAST, contrast, faint
from snapshot_format import FrameExtension, book, page, pages, words
from snapshot_scenes import SCENES, SIZES, Scene, app_of, end, play, rest
from syrupy.assertion import SnapshotAssertion
from textual.app import App
from textual.color import Color
from textual.pilot import Pilot
from textual.screen import ModalScreen

from sweeptui import readiness
from sweeptui.app import theme, wording
from sweeptui.app.frame import strips_of
from sweeptui.app.screens import slots, usage
from sweeptui.app.screens.page import Page
from sweeptui.app.screens.usage import MIB, Gpu, Usage
from sweeptui.app.svg import svg
from sweeptui.core import jobspec

FRAMES = Path(__file__).parent / "__snapshots__" / "test_snapshots"
PICTURED = ("plot-history", "trial-failed", "compare-4", "kill", "sweeps")
FREE_MB = 512
USED = Usage(processes=3, threads=14, memory=1740 * MIB, cores=1.62, gpu_memory=6300 * MIB, pid=31337)
GPUS = [Gpu("0", "NVIDIA H100 80GB HBM3", 0.87, 61_000 * MIB, 81_559 * MIB),
        Gpu("1", "NVIDIA H100 80GB HBM3", 0.0, 6_300 * MIB, 81_559 * MIB)]  # fmt: skip


class World:
    """The sweeps that the scenes show, each made when it is first wanted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made: dict[str, Sweep | None] = {}

    def enter(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Sweep | None:
        """Go where the scene plays; its sweep."""
        folder = self.root / (scene.sweep or "nothing")
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HOME", str(folder))
        if scene.sweep not in self._made:
            make = snapshot_sweeps.SWEEPS.get(scene.sweep)
            self._made[scene.sweep] = None if make is None else make(folder)
            if scene.sweep in snapshot_sweeps.FOLDERS:
                snapshot_sweeps.FOLDERS[scene.sweep](folder)
        return self._made[scene.sweep]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def _the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of this machine is to be seen, of its time zone, its GPUs, its disk or its folders; and no chance."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(slots, "gpus", lambda: GPUS)
    monkeypatch.setattr(usage.Sampler, "look", lambda self, jobs: {job.id: USED for job in jobs})
    monkeypatch.setattr(jobspec, "sys", SimpleNamespace(executable="/opt/venv/bin/python"))
    monkeypatch.setattr(readiness, "make_name", lambda *_: "ppo-calm-otter")
    disk = SimpleNamespace(total=64 << 30, used=0, free=FREE_MB * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk)
    yield
    monkeypatch.undo()
    time.tzset()


def size_of(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


async def shown(app: App[Any], pilot: Pilot[Any], scene: Scene, expected: str | None) -> str:
    """The frame once it is as expected; where it never is, once it stands still."""
    wanted = [word for word in scene.words if app.size.width >= 80]

    def done() -> bool:
        strips = strips_of(app)
        return expected is not None and expected.startswith(words(strips)) and page(strips) == expected

    def ready() -> bool:
        text = "\n".join(strip.text for strip in strips_of(app))
        return all(word in text for word in wanted)

    await rest(app, pilot, done, ready)
    return page(strips_of(app))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_frame(scene: Scene, world: World, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion) -> None:
    sweep = world.enter(scene, monkeypatch)
    if scene.no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    stored = FRAMES / f"test_frame[{scene.name}].txt"
    expected = pages(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    found = {}
    app = app_of(scene, sweep)
    async with app.run_test(size=scene.sizes[0], notifications=True) as pilot:
        await play(app, pilot, scene, sweep)
        for size in scene.sizes:
            await pilot.resize_terminal(*size)
            found[size_of(size)] = await shown(app, pilot, scene, expected.get(size_of(size)))
            strips = strips_of(app)
            assert {strip.cell_length for strip in strips} == {size[0]}, "a line that is too long or too short"
            if not isinstance(app.screen, ModalScreen) or isinstance(app.screen, Page):
                assert not list(faint(strips)), f"hard to read at {size_of(size)}"
        end(app)
    assert book(found) == snapshot(extension_class=FrameExtension)


@pytest.mark.parametrize(
    ("name", "size"), [("main", size) for size in SIZES] + [(name, (120, 40)) for name in PICTURED], ids=str
)
def test_picture(
    name: str, size: tuple[int, int], world: World, monkeypatch: pytest.MonkeyPatch, snap_compare: Callable[..., bool]
) -> None:
    """As our own writer of SVG draws it: a third of what Textual's writes, and nothing in it but the frame."""
    scene = next(scene for scene in SCENES if scene.name == name)
    sweep = world.enter(scene, monkeypatch)
    app = app_of(scene, sweep)
    stored = FRAMES / f"test_frame[{scene.name}].txt"
    expected = pages(stored.read_text(encoding="utf-8")).get(size_of(size)) if stored.exists() else None

    async def run(pilot: Pilot[Any]) -> None:
        await play(app, pilot, scene, sweep)
        await pilot.resize_terminal(*size)
        await shown(app, pilot, scene, expected)

    monkeypatch.setattr(app, "export_screenshot", lambda **_: svg(strips_of(app), app.title))
    assert snap_compare(app, terminal_size=scene.sizes[0], run_before=run)


def test_every_colour_can_be_read_on_every_ground() -> None:
    grounds = (theme.BACKGROUND, theme.SURFACE, theme.PANEL, theme.BOOST, theme.CURSOR, theme.CURSOR_AWAY)
    inks = (theme.TEXT, theme.QUIET, theme.SKY, theme.GREEN, theme.YELLOW, theme.ORANGE, theme.VERMILLION, theme.PURPLE)
    for ground in grounds:
        for ink in inks:
            assert contrast(Color.parse(ink), Color.parse(ground)) >= LEAST, (ink, ground)
    for ground in (theme.BACKGROUND, theme.SURFACE, theme.PANEL, theme.BOOST):
        assert contrast(Color.parse(theme.OFF), Color.parse(ground)) >= LEAST, ground
        assert contrast(Color.parse(theme.BACKGROUND), Color.parse(theme.SKY)) >= LEAST, "the answer that is chosen"
    for number in range(16):
        assert contrast(Color(*theme.ANSI.ansi_colors[number]), Color.parse(theme.SURFACE)) >= LEAST, number


def test_no_two_states_look_alike_without_their_colours() -> None:
    for states in (wording._TRIALS, wording._SWEEPS):
        told = [str(state) for state in states.values()]
        assert len(set(told)) == len(told)
