"""What becomes of a fault in a screen: one sentence, and a file with the rest.

Textual would print a page of it on the terminal, with every local variable, in the words of whatever process it came
from. A fault ends the screen only: whoever shows it says what becomes of the sweep.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.app import App
from textual.worker import WorkerFailed

from sweeptui.app import wording
from sweeptui.core.ansi import sanitize

if TYPE_CHECKING:
    from pathlib import Path

FILE = "cockpit.log"
"""In the sweep's folder: the tracebacks of its cockpits, the newest last."""
MAX_CHARS = 300
"""So much of an exception's message is in the sentence."""

R = TypeVar("R")


class Faulty(App[R], Generic[R]):
    """An app that keeps the exception that ended it, and prints nothing of it."""

    fault: BaseException | None = None

    def _handle_exception(self, error: Exception) -> None:
        """Textual's, for what any handler, paint, timer or worker raises: the app ends."""
        self._return_code = 1
        if self.fault is None:
            self.fault = error.error if isinstance(error, WorkerFailed) else error
        if self._exception is None:  # a test's pilot raises it again
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()


def complain(fault: BaseException, folder: Path | None) -> None:
    """Say on the terminal, in one sentence, that the screen has ended by this fault, and where its traceback is.

    It is kept in `folder`, or where nothing can be written there, or nothing may (None), among the temporary files.
    """
    said = wording.line(str(fault))
    said = f"{said[:MAX_CHARS]}…" if len(said) > MAX_CHARS else said
    name = type(fault).__name__ + (f": {said}" if said else "")
    kept = _keep(fault, folder)
    sys.stderr.write(f"error: the screen ended by a fault of its own, {name}; {kept}\n")


def _keep(fault: BaseException, folder: Path | None) -> str:
    """Write its traceback to a file; where it is."""
    import tempfile  # noqa: PLC0415 - only a fault pays for it
    import traceback  # noqa: PLC0415

    lines = sanitize("".join(traceback.format_exception(fault)), colour=False)
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')}, process {os.getpid()}\n{lines}\n"
    if folder is not None:
        try:
            with (folder / FILE).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            pass
        else:
            return f"its traceback is in {folder / FILE}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="sweeptui-", suffix=".log", delete=False, encoding="utf-8"
        ) as kept:
            kept.write(text)
    except OSError as error:
        return f"its traceback could not be kept: {error}"
    return f"its traceback is in {kept.name}"
