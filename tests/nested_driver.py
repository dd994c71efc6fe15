"""Runs experiments for the tests in processes of their own, which kill themselves between two writes to journals.

Reads requests as lines of JSON, forks a process for each, and answers with how that ended. The imports are paid once.
As `sitecustomize` of a trial that runs sweeps itself it kills that one, once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeptui import launch
from sweeptui.core.dispatch import Capacity, DispatchError, JobExit, JobPhase, JobSpec, JobUpdate, Started
from sweeptui.core.stores.sqlite import SqliteStore

DIE_INSIDE = "NESTED_DIE_INSIDE"
"""In the environment of trials: `WRITE FOLDER`, the write of the process to die at, and where to say so."""


def mortal(die_at: int, witness: Path, once: bool = False) -> None:
    """End this process with SIGKILL between two of its writes to journals.

    `die_at` counts both ends of each gap: 2 is right after the first write, 3 just before the second one, 4 right after
    that.
    """
    commit = SqliteStore._commit
    writes = 0

    def counted(self: SqliteStore) -> None:
        nonlocal writes
        rows = self._db.execute("SELECT kind FROM journal WHERE seq > ?", (self.state.last_seq,)).fetchall()
        writes += bool(rows)
        before, after = (bool(rows) and die_at == moment for moment in (2 * writes - 1, 2 * writes))
        if not before:
            commit(self)
        if (before or after) and not (once and witness.exists()):
            witness.write_text(f"{self.path.parent.name}: {', '.join(kind for (kind,) in rows)}")
            os.kill(os.getpid(), signal.SIGKILL)
        if before:
            commit(self)

    SqliteStore._commit = counted  # type: ignore[method-assign]


class AtOnce:
    """Implements `Dispatcher`: a job ends as it begins, once, and what it did outlives this process."""

    name = "at once"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended: list[JobUpdate] = []

    def open(self) -> None:
        """Nothing to get ready."""

    def close(self) -> None:
        """Nothing runs."""

    def capacity(self, cpus: int, gpus: int) -> Capacity:
        return Capacity(free=True)

    def dispatch(self, specs: Sequence[JobSpec]) -> list[Started | DispatchError]:
        for spec in specs:
            done = self._done(spec.token)
            assert not done.exists(), f"{spec.token} is started twice"
            with spec.report_path.open("a") as file:
                file.write(json.dumps({"step": 1, "total_steps": 1, "score": float(spec.argv[-1]), "cost": 1}) + "\n")
            done.touch()
            self._ended.append(self._end(spec.token))
        return [Started(handle={}, slot={"index": 0}) for _ in specs]

    def adopt(self, token: str, trial_dir: Path, handle: Mapping[str, Any]) -> JobUpdate | None:
        return self._end(token) if self._done(token).exists() else None

    def poll(self) -> list[JobUpdate]:
        ended, self._ended = self._ended, []
        return ended

    def fileno_set(self) -> list[int]:
        return []

    def cancel(self, token: str) -> None:
        """It has ended already."""

    def _done(self, token: str) -> Path:
        return self._folder / f"{token}.done"

    def _end(self, token: str) -> JobUpdate:
        return JobUpdate(token, JobPhase.ENDED, JobExit(code=0, run_s=1.0))


def run(request: dict[str, Any]) -> None:
    root = Path(request["root"])
    os.chdir(root)
    if request.get("at_once"):
        launch.dispatcher_of = lambda _, folder: AtOnce(folder)  # type: ignore[assignment, return-value]
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
    if name == "nested":
        return nested(SweepExperiment(None, RandomOptimizer(space), **quick))
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


def nested(sweep: Any) -> Any:
    """An experiment of a sweep and of an experiment, whose loop runs a sweep each turn; budgets around all of them."""
    from sweeptui.core.experiments import Context, Pipeline
    from sweeptui.experiments import Experiment

    class Inside(Experiment):
        def pipeline(self) -> Pipeline:
            return (
                Pipeline(turn=0, scores=[])
                .loop_while(lambda ctx: ctx.turn < 2, max_turns=9)
                .stage("search", lambda _: sweep.run(1))
                .through(found=dict[str, Any])
                .stage("next", lambda turn, scores, found: {
                    "turn": turn + 1, "scores": [*scores, found["best_score"]]})
                .through(turn=int, scores=list[float])
                .end_loop()
            )  # fmt: skip

    class Around(Experiment):
        def pipeline(self) -> Pipeline:
            return (
                Pipeline()
                .stage("inside", lambda _: {"scores": Inside("in").run(2)["scores"]})
                .through(scores=list[float])
                .stage("rest", self.rest)
                .through(last=dict[str, Any])
            )

        def rest(self, ctx: Context) -> Any:
            return sweep.run(9)

        def summary(self, result: Mapping[str, Any]) -> list[str]:
            return [repr(result["scores"]), repr(result["last"]["best_score"])]

    return Around("n")


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
