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
needs_autogroup = pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share by sessions")


def session_of(process: int | str) -> int:
    """How nice its session is."""
    found = re.search(r"nice (-?\d+)", Path(f"/proc/{process}/autogroup").read_text())
    assert found is not None
    return int(found[1])


def stepped_back(*, session: bool) -> subprocess.Popen[str]:
    code = f"from sweeptui.core.priority import step_back; step_back(); {SAY}; input()"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=session,
    )


@needs_autogroup
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
        bench.run(
            python(SAY + "\nif os.path.exists('/proc/self/autogroup'): print(open('/proc/self/autogroup').read())")
        )
        niceness, *session = bench.log().split("\n")
        assert int(niceness) == OURS
        if AUTOGROUP.exists():
            assert session[0].endswith("nice 0")
            assert wait_until(lambda: session_of(worker), "a nicer session") == NICER
    finally:
        service.close()
        bench.dispatcher.close()
