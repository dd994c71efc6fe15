"""A cockpit that writes down, again and again, how far each of its threads is and what it holds.

`python slow_terminal_driver.py FOLDER REPORT`: one JSON object a line.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from pathlib import Path

from sweeptui.app import watcher
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.snapshot import Snapshot

watcher.REFRESH_S = 0.01
"""So often that a queue would soon be long."""


class Told(Cockpit):
    CSS_PATH = Path(sys.modules[Cockpit.__module__].__file__ or "").with_name("cockpit.tcss")
    handled = 0

    def on_snapshot_taken(self, message):
        self.handled += 1
        super().on_snapshot_taken(message)


def report(app: Told, path: Path) -> None:
    while True:
        held = sum(isinstance(thing, Snapshot) for thing in gc.get_objects())
        newest = app._watcher._shown
        scores = [trial.score for trial in newest.trials] if newest is not None else []
        line = {
            "turns": app._watcher.turns,
            "handled": app.handled,
            "held": held,
            "score": max(filter(None, scores), default=0),
        }
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        time.sleep(0.05)


app = Told(Path(sys.argv[1]), utf8=True)
threading.Thread(target=report, args=(app, Path(sys.argv[2])), daemon=True).start()
app.run()
