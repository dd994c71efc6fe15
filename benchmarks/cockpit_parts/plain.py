"""Textual's own widgets at the same work: `python -m cockpit_parts.plain table ROWS`, or `... log FILE`.

`table` is a DataTable above a Log; with `--busy FILE` 50 rows change 4 times a second and the Log is told 10 times a
second what is new in FILE, as in the cockpit. A digit keeps the rows whose score has that digit.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Log

COLUMNS = ("#", "state", "score", "curve", "progress", "time", "cost", "learning_rate", "clip_coef", "ent_coef")
CHANGING = 50
CURSOR = "#273f5b"
LINES = 10_000
"""So many the Log keeps; with all of them it would not keep up."""


class Table(App[None]):
    CSS = f"""
    DataTable {{ height: 24; }}
    DataTable > .datatable--cursor {{ background: {CURSOR}; }}
    """
    BINDINGS: ClassVar = [(digit, f"only('{digit}')", digit) for digit in "123456789"]

    def __init__(self, rows: int, busy: str = "") -> None:
        super().__init__()
        self._dice = random.Random(0)
        self._rows = [self._row(number) for number in range(1, rows + 1)]
        self._busy = busy

    def _row(self, number: int) -> tuple[str, ...]:
        random_ = self._dice.random
        numbers = (f"{500 * random_():.4g}", "▁▂▃▄▅▆▇▆▇▇", "━━━━━ 100%", "1m00s", f"{60 * random_():.1f}s")
        return (str(number), "✔ done", *numbers, f"{random_():.3g}", f"{random_():.3g}", f"{random_():.3g}")

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row", zebra_stripes=False)
        yield Log(max_lines=LINES)

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        self._keys = table.add_columns(*COLUMNS)
        table.focus()
        self._fill(self._rows)
        if self._busy:
            self._file = Path(self._busy).open("rb")  # noqa: SIM115 - for as long as the app runs
            self._file.seek(0, 2)
            self.set_interval(0.25, self._change)
            self.set_interval(0.1, self._tell)

    def _fill(self, rows: list[tuple[str, ...]]) -> None:
        for row in rows:
            self.query_one(DataTable).add_row(*row, key=row[0])

    def _change(self) -> None:
        table = self.query_one(DataTable)
        for row in self._rows[-CHANGING:]:
            table.update_cell(row[0], self._keys[2], f"{500 * self._dice.random():.4g}")

    def _tell(self) -> None:
        # Textual's Log would print the escape sequences as they are, into the terminal.
        self.query_one(Log).write(self._file.read().replace(b"\x1b", b"").decode())

    def action_only(self, digit: str) -> None:
        table = self.query_one(DataTable)
        table.clear()
        self._fill([row for row in self._rows if digit in row[2]])


class Whole(App[None]):
    """A Log that shows a file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        yield Log()

    def on_mount(self) -> None:
        log = self.query_one(Log)
        with Path(self._path).open(encoding="utf-8") as file:
            while text := file.read(1 << 22):
                log.write(text.replace("\x1b", ""))
        log.write_line("ready")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["table", rows]:
            Table(int(rows)).run()
        case ["table", rows, "--busy", path]:
            Table(int(rows), path).run()
        case ["log", path]:
            Whole(path).run()
