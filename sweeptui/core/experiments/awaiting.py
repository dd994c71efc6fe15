"""One `run()` for scripts and for coroutines."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sweeptui.core.experiments.interrupt import CancelledRunError, raise_in

T = TypeVar("T")


def run_or_await(run: Callable[[], T]) -> T | Awaitable[T]:
    """Call `run`; inside a running event loop, give what is to be awaited instead, and run in a thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    return _in_thread(run)


async def _in_thread(run: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(run)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            loop.call_soon_threadsafe(_settle, done, None, error)
        else:
            loop.call_soon_threadsafe(_settle, done, result, None)

    thread = threading.Thread(target=work, name="experiment", daemon=True)
    thread.start()
    try:
        return await done
    except asyncio.CancelledError:
        # Whoever waits has given up: the stage that runs now is not to go on unseen.
        while thread.is_alive() and thread.ident is not None:
            raise_in(thread.ident, CancelledRunError)
            thread.join(0.05)
        raise


def _settle(done: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)  # type: ignore[arg-type]
    elif isinstance(error, Exception):
        done.set_exception(error)
    else:
        done.cancel()
