"""Runs on the remote machine, around the training command: its source is sent there, so Python 3.7 is all it needs.

It numbers the lines that the command prints (`sweeptui-<start>:<number>|<line>`), because a remote log is only ever
seen in pieces, and says at the end how the command ended (`sweeptui-<start>:<number>!{...}`), because SkyPilot keeps no
exit codes. `<start>` stands for this runner: a job that was moved to another machine starts another one.

    python3 -c "<this file>" '{"argv": [...], "trial_dir": "...", "params": {...}, "timeout_s": null, "grace_s": 10}'
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import resource
import select
import signal
import subprocess
import sys
import time
from typing import Any

LINE_BYTES = 128 * 1024
"""A longer line is sent in parts."""
PROGRESS_S = 1.0
"""Of what is overwritten on the same line again and again (progress bars), this often one is sent."""


class Out:
    """Numbered lines on stdout."""

    def __init__(self) -> None:
        self.start = f"{int(time.time()):x}{os.urandom(2).hex()}"
        self.number = 0
        self.pending = b""
        self.progress_at = 0.0

    def write(self, kind: str, line: bytes) -> None:
        self.number += 1
        prefix = f"sweeptui-{self.start}:{self.number}{kind}".encode()
        data = prefix + line + b"\n"
        while data:
            data = data[os.write(1, data) :]

    def feed(self, data: bytes) -> None:
        *lines, self.pending = (self.pending + data).split(b"\n")
        for whole in lines:
            line = whole.rstrip(b"\r").rpartition(b"\r")[2]
            for at in range(0, max(1, len(line)), LINE_BYTES):
                self.write("|", line[at : at + LINE_BYTES])
        if b"\r" in self.pending[:-1]:
            shown, _, rest = self.pending.rpartition(b"\r")
            if time.monotonic() - self.progress_at >= PROGRESS_S:
                self.progress_at = time.monotonic()
                self.write("|", shown.rpartition(b"\r")[2])
            self.pending = rest
        while len(self.pending) > LINE_BYTES:
            self.write("|", self.pending[:LINE_BYTES])
            self.pending = self.pending[LINE_BYTES:]

    def rest(self) -> None:
        if self.pending:
            self.feed(b"\n")


def die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def environment(spec: dict[str, Any]) -> dict[str, str]:
    folder = pathlib.Path(spec["trial_dir"]).expanduser().absolute()
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    params = folder / "params.json"
    params.write_text(json.dumps(spec["params"]))
    environ = {**os.environ, "SWEEPTUI_TRIAL_DIR": str(folder), "SWEEPTUI_PARAMS": str(params)}
    if spec.get("wandb_config"):
        config = folder / "wandb-config.yaml"
        config.write_text(spec["wandb_config"])
        environ.update(WANDB_SWEEP_PARAM_PATH=str(config), WANDB_DIR=str(folder))
    environ["SWEEPTUI_REPORT_STDOUT"] = "1"
    environ.pop("SWEEPTUI_REPORT", None)
    environ.setdefault("PYTHONUNBUFFERED", "1")
    return environ


def run(spec: dict[str, Any], out: Out) -> dict[str, Any]:
    began = time.time()
    asked: dict[str, float] = {}
    end: dict[str, Any] = {
        "code": None,
        "signal": None,
        "timed_out": False,
        "run_s": 0.0,
        "started_at": began,
        "message": "",
    }
    try:
        child = subprocess.Popen(
            spec["argv"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(spec),
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - there are no threads here
        )
    except OSError as error:
        end.update(code=127, message="{} cannot be started: {}".format(spec["argv"][0], error))
        out.feed(end["message"].encode() + b"\n")
        return end

    def stop(*_: Any) -> None:
        asked.setdefault("at", time.monotonic())
        signal_group(child, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    clock = time.monotonic()
    assert child.stdout is not None
    stream = child.stdout.fileno()
    over_at = None
    while True:
        ready, _, _ = select.select([stream], [], [], 0.2)
        if ready:
            data = os.read(stream, 65536)
            if not data:
                break
            out.feed(data)
        now = time.monotonic()
        if spec["timeout_s"] and not asked and now - clock > spec["timeout_s"]:
            end["timed_out"] = True
            stop()
        if asked and now - asked["at"] > spec["grace_s"]:
            signal_group(child, signal.SIGKILL)
        if child.poll() is not None and not ready:
            # What it left behind may keep the pipe open for ever.
            over_at = over_at or now
            if now - over_at > 1:
                break
    code = child.wait()
    signal_group(child, signal.SIGKILL)
    out.rest()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    end.update(
        code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        run_s=time.monotonic() - clock,
        ended_at=time.time(),
        rusage={"utime_s": usage.ru_utime, "stime_s": usage.ru_stime, "maxrss_bytes": usage.ru_maxrss * 1024},
    )
    return end


def signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(child.pid, number)


def main() -> None:
    spec = json.loads(sys.argv[1])
    if os.environ.get("SKYPILOT_NODE_RANK", "0") != "0":
        # Of several machines, the first one speaks for all.
        os.execvpe(spec["argv"][0], spec["argv"], environment(spec))  # noqa: S606 - an argv
    out = Out()
    end = run(spec, out)
    out.write("!", json.dumps(end).encode())
    sys.exit(end["code"] if end["code"] is not None else 128 + end["signal"])


if __name__ == "__main__":
    main()
