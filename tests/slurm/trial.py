"""What the trials of the tests do, by their number: end well, fail, run on, or run on until they are moved."""

import pathlib
import sys
import time

from sweeptui import reporting

number, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
print(f"trial {number} in {folder}", flush=True)
reporting.report(step=1, total_steps=3, score=number / 10)
been_here = folder / "been-here"
if number == 2:
    sys.exit(7)
if number == 3 or (number == 4 and not been_here.exists()):
    been_here.touch()
    print("runs on", flush=True)
    time.sleep(600)
model = folder / "model.txt"
model.write_text(str(number))
reporting.report(step=3, total_steps=3, score=number, checkpoint=str(model))
print("done", flush=True)
