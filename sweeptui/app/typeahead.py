"""Keys that are typed faster than the screen follows: each goes to what the one before has opened."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import App
    from textual.events import Key
    from textual.message_pump import MessagePump

MOUNT_S = 0.005
"""How often a screen that is being opened is looked at."""
ROUNDS = 2
"""From the widget to the app goes the key, and then what an action of the app has the widget say."""
ANSWER_S = 0.2
"""So long a key may take that others wait for; what took it may be gone, and never say so."""


class TypeAhead:
    """Hands the keys to an app one by one.

    Textual sends each on to the widget that has the focus when it comes. Of `:kill 4` that comes at once, all would go
    to the table, of which each letter is a key as well; and what comes while a screen is being opened would be lost.
    """

    def __init__(self, app: App[Any], send: Callable[[Key], Awaitable[None]]) -> None:
        """`send` is what the app does with a key."""
        self._app = app
        self._send = send
        self._keys: deque[Key] = deque()
        self._waits = False
        self._taker: MessagePump | None = None
        """Whose key the last one was."""
        self._turn = 0

    async def type(self, key: Key) -> None:
        self._keys.append(key)
        if not self._waits:
            self._waits = True
            await self._go_on()

    async def _go_on(self) -> None:
        """Send the next key, once the last one has been taken and what it opens is there."""
        self._turn += 1
        if self._taker is not None:
            self._app.set_timer(ANSWER_S, partial(self._taken, self._turn))
            await self._follow(self._taker, self._turn, ROUNDS)
        elif self._app.screen.is_mounted:
            await self._next()
        else:
            self._app.set_timer(MOUNT_S, self._look)

    async def _follow(self, pump: MessagePump, turn: int, rounds: int) -> None:
        """Go the way of the key, behind it: from the widget that it was sent to up to the app."""
        if pump._parent is not None:
            pump.call_later(self._follow, pump._parent, turn, rounds)
        elif rounds > 1 and self._taker is not None:
            pump.call_later(self._follow, self._taker, turn, rounds - 1)
        else:
            pump.call_later(self._taken, turn)

    async def _taken(self, turn: int) -> None:
        if turn == self._turn and self._taker is not None:
            self._taker = None
            await self._go_on()

    async def _look(self) -> None:
        if self._app.screen.is_mounted:
            self._app.call_later(self._next)  # behind the focus, which a screen asks for as it opens
        else:
            self._app.set_timer(MOUNT_S, self._look)

    async def _next(self) -> None:
        key = self._keys.popleft()
        self._taker = self._app.focused or self._app.screen
        await self._send(key)
        self._waits = bool(self._keys)
        if self._waits:
            await self._go_on()
