"""The ways to move about in a pane."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol


class Move(Enum):
    UP = auto()
    DOWN = auto()
    PAGE_UP = auto()
    PAGE_DOWN = auto()
    HOME = auto()
    END = auto()
    LEFT = auto()
    RIGHT = auto()


class Movable(Protocol):
    def move(self, move: Move) -> None: ...
