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
    from textual.screen import Screen

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
        self.busy = False
        """A key is on its way, or a screen is being opened."""
        self._turn = 0
        self._screen: Screen[Any] | None = None
        """The one that the last key went to."""

    async def type(self, key: Key) -> None:
        self._keys.append(key)
        if not self.busy:
            self.busy = True
            await self._go_on()

    async def _go_on(self) -> None:
        if not self._keys:
            self.busy = False
        elif self._app.screen.is_mounted:
            await self._next()
        else:
            self._app.set_timer(MOUNT_S, self._look)

    async def _look(self) -> None:
        if self._app.screen.is_mounted:
            self._app.call_later(self._next)  # behind the focus, which a screen asks for as it opens
        else:
            self._app.set_timer(MOUNT_S, self._look)

    async def _next(self) -> None:
        """Send a key, and go on once it was taken and what it opens is there."""
        self._turn += 1
        self._screen = self._app.screen
        taker = self._app.focused or self._screen
        await self._send(self._keys.popleft())
        self._app.set_timer(ANSWER_S, partial(self._taken, self._turn))
        await self._follow(taker, taker, self._turn, ROUNDS)

    async def _follow(self, pump: MessagePump, taker: MessagePump, turn: int, rounds: int) -> None:
        """Go the way of the key, behind it: from the widget that it was sent to up to the app."""
        if pump._parent is not None:
            posted = pump.call_later(self._follow, pump._parent, taker, turn, rounds)
        elif rounds > 1:
            posted = pump.call_later(self._follow, taker, taker, turn, rounds - 1)
        else:
            posted = pump.call_later(self._taken, turn)
        if not posted:  # its screen is closed, by this key
            self._app.call_later(self._taken, turn)

    async def _taken(self, turn: int) -> None:
        if turn == self._turn and self.busy:
            self._turn += 1
            if not self._keys and self._screen is self._app.screen:
                self._app.screen.call_later(self._paint)
            await self._go_on()

    def _paint(self) -> None:
        """Show at once what a key has changed: Textual would wait for its next frame, or the one after that."""
        if self._screen is self._app.screen:
            self._screen._on_timer_update()
