"""A training that runs on after its first step until it is paused, and ends well when it goes on from a checkpoint."""

import pathlib
import sys
import time

from sweeptui import reporting

folder, checkpoint = pathlib.Path(sys.argv[1]), sys.argv[2]
if checkpoint:
    print(f"goes on from {checkpoint}", flush=True)
    step = int(pathlib.Path(checkpoint).read_text()) + 1
else:
    print(f"begins in {folder}", flush=True)
    step = 1
model = folder / f"step-{step}"
model.write_text(str(step))
reporting.report(step=step, total_steps=2, score=step, checkpoint=str(model))
if not checkpoint:
    for second in range(600):
        print(f"runs on {second}", flush=True)
        time.sleep(1)
print("done", flush=True)
