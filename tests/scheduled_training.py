"""A training for tests of schedulers: nine epochs, a checkpoint each, and goes on from one. Standard library only.

    python scheduled_training.py X

Reports x * epoch. Where the engine has to end it, it waits to be ended: `$HOLD` has those epochs by the value of x, or
under "*". Said to end, it writes a last checkpoint, as a training should.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

EPOCHS = 9
PATIENCE_S = 120


def main() -> None:
    x = float(sys.argv[1])
    holds = json.loads(os.environ.get("HOLD", "{}"))
    held = holds.get(repr(x), holds.get("*", []))
    folder = Path(os.environ["SWEEPTUI_TRIAL_DIR"], "checkpoints")
    begun_from = os.environ.get("SWEEPTUI_CHECKPOINT")
    epoch = json.loads(Path(begun_from).read_text())["epoch"] if begun_from else 0

    def save(name: str) -> str:
        path = folder / name
        path.with_suffix(".part").write_text(json.dumps({"epoch": epoch, "x": x}))
        path.with_suffix(".part").replace(path)
        return str(path)

    def last(*_: object) -> None:
        report(checkpoint=save("last.json"))
        sys.exit(0)

    signal.signal(signal.SIGTERM, last)
    while epoch < EPOCHS:
        epoch += 1
        report(step=epoch, total_steps=EPOCHS, score=x * epoch, cost=epoch, checkpoint=save(f"epoch_{epoch}.json"))
        if epoch in held:
            time.sleep(PATIENCE_S)
            sys.exit("nobody ended this training")


def report(**values: object) -> None:
    with Path(os.environ["SWEEPTUI_REPORT"]).open("a") as file:
        file.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
