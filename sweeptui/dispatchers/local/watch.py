"""Watch keepers for their end, and signal them: by pidfd, which names a process even when its pid is reused."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from dataclasses import dataclass

from sweeptui.dispatchers.local.processes import alive, open_pidfd, send, signal_pidfd


@dataclass(frozen=True, slots=True)
class _Keeper:
    pid: int
    start: str
    pidfd: int | None


class KeeperWatch:
    """A set of keepers, by their jobs' tokens. Where there are no pidfds (macOS) it has to look at each one."""

    def __init__(self) -> None:
        self._keepers: dict[str, _Keeper] = {}
        self._tokens: dict[int, str] = {}
        self._gone: list[str] = []
        if sys.platform == "linux":
            self._epoll = select.epoll()
            self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._epoll.register(self._alarm, select.EPOLLIN)

    def add(self, token: str, pid: int, start: str) -> bool:
        """Watch a keeper. False where it has ended already; nothing is watched then."""
        try:
            pidfd = open_pidfd(pid, start)
        except OSError:
            if not alive(pid, start):
                return False
            self._keepers[token] = _Keeper(pid, start, None)
            return True
        if pidfd is None:
            return False
        self._keepers[token] = _Keeper(pid, start, pidfd)
        self._tokens[pidfd] = token
        if sys.platform == "linux":
            self._epoll.register(pidfd, select.EPOLLIN)
        return True

    def add_ended(self, token: str) -> None:
        """Have the next `ended` name this job, and wake who waits for it."""
        self._gone.append(token)
        if sys.platform == "linux":
            os.eventfd_write(self._alarm, 1)

    def ended(self) -> list[str]:
        """Jobs whose keepers are gone. Each is named until `remove`."""
        tokens, self._gone = self._gone, []
        if sys.platform == "linux":
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._alarm)
            tokens += [self._tokens[fd] for fd, _ in self._epoll.poll(0) if fd in self._tokens]
        return tokens + [token for token, keeper in self._keepers.items() if keeper.pidfd is None and _over(keeper)]

    def send(self, token: str, signum: signal.Signals) -> None:
        """Signal a job's keeper; nothing happens where it is gone."""
        keeper = self._keepers.get(token)
        if keeper is None:
            return
        if keeper.pidfd is None:
            send(keeper.pid, keeper.start, signum)
            return
        with contextlib.suppress(ProcessLookupError):
            signal_pidfd(keeper.pidfd, signum)

    def remove(self, token: str) -> None:
        """Watch this job's keeper no longer."""
        keeper = self._keepers.pop(token, None)
        if keeper is not None and keeper.pidfd is not None:
            del self._tokens[keeper.pidfd]
            if sys.platform == "linux":
                self._epoll.unregister(keeper.pidfd)
            os.close(keeper.pidfd)

    def fileno_set(self) -> list[int]:
        """One descriptor that is readable when `ended` has something to say; empty where it has to be called."""
        if sys.platform != "linux" or any(keeper.pidfd is None for keeper in self._keepers.values()):
            return []
        return [self._epoll.fileno()]

    def close(self) -> None:
        """Close every descriptor. Idempotent."""
        for token in list(self._keepers):
            self.remove(token)
        if sys.platform == "linux" and not self._epoll.closed:
            self._epoll.close()
            os.close(self._alarm)


def _over(keeper: _Keeper) -> bool:
    if sys.platform == "linux":
        return not alive(keeper.pid, keeper.start)
    # Asked many times a second, where a start time costs a `ps`; a pid is not reused from one look to the next.
    try:
        os.kill(keeper.pid, 0)
    except ProcessLookupError:
        return True
    return False
