"""Runs sweeps for the tests in processes of their own, and kills itself at a chosen write.

Reads requests as lines of JSON, forks a process for each, and answers with how that ended. The imports are paid once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, ClassVar

from sweeptui import launch
from sweeptui.core.config import SweepTool
from sweeptui.core.stores.base import LeaseHeldError, LeaseLostError
from sweeptui.core.stores.sqlite import SqliteStore


class MortalStore(SqliteStore):
    """Names the writes of its process, and ends that with SIGKILL at the first that is called `die_at`."""

    die_at = ""
    die_before = False
    witness = Path()
    writes: ClassVar[list[list[str]]] = []

    def _commit(self) -> None:
        names = self._names()
        self.writes.append(names)
        if self.die_at in names and self.die_before:
            self._die(names)
        super()._commit()
        if self.die_at in names:
            self._die(names)

    def _names(self) -> list[str]:
        """What the open transaction writes, in words that do not depend on which writes share a transaction."""
        rows = self._db.execute(
            "SELECT kind, trial, data FROM journal WHERE seq > ?", (self.state.last_seq,)
        ).fetchall()
        return [self._name(kind, trial, json.loads(data)) for kind, trial, data in rows] or ["heartbeat"]

    def _name(self, kind: str, trial: int | None, data: dict[str, Any]) -> str:
        what = data.get("status") or data.get("state") or ("reported" if "report_offset" in data else "")
        if kind.startswith("job."):
            query = "SELECT stage || '.' || attempt FROM jobs WHERE id = ?"
            kind = f"{kind} {self._db.execute(query, (data['id'],)).fetchone()[0]}"
        return " ".join(str(part) for part in (kind, trial, what) if part)

    def _die(self, names: list[str]) -> None:
        self.witness.write_text(json.dumps(names))
        os.kill(os.getpid(), signal.SIGKILL)
        while True:
            time.sleep(1)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Prepare and run one sweep, as the command line does. Returns its ending."""
    MortalStore.die_at, MortalStore.die_before = request.get("die_at", ""), request.get("die_before", False)
    MortalStore.witness = Path(request["out"])
    launch.SqliteStore = MortalStore  # type: ignore[attr-defined]
    launch.LEASE_TTL_S = request.get("lease_ttl_s", launch.LEASE_TTL_S)
    session = launch.prepare("test", SweepTool.from_json(request["tool"]), Path(request["root"]))
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: session.interrupt(bool(request.get("leave_running"))))
    try:
        end = session.run()
    except (LeaseHeldError, LeaseLostError) as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {
        "status": end.status.value,
        "reason": end.reason,
        "exit_code": end.exit_code,
        "writes": MortalStore.writes,
    }


def child(request: dict[str, Any]) -> None:
    os.setsid()
    os.environ.update(request["env"])
    sys.stdin.close()
    try:
        said = run(request)
    except BaseException:
        said = {"error": "Traceback", "message": traceback.format_exc()}
    Path(request["out"]).write_text(json.dumps(said))


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                child(json.loads(line))
            finally:
                os._exit(0)
        print(json.dumps({"pid": pid}), flush=True)
        print(json.dumps({"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}), flush=True)


if __name__ == "__main__":
    main()
