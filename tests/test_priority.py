"""What helps a sweep steps back behind its trials and its screen; nothing else does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from local_jobs import Bench, python, wait_until

from sweeptui.core.optimizers.service import OptimizerService
from sweeptui.core.priority import AUTOGROUP, HELPERS
from sweeptui.core.space import LogUniform, Space

OURS = os.getpriority(os.PRIO_PROCESS, 0)
NICER = min(19, OURS + HELPERS)
SAY = "import os; print(os.getpriority(os.PRIO_PROCESS, 0), flush=True)"
# A new one is asked: what began before the kernel shared by sessions is in none, and its file is empty.
LOOK = f"import os; print(open('{AUTOGROUP}').read() if os.path.exists('{AUTOGROUP}') else '')"
SESSIONS = bool(subprocess.check_output([sys.executable, "-c", LOOK], start_new_session=True).strip())
needs_sessions = pytest.mark.skipif(not SESSIONS, reason="this kernel does not share by sessions")


def session_of(process: int | str) -> int | None:
    """How nice its session is, where the kernel shares by it."""
    found = re.search(r"nice (-?\d+)", Path(f"/proc/{process}/autogroup").read_text())
    return int(found[1]) if found else None


def stepped_back(*, session: bool) -> subprocess.Popen[str]:
    code = f"from sweeptui.core.priority import step_back; step_back(); {SAY}; input()"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=session,
    )


@needs_sessions
@pytest.mark.parametrize("session", [True, False])
def test_a_session_of_its_own_steps_back_and_one_that_is_shared_does_not(session):
    shared = session_of("self")
    with stepped_back(session=session) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == NICER
        assert session_of(process.pid) == (NICER if session else shared)
        process.communicate("\n")
    assert session_of("self") == shared


def test_the_optimizer_steps_back_and_a_trial_beside_it_does_not(tmp_path):
    service = OptimizerService("bayes", Space.from_parameters({"lr": LogUniform(1e-5, 1e-1)}), ["maximize"], {}, 0)
    bench = Bench(tmp_path)
    bench.dispatcher.open()
    try:
        service.start()
        worker = wait_until(lambda: service.worker_pid, "the optimizer's process")
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, worker) == NICER, "a nicer one")
        bench.run(python(f"{SAY}\n{LOOK}"))
        niceness, *session = bench.log().split("\n")
        assert int(niceness) == OURS
        if SESSIONS:
            assert session[0].endswith("nice 0")
            assert wait_until(lambda: session_of(worker), "a nicer session") == NICER
    finally:
        service.close()
        bench.dispatcher.close()
