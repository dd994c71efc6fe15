"""The launcher: a small process that forks a keeper for each job, so that a start costs a fork and not a Python.

There is one per orchestrator, which may have threads and so must not fork by itself. It reads requests as lines of
JSON on a socket that is its standard input, each a list of jobs, and answers with a line when they run or have been
given up.
When the orchestrator is gone it reads the end of the socket and leaves; keepers and jobs stay.

It holds an exclusive lock, which every keeper shares until its job is on record. Whoever gets the lock knows that no
launch is in flight: every earlier one has a pid file, or never happened.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import signal
import sys
from typing import Any

from sweeptui.dispatchers.local.keeper import handle_signals, keep
from sweeptui.dispatchers.local.processes import boot_id, look
from sweeptui.dispatchers.local.spawn import IGNORED_BY_PYTHON, LaunchError, LaunchOrder, prepare, refusal

SOCKET = 0


def main(lock_path: str) -> None:
    """Serve until the other end of the socket closes."""
    _reset_signals()
    null = os.open(os.devnull, os.O_RDWR)
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)
    boot = boot_id()
    _sign(lock, boot)
    # Keepers share this process's memory: what the collector never touches is never copied.
    gc.collect()
    gc.disable()
    gc.freeze()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _send([])
        for line in sys.stdin.buffer:
            _reap()
            _send(_launch(json.loads(line), boot, null, lock))


def _launch(requests: list[dict[str, Any]], boot: str, null: int, lock: int) -> list[dict[str, Any]]:
    """Have keepers carry out the requests, all at once; their answers, or why there is no keeper."""
    answers: dict[int, dict[str, Any]] = {}
    orders: dict[int, LaunchOrder] = {}
    replies: dict[int, int] = {}
    for i, request in enumerate(requests):
        try:
            orders[i] = prepare(request, boot)
        except LaunchError as error:
            answers[i] = refusal(error)
    # One after the other without anything in between: after a fork all memory that is touched has to be copied.
    for i in list(orders):
        order = orders.pop(i)
        others = [*replies.values(), *(fd for other in orders.values() for fd in (other.home, other.log))]
        try:
            replies[i] = _fork_keeper(order, null, lock, others)
        except LaunchError as error:
            answers[i] = refusal(error)
    answers |= {i: _answer(reply) for i, reply in replies.items()}
    return [answers[i] for i in range(len(requests))]


def _sign(lock: int, boot: str) -> None:
    """Write into the lock who holds it."""
    me = look(os.getpid())
    assert me is not None
    # On a full disk there is no name in the lock, and nobody will end this process: it only matters if it hangs.
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": me.pid, "start": me.start, "boot": boot}).encode(), 0)


def _fork_keeper(order: LaunchOrder, null: int, lock: int, others: list[int]) -> int:
    """Have a keeper carry out the order; returns the descriptor that it answers on. Raises LaunchError.

    `others`: descriptors that are none of its business.
    """
    read_end, write_end = os.pipe()
    try:
        if os.fork() == 0:
            for descriptor in [read_end, *others]:
                os.close(descriptor)
            keep(order, null, lock, write_end)
    except OSError as error:
        os.close(read_end)
        raise LaunchError(f"no process could be forked: {error.strerror}; is a limit on processes reached?") from None
    finally:
        os.close(write_end)
        os.close(order.home)
        os.close(order.log)
    return read_end


def _answer(read_end: int) -> dict[str, Any]:
    """What the keeper says once its job runs, or will not."""
    with open(read_end, "rb") as answers:
        line = answers.readline()
    if not line.endswith(b"\n"):
        return {"error": "the job's keeper was killed before the job could start"}
    answer: dict[str, Any] = json.loads(line)
    return answer


def _reap() -> None:
    """Forget the keepers that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _reset_signals() -> None:
    """Whatever the orchestrator blocks or ignores is its own affair, not its jobs'."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *IGNORED_BY_PYTHON}:
        # A few real-time signals belong to the C library.
        with contextlib.suppress(OSError, ValueError):
            signal.signal(signum, signal.SIG_DFL)
    handle_signals()


def _send(message: list[dict[str, Any]]) -> None:
    os.write(SOCKET, json.dumps(message).encode() + b"\n")
