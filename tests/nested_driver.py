"""Runs experiments for the tests in processes of their own, which kill themselves at a chosen write to any journal.

Reads requests as lines of JSON, forks a process for each, and answers with how that ended. The imports are paid once.
As `sitecustomize` of a trial that runs sweeps itself it kills that one, once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from sweeptui.core.stores.sqlite import SqliteStore

DIE_INSIDE = "NESTED_DIE_INSIDE"
"""In the environment of trials: `WRITE FOLDER`, the write of the process to die at, and where to say so."""


def mortal(die_at: int, witness: Path, once: bool = False) -> None:
    """End this process with SIGKILL at its so-many-th write to a journal: not written, for an odd one written."""
    commit = SqliteStore._commit
    writes = 0

    def counted(self: SqliteStore) -> None:
        nonlocal writes
        rows = self._db.execute("SELECT kind FROM journal WHERE seq > ?", (self.state.last_seq,)).fetchall()
        writes += bool(rows)
        dies = bool(rows) and writes == die_at
        if dies and die_at % 2:
            commit(self)
        if dies and not (once and witness.exists()):
            witness.write_text(f"{self.path.parent.name}: {', '.join(kind for (kind,) in rows)}")
            os.kill(os.getpid(), signal.SIGKILL)
        if not (dies and die_at % 2):
            commit(self)

    SqliteStore._commit = counted  # type: ignore[method-assign]


def run(request: dict[str, Any]) -> None:
    root = Path(request["root"])
    os.chdir(root)
    if request.get("die_at"):
        mortal(request["die_at"], root / "died")
    if request.get("die_inside"):
        os.environ[DIE_INSIDE] = f"{request['die_inside']} {root / 'died'}"
        os.environ["PYTHONPATH"] = request["path"]
    experiment = made(request["name"])
    (root / "said").write_text("\n".join(experiment.summary(experiment.run(budget=request["budget"], root=root))))


def made(name: str) -> Any:
    from sweeptui.experiments import (
        Choice,
        CurriculumExperiment,
        GridOptimizer,
        HybridExperiment,
        MetaExperiment,
        RandomOptimizer,
        SweepExperiment,
        Uniform,
    )

    space = {"x": Uniform(0.0, 1.0)}
    line = '{{\\"step\\": 1, \\"total_steps\\": 1, \\"score\\": $1, \\"cost\\": 1, \\"checkpoint\\": \\"$0\\"}}'
    train = ["/bin/sh", "-c", f'echo "{line}" >> "$SWEEPTUI_REPORT"', "/bin/sh", "{p:x}"]
    quick: dict[str, Any] = {"min_free_disk_mb": 0, "kill_grace_s": 0.2, "train": train}
    if name == "curriculum":
        return CurriculumExperiment(
            "c", tasks=[{}, {}], mastery=0.3, trials=2, sweeps_per_task=2, optimizer=RandomOptimizer(space), **quick
        )
    if name == "hybrid":
        protein = {"metric": "score", "goal": "maximize", "parameters": {"x": {"min": 0.0, "max": 1.0}}}
        return HybridExperiment(
            "h", explore=2, model=2, population_size=2, generations=1, candidates=1, n_seeds=2,
            protein_config=protein, **quick,
        )  # fmt: skip
    base = SweepExperiment(None, RandomOptimizer(space), **quick)
    return MetaExperiment(
        "m", base=base, optimizer=GridOptimizer(), space={"method": Choice(["random"])}, configurations=1, trials=2,
        repeats=2 if name == "meta twice" else 1, min_free_disk_mb=0,
    )  # fmt: skip


def main() -> None:
    import sweeptui.experiments  # noqa: F401 - so that each run has it

    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            with Path(request["root"], "out").open("a") as out:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            try:
                run(request)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if DIE_INSIDE in os.environ and "SWEEPTUI_TRIAL_DIR" in os.environ:
    _at, _, _witness = os.environ[DIE_INSIDE].partition(" ")
    mortal(int(_at), Path(_witness), once=True)

if __name__ == "__main__":
    main()
