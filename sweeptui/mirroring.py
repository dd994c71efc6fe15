"""A sweep's mirror in W&B, as seen by the process that runs the sweep: it only starts another one and listens to it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepState
from sweeptui.core.stores.base import LeaseHeldError, StoreError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.tracking import WandbConfig
from sweeptui.folders import DATABASE, existing_sweep
from sweeptui.survey import kill_now

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import Change

LOG = "wandb.log"
FINISH_S = 60.0
"""How long the end of a sweep waits for W&B to take what is left; what it has not by then is sent by the next run."""
PATIENCE_S = 10.0
"""How long a W&B that can be reached and does not answer is waited for before the sweep begins without it."""
WAIT_S = 0.1
Say = Callable[[str], None]


def project_of(tool: SweepTool) -> str:
    """The W&B project of a sweep. Raises `UserError` where none is named."""
    project = (tool.wandb and tool.wandb.project) or os.environ.get("WANDB_PROJECT", "")
    if not project:
        raise UserError("store is 'wandb' and wandb.project is not set; pass --wandb-project or set WANDB_PROJECT")
    return project


def entity_of(tool: SweepTool) -> str | None:
    """The W&B user or team of a sweep; None for the one that the key belongs to."""
    return (tool.wandb and tool.wandb.entity) or os.environ.get("WANDB_ENTITY") or None


def check(tool: SweepTool) -> None:
    """Raise `UserError` where a sweep is to be mirrored and cannot be."""
    if tool.store == "wandb":
        project_of(tool)
        if find_spec("wandb") is None:
            raise UserError("store is 'wandb' and the W&B client is not installed; pip install 'sweeptui[wandb]'")


def fetch(folder: Path, tool: SweepTool, label: str) -> str:
    """Make the store of a sweep that this machine does not have from what W&B has; what came of it, in a word.

    "rebuilt"; "none" where W&B has no such sweep; "away" where it does not answer. Raises `UserError` where it refuses.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    event = _last_event(_Child(folder, tool, "fetch", label, lambda _: None))
    if event["event"] == "refused":
        raise UserError(event["message"])
    return str(event["event"])


def sync(root: Path, name: str) -> str:
    """Send W&B what it does not have of a sweep that nobody runs; a sentence on what came of it. Raises `UserError`."""
    from sweeptui.core.analysis.summary import tool_of  # noqa: PLC0415 - pydantic only where it is needed

    folder = existing_sweep(root.resolve(), name)
    with closing(SqliteStore.open(folder / DATABASE, readonly=True)) as store:
        tool = tool_of(store.state)
    if tool.store != "wandb":
        raise UserError(f"sweep {name!r} is not mirrored to W&B; run it with --store wandb")
    check(tool)
    event = _last_event(_Child(folder, tool, "sync", "sync", lambda _: None))
    match event["event"]:
        case "finished" if event["state"] == "synced":
            return f"W&B has all of {name}"
        case "finished":
            raise UserError(f"W&B has not all of {name}: {event['message']}")
    raise UserError(str(event["message"]))


class Mirrored:
    """The mirror of a sweep that this process is about to run. Use it in a `with` statement."""

    def __init__(self, folder: Path, tool: SweepTool, label: str, say: Say) -> None:
        self._folder = folder
        self._say = say
        self._tool = tool
        self.lost = ""
        """Why this process must not run the sweep any more."""
        self.on_lost: Callable[[], None] = lambda: None
        self._trouble = False
        """Something was said that is over once all is synced."""
        self._finished = False
        self._child = _Child(folder, tool, "run", label, self._heard)

    def __enter__(self) -> Mirrored:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        """Let it send what is left, as long as W&B takes it. Only then is `lost` the last word."""
        if self._finished:
            return
        self._finished = True
        self._child.write("finish")
        event = self._child.wait_for("finished", time.monotonic() + FINISH_S)
        self._child.close()
        if event is not None and event["behind"] and not self.lost:
            waits = "1 record waits" if event["behind"] == 1 else f"{event['behind']} records wait"
            self._say(
                f"{waits} for W&B ({event['message']}): "
                f"`sweeptui sync {self._folder.name}` sends what is left, and so does the next run"
            )

    def lead(
        self,
        listener: Callable[[list[Change], SweepState], None] | None,
        asked: Callable[[], bool],
    ) -> bool:
        """Wait until this machine is the one to run the sweep; false where `asked` said to leave before.

        Meanwhile the store follows the machine that runs it, and `listener` is told. Where W&B is away, the sweep is
        run all the same, if what is here is the newest there can be. Raises `UserError`.
        """
        away_at: float | None = None
        with closing(SqliteStore.open(self._folder / DATABASE, readonly=True)) as store:
            while True:
                event = self._child.next(WAIT_S)
                changes = store.refresh()
                if changes and listener is not None:
                    listener(changes, store.state)
                if asked():
                    return False
                if event is None:
                    continue
                match event["event"]:
                    case "leading" | "gone":
                        return True
                    case "held":
                        holder = store.lease()
                        raise LeaseHeldError(store.path, holder) if holder else StoreError(store.path, event["message"])
                    case "away" if event["own"]:
                        away_at = away_at or time.monotonic()
                        if event["unreachable"] or time.monotonic() - away_at > PATIENCE_S:
                            self._child.write("go")
                    case "away":
                        self._say(f"{event['message']}; another machine ran this sweep last, so it waits for W&B")
                    case "refused" | "dead":
                        raise UserError(event["message"])
                    case "superseded":
                        self.set_aside(event["message"])

    def set_aside(self, why: str) -> NoReturn:
        """What is here cannot be brought together with what another machine did since: W&B's is the sweep now."""
        self._finished = True
        self._child.close()
        with closing(SqliteStore.open(self._folder / DATABASE, readonly=True)) as store:
            kill_now(self._folder, store.state.running_jobs.values())
        parent = self._folder.parents[1] / "superseded"
        parent.mkdir(exist_ok=True)
        number = 1
        while (aside := parent / f"{self._folder.name}-{number}").exists():
            number += 1
        self._folder.rename(aside)
        raise UserError(f"{why}: what was here is kept in {aside}, and the same command goes on with what W&B has")

    def _heard(self, event: dict[str, Any]) -> None:
        """On the child's thread."""
        if event["event"] == "standing":
            trouble = event["state"] in ("away", "refused", "following", "superseded")
            if trouble or (self._trouble and event["state"] == "synced"):
                self._say(event["sentence"])
            self._trouble = trouble or (self._trouble and event["state"] != "synced")
        elif event["event"] == "superseded":
            self.lost = event["message"]
            self.on_lost()


class _Child:
    """The mirror's process."""

    def __init__(self, folder: Path, tool: SweepTool, mode: str, label: str, heard: Callable[[dict[str, Any]], None]):
        settings = {
            "sweep": folder.name,
            "project": project_of(tool),
            "entity": entity_of(tool),
            "ttl_s": (tool.wandb or WandbConfig()).lease_ttl_s,
            "label": label,
        }
        self._heard = heard
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        log = folder / LOG if folder.is_dir() else Path(os.devnull)
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sweeptui.core.stores.wandb.process", str(folder), mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,  # a Ctrl-C is for the sweep; the mirror goes on to send what comes of it
                env={**os.environ, "WANDB_SILENT": "true"},
            )
        self._thread = threading.Thread(target=self._listen, name="mirror", daemon=True)
        self._thread.start()
        self.write(json.dumps(settings))

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def next(self, timeout_s: float) -> dict[str, Any] | None:
        try:
            return self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def wait_for(self, kind: str, deadline: float) -> dict[str, Any] | None:
        """The next event of that kind; None where it does not come in time, or never will."""
        while (left := deadline - time.monotonic()) > 0:
            event = self.next(left)
            if event is not None and event["event"] in (kind, "dead"):
                return event if event["event"] == kind else None
        return None

    def close(self) -> None:
        with suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = json.loads(line)
            except ValueError:  # what the W&B client prints
                continue
            self._heard(event)
            self._events.put(event)
        self._events.put({"event": "dead", "message": f"the process that mirrors to W&B ended; {LOG} says why"})


def _last_event(child: _Child) -> dict[str, Any]:
    """What a child that does one thing has said last."""
    found: dict[str, Any] | None = None
    try:
        while (event := child.next(FINISH_S * 2)) is not None and event["event"] != "dead":
            if event["event"] != "standing":
                found = event
    finally:
        child.close()
    if found is None:
        raise UserError(str(event["message"]) if event else "W&B took too long to answer; try again")
    return found
