"""Experiments from a script: sweeps on the real engine, in pipelines, inside each other, cut off and gone on with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from sweeptui.core.errors import UserError
from sweeptui.core.schedulers import OptimizingScheduler
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.experiments import (
    ASHAScheduler,
    AxOptimizer,
    BatchScheduler,
    BayesianOptimizer,
    Choice,
    Experiment,
    GridOptimizer,
    Integer,
    LogUniform,
    NevergradOptimizer,
    OptunaOptimizer,
    PBTScheduler,
    Pipeline,
    ProteinOptimizer,
    RandomOptimizer,
    StageError,
    SweepExperiment,
    SweepResults,
    SynchronousBatchScheduler,
    Uniform,
    trained,
)
from sweeptui.folders import DATABASE, sweep_names, sweep_path

SPACE = {"x": Uniform(0.0, 1.0)}
COMMAND = ["{python}", "work.py", "{overrides}"]
WORK = """
import sys
import sweeptui

given = dict(pair.split("=", 1) for pair in sys.argv[1:])
sweeptui.report(step=1, total_steps=1, score=1 - abs(float(given["x"]) - 0.25))
"""
FUNCTION = """
import sweeptui

def train(x: float) -> None:
    sweeptui.report(step=1, total_steps=1, score=x)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(name: str | None = None, **fields: Any) -> SweepExperiment:
    return SweepExperiment(name, RandomOptimizer(SPACE), train=COMMAND, max_parallel_jobs=2, **fields)


def done(experiment: Any, **run: Any) -> Any:
    return experiment.run(**run)


def test_a_sweep_runs_and_goes_on(project: Path) -> None:
    results = done(sweep("first"), budget=2)
    assert isinstance(results, SweepResults)
    assert results.status == "finished"
    assert results.best_score == max(trial["score"] for trial in results.trials)
    assert results.best_params["x"] == results.best["params"]["x"]
    assert len(results["trials"]) == 2
    more = done(sweep("first"), budget=3)
    assert [trial["params"] for trial in more.trials[:2]] == [trial["params"] for trial in results.trials]
    assert len(more.trials) == 3
    assert sweep_names(project) == ["first"]


def test_a_function_is_trained_in_a_process_of_its_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "mine.py").write_text(FUNCTION)
    monkeypatch.syspath_prepend(os.fspath(project))
    import mine  # type: ignore[import-not-found]

    (trial,) = done(SweepExperiment("f", RandomOptimizer(SPACE), train=mine.train), budget=1).trials
    assert trial["score"] == pytest.approx(trial["params"]["x"])


def test_inside_a_coroutine_it_is_awaited(project: Path) -> None:
    async def main() -> Any:
        return await sweep("awaited").run(budget=1)  # type: ignore[misc]

    assert len(asyncio.run(main()).trials) == 1


def test_what_is_trained_may_be_said_once(project: Path) -> None:
    with trained(COMMAND):
        assert len(done(SweepExperiment("said", RandomOptimizer(SPACE)), budget=1).trials) == 1
    with pytest.raises(UserError, match="has nothing to train; pass train="):
        done(SweepExperiment("said", RandomOptimizer(SPACE)))


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        (SweepExperiment("e", ProteinOptimizer(), train=COMMAND), "ProteinOptimizer has no search_space"),
        (SweepExperiment("e", ProteinOptimizer(SPACE, num_random=3), train=COMMAND), "num_random"),
        (SweepExperiment("e", RandomOptimizer(SPACE), train="nothing"), "unknown recipe 'nothing'"),
        (SweepExperiment("e", RandomOptimizer(SPACE), "asho", train=COMMAND), "scheduler.*'asho'"),
        (SweepExperiment("e", RandomOptimizer(SPACE), train=lambda x: x), "must be a function at the top of a module"),
        (SweepExperiment("e", RandomOptimizer(SPACE), train=COMMAND, max_paralel_jobs=2), "max_paralel_jobs"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(project: Path, experiment: SweepExperiment, message: str) -> None:
    with pytest.raises(UserError, match=message):
        experiment.run(budget=1)
    assert not (project / "train_dir").exists()


def test_optimizers_are_methods() -> None:
    space = {"learning_rate": LogUniform(1e-4, 1e-1), "batch_size": Choice([32, 64]), "hidden_size": Integer(64, 512)}
    for optimizer, method in (
        (AxOptimizer(search_space=space, acquisition="EI"), "ax"),
        (OptunaOptimizer(space, sampler="TPE"), "optuna:TPESampler"),
        (NevergradOptimizer(space, "OnePlusOne"), "nevergrad:OnePlusOne"),
        (BayesianOptimizer(space), "bayes"),
        (GridOptimizer({"n": Integer(1, 3)}), "grid"),
    ):
        tool = SweepExperiment("e", optimizer, SynchronousBatchScheduler(batch_size=10), train=COMMAND).tool("e", 100)
        assert tool.protein_config.method == method
        assert (tool.scheduler, tool.scheduler_options, tool.max_trials) == ("batch", {"batch_size": 10}, 100)
    with pytest.raises(UserError, match="acquisition is 'UCB'; Ax chooses expected improvement by itself"):
        AxOptimizer(space, acquisition="UCB")


def test_every_scheduler_is_one_of_the_engine() -> None:
    for scheduler, name in (
        (ASHAScheduler(max_epochs=100, reduction_factor=3, grace_period=10), "asha"),
        (
            PBTScheduler(population_size=20, num_generations=50, exploit_method="truncation", explore_method="perturb"),
            "pbt",
        ),
        (BatchScheduler(batch_size=2), "batch"),
        (OptimizingScheduler(), "optimizing"),
    ):
        assert SweepExperiment("e", RandomOptimizer(SPACE), scheduler, train=COMMAND).tool("e").scheduler == name


def test_a_recipe_gives_what_is_not_said() -> None:
    tool = SweepExperiment("e", train="quick_test").tool("e", 7)
    assert (tool.protein_config.method, tool.max_trials) == ("bayes", 7)
    random = SweepExperiment("e", RandomOptimizer(), train="quick_test").tool("e", 7)
    assert random.protein_config.method == "random"
    assert random.space.names == tool.space.names


# -- experiments inside experiments


class Curriculum(Experiment):
    """A sweep for each task."""

    def __init__(self, name: str = "curriculum", tasks: int = 2, trials: int | None = 2) -> None:
        super().__init__(name)
        self.tasks, self.trials = tasks, trials

    def pipeline(self) -> Pipeline:
        return (
            Pipeline(task_idx=0)
            .stage("init", lambda: list(range(self.tasks)))
            .through(tasks=list[int])
            .loop_while(lambda ctx: ctx.task_idx < len(ctx.tasks))
            .stage("optimize_task", self.run_task_sweep)
            .through(task_results=dict)
            .stage("check_mastery", self.evaluate_progress)
            .through(should_advance=bool)
            .end_loop()
        )

    async def run_task_sweep(self, input: Any) -> Any:  # noqa: A002 - as the documentation has it
        return await sweep().run(self.trials)  # type: ignore[misc]

    def evaluate_progress(self, ctx: Any) -> dict[str, Any]:
        return {"should_advance": ctx.task_results["best_score"] > 0, "task_idx": ctx.task_idx + 1}


def test_a_stage_runs_a_whole_sweep(project: Path) -> None:
    result = done(Curriculum())
    assert result.task_results["status"] == "finished"
    assert sorted(sweep_names(project)) == [
        "curriculum.loop1-0-optimize_task",
        "curriculum.loop1-1-optimize_task",
    ]
    again = done(Curriculum())
    assert dict(again) == dict(result)


def test_the_budget_of_an_experiment_is_that_of_all_sweeps_inside_it(project: Path) -> None:
    with pytest.raises(StageError, match="experiment curriculum: its budget is used up") as failed:
        done(Curriculum(tasks=3), budget=3)
    assert failed.value.path == "loop1[2]/optimize_task"
    assert counts(project) == {"curriculum.loop1-0-optimize_task": 2, "curriculum.loop1-1-optimize_task": 1}
    done(Curriculum(tasks=3), budget=5)
    assert sum(counts(project).values()) == 5


def test_experiments_may_be_inside_experiments_inside_experiments(project: Path) -> None:
    class Outer(Experiment):
        def pipeline(self) -> Pipeline:
            return Pipeline().stage("inner", lambda: Curriculum(trials=None).run(budget=2)).through(inner=dict)

    with pytest.raises(StageError, match=r"^stage 'inner' failed: stage 'loop1\[1\]/optimize_task' failed: experiment"):
        done(Outer("outer"), budget=1)
    # One trial is all there was: the first task has taken it.
    assert counts(project) == {"outer.curriculum.loop1-0-optimize_task": 1}


def test_a_killed_experiment_goes_on_where_it_was(project: Path) -> None:
    script = project / "flow.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, signal, sys
            from sweeptui.experiments import *

            class Flow(Experiment):
                def pipeline(self):
                    return (
                        Pipeline(turn=0)
                        .loop_while(lambda ctx: ctx.turn < 2)
                        .stage("search", self.search)
                        .through(found=dict)
                        .stage("next", self.next)
                        .through(best=float)
                        .end_loop()
                    )

                def search(self, ctx):
                    space = {{"x": Uniform(0.0, 1.0)}}
                    results = SweepExperiment(optimizer=RandomOptimizer(space), train={COMMAND!r}).run(budget=2)
                    die(f"search{{ctx.turn}}")
                    return results

                def next(self, ctx):
                    die(f"next{{ctx.turn}}")
                    return {{"best": ctx.found["best_score"], "turn": ctx.turn + 1}}

            def die(place):
                if sys.argv[1] == place:
                    os.kill(os.getpid(), signal.SIGKILL)

            print(Flow("flow").run(budget=4).best)
            """
        )
    )

    def run(place: str, root: str) -> subprocess.CompletedProcess[str]:
        text = script.read_text().replace("run(budget=4)", f"run(budget=4, root={root!r})")
        (project / f"{root}.py").write_text(text)
        return subprocess.run(
            [sys.executable, f"{root}.py", place], check=False, capture_output=True, text=True, timeout=150
        )

    for place in ("search0", "next1"):
        assert run(place, "killed").returncode == -signal.SIGKILL
    gone_on, whole = run("", "killed"), run("", "whole")
    assert gone_on.stdout, gone_on.stderr
    assert gone_on.stdout == whole.stdout
    assert (
        counts(project / "killed") == counts(project / "whole") == {"flow.loop1-0-search": 2, "flow.loop1-1-search": 2}
    )


def test_an_experiment_that_runs_itself_is_ended(project: Path) -> None:
    class Endless(Experiment):
        def pipeline(self) -> Pipeline:
            return Pipeline().stage("s", lambda: Endless("e").run()).through(s=dict)

    with pytest.raises(StageError, match="8 experiments inside each other are the limit"):
        done(Endless("e"))


def counts(root: Path) -> dict[str, int]:
    """How many trials each sweep has."""
    found = {}
    for name in sweep_names(root):
        with contextlib.closing(SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True)) as store:
            found[name] = len(store.state.trials)
    return found
