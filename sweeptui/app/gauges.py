"""How busy this machine is: a word in the header while the sweep may be running here."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.app import theme
from sweeptui.app.messages import MachineLooked, Teller
from sweeptui.app.wording import BARS

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message import Message

    from sweeptui.app.columns import Piece

LOOK_S = 2.0
"""So seldom that an idle screen stays idle."""
GPU_LOOK_S = 10.0
"""More seldom still: the GPUs are asked through a program."""
HIGH = 0.9
MOST_GPUS = 4
GIB = 1 << 30
_QUIET = theme.style(theme.QUIET)


@dataclass(frozen=True, slots=True)
class Machine:
    """What is in use of this machine, as shares from 0 to 1."""

    cpu: float
    memory: float
    gpus: tuple[tuple[str, float, int], ...] = ()
    """Index, share that is busy, bytes in use; of those that tell."""

    def pieces(self) -> list[Piece]:
        """`CPU ▅ 48%  memory ▂ 12%  GPU0 ▇ 92% 61G`."""
        found = [*_gauge("CPU", self.cpu), ("  ", _QUIET), *_gauge("memory", self.memory)]
        for index, busy, used in self.gpus[:MOST_GPUS]:
            found += [("  ", _QUIET), *_gauge(f"GPU{index}", busy), (f" {used / GIB:.0f}G", _QUIET)]
        return found


def _gauge(name: str, share: float) -> list[Piece]:
    bar = BARS[min(len(BARS) - 1, int(share * len(BARS)))]
    style = theme.style(theme.ORANGE if share >= HIGH else theme.SKY)
    return [(f"{name} ", _QUIET), (bar, style), (f" {share:.0%}", theme.style(theme.TEXT))]


class Gauges:
    """Looks every `LOOK_S` on a thread of its own, and tells what it saw where that differs."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._teller = Teller(MachineLooked, post)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        # Imported here, when the first frame is on screen: it needs neither.
        import psutil  # noqa: PLC0415

        from sweeptui.app.screens.usage import gpus  # noqa: PLC0415

        told: Machine | None = None
        cards: tuple[tuple[str, float, int], ...] = ()
        due = 0.0
        psutil.cpu_percent()  # the first says nothing: it measures from one look to the next
        while not self._closed.wait(LOOK_S):
            if time.monotonic() >= due:
                due = time.monotonic() + GPU_LOOK_S
                cards = tuple((gpu.index, gpu.busy, gpu.used or 0) for gpu in gpus() if gpu.busy is not None)
            cpu, memory = psutil.cpu_percent() / 100, psutil.virtual_memory().percent / 100
            seen = Machine(round(cpu, 2), round(memory, 2), cards)
            if seen != told:
                told = seen
                self._teller.tell(seen)
