"""What each scheduler decides, on views and on simulated sweeps."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import Project

from sweeptui import schedulers as public
from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import History, Suggestion
from sweeptui.core.optimizers.random import RandomOptimizer
from sweeptui.core.schedulers import (
    ASHAScheduler,
    CostQuantileScheduler,
    EarlyTerminateScheduler,
    Fork,
    HyperbandScheduler,
    PBTScheduler,
    Promote,
    Scheduler,
    Stop,
    SynchronousBatchScheduler,
    View,
    from_early_terminate,
    resolve,
)
from sweeptui.core.schedulers.base import Action, Create
from sweeptui.core.schedulers.rungs import Rungs
from sweeptui.core.space import Space
from sweeptui.core.suggesting import history
from sweeptui.core.trial import Job, JobState, Params, Point, Stage, Trial, TrialStatus
from sweeptui.testing import Outcome, Simulator, simulate

SPACE = Space.from_parameters({"x": {"min": 0.0, "max": 1.0}})


class Lines:
    """Epochs that score x times the epoch, plus an offset, in the sign of the goal."""

    space = SPACE

    def __init__(self, epochs: int = 9, goal: str = "maximize", offset: float = 0.0) -> None:
        self.epochs, self.goal, self.offset = epochs, goal, offset

    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        sign = 1 if self.goal == "maximize" else -1
        return [(sign * (params["x"] * epoch + self.offset), float(epoch)) for epoch in range(1, self.epochs + 1)]


class Level(Lines):
    """Nothing is learnt after the first epoch."""

    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        return [(params["x"], float(epoch)) for epoch in range(1, self.epochs + 1)]


def run(scheduler: Scheduler, task: Lines, *, workers: int = 1, max_trials: int = 27, seed: int = 0) -> Outcome:
    optimizer = RandomOptimizer(SPACE, goal=task.goal, settings={}, seed=seed)
    return simulate(scheduler, optimizer, task, workers=workers, max_trials=max_trials)


def view_of(scheduler: Scheduler, curves: dict[int, list[float]], goal: str = "minimize") -> View:
    """Trials that train and have reported these scores, in the order of their numbers."""
    trials = {n: Trial(n, {"x": 0.5}, 0, 0.0, TrialStatus.TRAINING, score=c[-1]) for n, c in curves.items()}
    jobs = {n: Job(n, n, Stage.TRAIN, 1, 0.0, JobState.RUNNING) for n in trials}
    plan = scheduler.plan(goal)
    rungs = None if plan is None else Rungs(plan, goal)
    order = 0
    for number, curve in curves.items():
        for step, score in enumerate(curve, 1):
            order += 1
            if rungs is not None:
                rungs.add([Point(order, number, number, float(step), None, score, float(step))], trials)
    return View(trials, tuple(trials.values()), jobs, 99, 99, 99, False, False, True, rungs, goal=goal, space=SPACE)


def stopped(scheduler: Scheduler, view: View) -> dict[int, str]:
    return {action.trial: action.reason for action in scheduler.decide(view) if isinstance(action, Stop)}


# -- ASHA


def test_asha_says_what_decided() -> None:
    scheduler = ASHAScheduler(max_epochs=9, reduction_factor=3, grace_period=1)
    view = view_of(scheduler, {1: [0.5], 2: [0.44], 3: [0.3], 4: [0.31]})
    assert stopped(scheduler, view) == {4: "stopped at rung 1: 0.31 against cut 0.3"}


def test_asha_lets_go_on_who_was_among_the_best_when_it_came() -> None:
    scheduler = ASHAScheduler(max_epochs=9, reduction_factor=3, grace_period=1)
    curves = {n: [1.0 - n / 10] for n in range(1, 10)}  # each better than all before
    assert stopped(scheduler, view_of(scheduler, curves)) == {}
    worse = {n: [n / 10] for n in range(1, 10)}
    assert sorted(stopped(scheduler, view_of(scheduler, worse))) == [2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_trial_is_the_worst(bad: float) -> None:
    scheduler = ASHAScheduler(max_epochs=9, grace_period=1)
    assert sorted(stopped(scheduler, view_of(scheduler, {1: [5.0], 2: [4.0], 3: [bad]}))) == [3]


def test_a_trial_is_compared_at_the_rung_it_has_reached() -> None:
    scheduler = ASHAScheduler(max_epochs=27, grace_period=1)
    view = view_of(scheduler, {1: [9.0] * 9, 2: [8.0] * 3, 3: [1.0] * 9, 4: [7.0] * 9})
    assert view.rungs is not None
    assert [(e.rung, e.reached) for e in view.rungs.of(view.trials[2])] == [(0, 1.0), (1, 3.0)]
    assert stopped(scheduler, view)[4] == "stopped at rung 1: 7 against cut 1"


@pytest.mark.parametrize("sign", [1, -1])
def test_asha_ends_what_was_overtaken_with_less_training(sign: int) -> None:
    scheduler = ASHAScheduler(max_epochs=27, grace_period=3)
    goal = "minimize" if sign > 0 else "maximize"

    def reasons(**first: list[float]) -> dict[int, str]:
        curves = {1: first["first"], 2: [9.0, 9.0, 0.4], 3: [9.0, 9.0, 0.3], 4: [9.0, 9.0, 0.2]}
        return stopped(scheduler, view_of(scheduler, {n: [sign * s for s in c] for n, c in curves.items()}, goal))

    # It came to the rung as the first, and of four that have come there now only the best goes on.
    slow = [9.0, 9.0, 0.8, 0.7, 0.6]
    assert reasons(first=slow) == {}, "it has not yet had much more training"
    assert reasons(first=[*slow, 0.5]) == {
        1: f"stopped after rung 1: {sign * 0.5:g} at 6 against cut {sign * 0.2:g}",
    }
    assert reasons(first=[*slow, 0.1]) == {}, "it has learnt as much since"
    assert reasons(first=[*slow[:4], 0.1, 0.5]) == {}, "what it once reached is what counts"
    assert reasons(first=[*slow[:4], math.nan, math.nan])[1].startswith(f"stopped after rung 1: {sign * 0.7:g} at 6")


def test_what_was_overtaken_may_be_queued_again() -> None:
    scheduler = ASHAScheduler(max_epochs=27, grace_period=3)
    view = view_of(scheduler, {1: [0.9] * 8, 2: [0.1] * 3})
    assert 1 in stopped(scheduler, view)
    again = replace(view.trials[1], requeued_after_job=1)
    trials = {**view.trials, 1: again}
    jobs = {**view.running_jobs, 1: replace(view.running_jobs[1], id=3)}
    later = replace(view, trials=trials, active=tuple(trials.values()), running_jobs=jobs)
    assert stopped(scheduler, later) == {}
    assert later.rungs is not None
    later.rungs.add([Point(99 + step, 1, 3, float(step), None, 0.9, 1.0) for step in range(1, 6)], trials)
    assert stopped(scheduler, later)[1] == "stopped at rung 1: 0.9 against cut 0.1"


def test_asha_spends_less_where_it_was_unlucky_with_who_came_first() -> None:
    """Sixteen at once come to a rung together, and what is compared first with few others is let go on."""
    outcome = run(ASHAScheduler(max_epochs=27, grace_period=1), Level(27), workers=16, max_trials=48)
    reasons = [trial.reason for trial in outcome.state.trials.values() if trial.status is TrialStatus.STOPPED]
    assert any(reason.startswith("stopped after rung") for reason in reasons)
    best = max(outcome.state.trials.values(), key=lambda trial: trial.params["x"])
    assert best.status is TrialStatus.COMPLETED


def test_what_a_user_queues_again_is_not_judged_by_its_past() -> None:
    scheduler = ASHAScheduler(max_epochs=9, grace_period=1)
    view = view_of(scheduler, {1: [0.2], 2: [0.1], 3: [0.9]})
    assert 3 in stopped(scheduler, view)
    again = replace(view.trials[3], requeued_after_job=3)
    trials = {**view.trials, 3: again}
    jobs = {**view.running_jobs, 3: replace(view.running_jobs[3], id=4)}
    assert stopped(scheduler, replace(view, trials=trials, active=tuple(trials.values()), running_jobs=jobs)) == {}


def test_asha_ends_what_goes_beyond_its_end() -> None:
    scheduler = ASHAScheduler(max_epochs=3, grace_period=1)
    assert stopped(scheduler, view_of(scheduler, {1: [1.0] * 3})) == {}
    assert stopped(scheduler, view_of(scheduler, {1: [1.0] * 4})) == {1: "ended at 4: max_epochs is 3"}


def test_stopping_spends_a_part_of_the_epochs_and_keeps_the_best() -> None:
    outcome = run(ASHAScheduler(max_epochs=27, grace_period=1), Lines(27), workers=4, max_trials=60)
    best = max(outcome.state.trials.values(), key=lambda trial: trial.params["x"])
    assert best.status is TrialStatus.COMPLETED
    assert outcome.epochs < 0.4 * 60 * 27
    counts = Counter(trial.status for trial in outcome.state.trials.values())
    assert counts[TrialStatus.STOPPED] > 30
    assert not counts[TrialStatus.FAILED]


@pytest.mark.parametrize(
    ("scheduler", "ahead"),
    [(ASHAScheduler(), 1), (Scheduler(), 8), (HyperbandScheduler(), 8), (resolve("sequential"), 0)],
)
def test_how_many_suggestions_are_prepared_ahead(scheduler: Scheduler, ahead: int) -> None:
    assert scheduler.suggest_ahead(16) == ahead


def test_a_simulated_sweep_prepares_as_a_real_one() -> None:
    """The suggestion for a trial knows what was known when the one `ahead` before it was made."""
    known: dict[int, list[tuple[int, list[int], list[int]]]] = {}

    class Watched(RandomOptimizer):
        def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
            ended, reported = [o.number for o in history.observations], [o.number for o in history.running]
            known[ahead].append((len(history.pending), ended, reported))
            return super().suggest(history, first_number, n)

    for ahead in (0, 1):
        known[ahead] = []
        optimizer = Watched(SPACE, goal="maximize", settings={}, seed=0)
        scheduler = ASHAScheduler(max_epochs=9, grace_period=1)
        simulate(scheduler, optimizer, Level(9), workers=2, max_trials=12, suggest_ahead=ahead)
    assert len(known[0]) == len(known[1]) == 12
    # Its parameters do not depend on it, so both sweeps are the same but for what is known.
    assert known[1][0] == (0, [], [])
    assert [told[1:] for told in known[1][1:]] == [told[1:] for told in known[0][:-1]]
    assert any(reported for _, _, reported in known[1])


def test_promotion_keeps_exactly_one_in_three_of_each_rung() -> None:
    scheduler = ASHAScheduler(max_epochs=27, grace_period=3, variant="promotion")
    outcome = run(scheduler, Lines(27), workers=3, max_trials=27)
    assert outcome.rungs is not None
    sizes = [len(rung.losses) for _, rung in sorted(outcome.rungs.bracket(0).items())]
    assert sizes == [27, 9]
    ended = [trial for trial in outcome.state.trials.values() if trial.status is TrialStatus.COMPLETED]
    assert len(ended) >= 3
    assert {a.trial for _, a in outcome.actions if isinstance(a, Promote)} >= {trial.number for trial in ended}


def test_a_trial_without_a_checkpoint_is_not_made_to_wait() -> None:
    task, optimizer = Lines(9), RandomOptimizer(SPACE, goal="maximize", settings={}, seed=0)
    scheduler = ASHAScheduler(max_epochs=9, grace_period=1, variant="promotion")
    outcome = Simulator(scheduler, optimizer, task, max_trials=5, checkpoints=False).run()
    assert {trial.status for trial in outcome.state.trials.values()} == {TrialStatus.COMPLETED}


@pytest.mark.parametrize(
    ("workers", "checkpoints", "as_"),
    [(1, True, "promotion"), (1, False, "stopping"), (4, True, "stopping")],
    ids=["one by one", "without checkpoints", "several at once"],
)
def test_asha_waits_at_rungs_where_trials_train_one_by_one_and_have_checkpoints(workers, checkpoints, as_) -> None:
    def actions(variant: str) -> list[Action]:
        scheduler = ASHAScheduler(max_epochs=27, grace_period=3, variant=variant)
        optimizer = RandomOptimizer(SPACE, goal="maximize", settings={}, seed=0)
        simulator = Simulator(scheduler, optimizer, Lines(27), workers=workers, max_trials=12, checkpoints=checkpoints)
        return [action for _, action in simulator.run().actions]

    assert actions("auto") == actions(as_)
    assert not checkpoints or actions("stopping") != actions("promotion")


@pytest.mark.parametrize("trials", [1, 2, 5])
def test_of_few_trials_that_were_ended_at_a_rung_the_best_is_trained_to_its_end(trials) -> None:
    outcome = run(ASHAScheduler(max_epochs=27, grace_period=3), Lines(27), workers=1, max_trials=trials)
    ended = [trial for trial in outcome.state.trials.values() if trial.status is TrialStatus.COMPLETED]
    assert [trial.step for trial in ended] == [27]
    assert ended[0].score == max(trial.score or 0.0 for trial in outcome.state.trials.values())
    assert len(outcome.state.trials) == trials


def test_where_more_slots_come_what_waits_is_left_and_nothing_is_stuck() -> None:
    """Trials that waited at their rungs one by one, and a view with four slots: it goes on as if they were stopped."""
    scheduler = ASHAScheduler(max_epochs=27, grace_period=3)
    view = view_of(scheduler, {number: [0.0, 0.0, float(number)] for number in range(1, 7)})
    waiting = {n: replace(t, status=TrialStatus.STOPPED, checkpoint="3") for n, t in view.trials.items()}
    one = replace(
        view, trials=waiting, active=(), running_jobs={}, max_parallel_jobs=1, max_trials=9, committed=lambda _: True
    )
    assert [type(action) for action in scheduler.decide(one)] == [Promote]
    assert scheduler.decide(replace(one, may_create=True, max_parallel_jobs=4)) == [Create(3)]


def test_brackets_begin_at_rungs_of_their_own() -> None:
    scheduler = ASHAScheduler(max_epochs=27, grace_period=1, brackets=3)
    counts = Counter(scheduler.bracket_of(number) for number in range(1, 1001))
    assert counts[0] > counts[1] > counts[2] > 50
    plan = scheduler.plan("maximize")
    levels = {plan.levels(Trial(n, {}, 0, 0.0)) for n in range(1, 50)}
    assert levels == {(0, (1.0, 3.0, 9.0)), (1, (3.0, 9.0)), (2, (9.0,))}


def test_decisions_cost_as_much_as_there_are_open_trials() -> None:
    """Ten thousand trials at a rung: a decision looks at the four that train."""
    for variant in ("stopping", "promotion"):
        scheduler = resolve("asha", {"max_epochs": 27, "grace_period": 1, "variant": variant})
        curves = {number: [float(number)] for number in range(1, 10_001)}
        view = view_of(scheduler, curves)
        looked = _Counting({n: replace(t, status=TrialStatus.STOPPED) for n, t in view.trials.items()})
        running = [view.trials[number] for number in (7, 70, 700, 7000)]
        for trial in running:
            dict.__setitem__(looked, trial.number, trial)
        jobs = {trial.number: view.running_jobs[trial.number] for trial in running}
        small = replace(
            view, trials=looked, active=tuple(running), running_jobs=jobs, max_parallel_jobs=5, max_trials=99_999
        )
        looked.looks = 0
        assert scheduler.decide(small)
        assert looked.looks < 20


class _Counting(dict[int, Trial]):
    looks = 0

    def __getitem__(self, key: int) -> Trial:
        self.looks += 1
        return super().__getitem__(key)


# -- the others


def test_hyperband_fills_brackets_and_promotes_one_in_eta() -> None:
    scheduler = HyperbandScheduler(max_epochs=27, reduction_factor=3, grace_period=1)
    assert (scheduler.levels, scheduler.sizes) == ((1.0, 3.0, 9.0), (27, 12, 6, 4))
    outcome = run(scheduler, Lines(27), workers=4, max_trials=49)
    assert outcome.rungs is not None
    sizes = [[len(r.losses) for _, r in sorted(outcome.rungs.bracket(b).items())] for b in range(4)]
    assert sizes == [[27, 9, 3], [12, 4], [6], []]
    first = [trial for number, trial in outcome.state.trials.items() if number <= 27]
    ended = [trial for trial in first if trial.status is TrialStatus.COMPLETED]
    assert ended == [max(first, key=lambda trial: trial.params["x"])]


@pytest.mark.parametrize("offset", [0.0, -1000.0, 1000.0])
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_the_cost_quantile_minds_no_sign(goal: str, offset: float) -> None:
    scheduler = CostQuantileScheduler(quantile=0.3, min_trials=5)
    ends = [trial.status for _, trial in sorted(run(scheduler, Lines(9, goal, offset)).state.trials.items())]
    plain = [trial.status for _, trial in sorted(run(scheduler, Lines(9)).state.trials.items())]
    assert ends == plain
    assert 3 <= ends.count(TrialStatus.STOPPED) <= 24


@pytest.mark.parametrize(("stragglers", "late"), [("wait", 0), ("leave", 1), ("stop", 0)])
def test_batches_wait_for_stragglers_or_do_not(stragglers: str, late: int) -> None:
    scheduler = resolve("batch", {"batch_size": 4, "stragglers": stragglers, "enough": 0.75})
    simulator = Simulator(
        scheduler, RandomOptimizer(SPACE, goal="maximize", settings={}, seed=0), _Uneven(), workers=8, max_trials=8
    )
    simulator.decide()
    assert len(simulator.state.trials) == 4, "a batch, though more workers are free"
    while len(simulator.state.trials) == 4:
        simulator.step()
    assert len([trial for trial in simulator.state.active if trial.number <= 4]) == late
    outcome = simulator.run()
    reasons = [trial.reason for trial in outcome.state.trials.values() if trial.status is TrialStatus.STOPPED]
    assert bool(reasons) == (stragglers == "stop")
    assert all("straggler of batch" in reason and "3 of 4 have ended" in reason for reason in reasons)


class _Uneven(Lines):
    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        return [(params["x"], epoch * (1 + 10 * params["x"])) for epoch in range(1, 10)]


def test_pbt_replaces_the_worst_by_copies_of_the_best() -> None:
    scheduler = PBTScheduler(population_size=10, num_generations=4, max_epochs=8, quorum=1.0)
    outcome = run(scheduler, Lines(8), workers=4, max_trials=40)
    trials = outcome.state.trials
    assert len(trials) == 40
    assert outcome.reason == "10 of 10 members have trained all 4 generations"
    for generation in (1, 2, 3):
        mine = [t for t in trials.values() if t.provenance.get("generation", 1) == generation]
        nexts = [t for t in trials.values() if t.provenance.get("generation", 1) == generation + 1]
        assert len(mine) == len(nexts) == 10
        scores = {t.number: t.params["x"] for t in mine}  # what a generation scores is in the order of x
        worst = sorted(scores, key=lambda n: scores[n])[:2]
        best = sorted(scores, key=lambda n: scores[n])[-2:]
        replaced = [t for t in nexts if "replaced" in t.provenance]
        assert len(replaced) == 2
        if generation == 1:  # later ones have curves that were begun with other parameters
            assert sorted(t.provenance["replaced"] for t in replaced) == sorted(worst)
            assert {t.provenance["parent"] for t in replaced} <= set(best)
        assert all(SPACE.contains(t.params) for t in nexts)


@pytest.mark.parametrize("method", ["perturb", "resample", "pb2"])
def test_mutations_stay_inside_the_space(method: str) -> None:
    space = Space.from_parameters(
        {
            "lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-2},
            "size": {"distribution": "uniform_pow2", "min": 16, "max": 64},
            "layers": {"distribution": "int_uniform", "min": 1, "max": 3},
            "gamma": {"distribution": "logit_normal", "min": 0.8, "max": 0.999},
            "kind": {"distribution": "categorical", "values": ["a", "b", "c"]},
            "fixed": {"distribution": "constant", "value": 7},
        },
        ["layers * 16 <= size"],
    )
    scheduler = PBTScheduler(population_size=4, num_generations=2, explore_method=method)  # type: ignore[arg-type]
    from sweeptui.core.schedulers.explore import EXPLORERS

    view = replace(view_of(scheduler, {}, "maximize"), space=space)
    params = space.center()
    seen = set()
    for seed in range(200):
        params = dict(EXPLORERS[method](view, Trial(1, params, 0, 0.0), random.Random(seed)))
        assert space.contains(params)
        assert space.allows(params)
        seen.add((params["size"], params["layers"], params["kind"]))
    assert len(seen) > 5


def test_pbt_copies_nobody_without_a_checkpoint() -> None:
    task, optimizer = Lines(8), RandomOptimizer(SPACE, goal="maximize", settings={}, seed=0)
    scheduler = PBTScheduler(population_size=3, num_generations=2, max_epochs=8)
    outcome = Simulator(scheduler, optimizer, task, max_trials=6, checkpoints=False).run()
    assert not any(isinstance(action, Stop | Fork) for _, action in outcome.actions)
    assert {trial.status for trial in outcome.state.trials.values()} == {TrialStatus.COMPLETED}
    assert len(outcome.state.trials) == 3


# -- W&B's early_terminate


def engine_of_wandb(curves: dict[int, list[float]], bands: list[int], eta: float) -> set[int]:
    """Which runs W&B's published engine ends, all of them running, for a goal to be minimized."""
    ended = set()
    for run, own in curves.items():
        reached = [band for band in bands if band < len(own)]
        if reached:
            values = sorted(curve[reached[-1]] for curve in curves.values() if len(curve) > reached[-1])
            if own[reached[-1]] > values[int(1.0 / eta * len(values))]:
                ended.add(run)
    return ended


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("settings", "bands"),
    [
        ({"min_iter": 3}, [3, 9, 27, 81]),
        ({"min_iter": 2, "eta": 2}, [2, 4, 8, 16, 32]),
        ({"max_iter": 27, "s": 2}, [3, 9]),
        ({"max_iter": 10, "s": 5, "eta": 2, "strict": True}, [1, 2, 5]),
    ],
)
def test_early_terminate_ends_the_runs_that_wandb_ends(settings: dict[str, float], bands: list[int], seed: int) -> None:
    draw = random.Random(seed)
    curves = {n: [draw.gauss(0, 1) for _ in range(draw.randint(1, 30))] for n in range(1, 25)}
    chosen = from_early_terminate({"type": "hyperband", **settings})
    tool_options = {key: value for key, value in chosen.items() if key != "name"}
    scheduler = resolve(chosen["name"], tool_options)
    assert isinstance(scheduler, EarlyTerminateScheduler)
    assert list(scheduler.bands[: len(bands)]) == bands
    expected = engine_of_wandb(curves, bands, settings.get("eta", 3))
    assert set(stopped(scheduler, view_of(scheduler, curves))) == expected
    turned = {n: [-value for value in curve] for n, curve in curves.items()}
    assert set(stopped(scheduler, view_of(scheduler, turned, "maximize"))) == expected


def test_values_that_are_none_are_not_counted_as_iterations() -> None:
    scheduler = EarlyTerminateScheduler(min_iter=1)
    view = view_of(scheduler, {1: [math.nan, 1.0], 2: [1.0, 1.0], 3: [1.0, 5.0]})
    assert view.rungs is not None
    assert view.rungs.highest(view.trials[1]) is None
    assert sorted(stopped(scheduler, view)) == [3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"type": "median"}, "early_terminate.type is 'median'; it must be 'hyperband'"),
        ({"type": "hyperband"}, "early_terminate: min_iter is missing; give min_iter, or max_iter and s"),
        ({"type": "hyperband", "max_iter": 9}, "early_terminate: s is missing; max_iter needs the number of bands"),
        ({"type": "hyperband", "min_iter": 0}, "early_terminate: min_iter is 0; it must be at least 1"),
    ],
)
def test_a_wrong_early_terminate_is_one_sentence(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as error:
        from_early_terminate(settings)
    assert str(error.value) == said


# -- how they are chosen


def tool(**fields: object) -> SweepTool:
    protein = {"metric": "score", "method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}}
    return SweepTool.from_json({"protein_config": protein, "train_command": ["true"], **fields})


def test_a_scheduler_may_be_a_name_a_mapping_or_an_object() -> None:
    options = {"max_epochs": 81, "reduction_factor": 3}
    by_map = tool(scheduler={"name": "asha", **options})
    by_fields = tool(scheduler="asha", scheduler_options=options)
    made = SweepTool(protein_config=by_map.protein_config, train_command=["true"], scheduler=ASHAScheduler(**options))
    assert by_map == by_fields == made
    assert SweepTool.from_json(made.to_json()) == made
    changed = made.with_overrides(["scheduler.reduction_factor=4"])
    assert resolve(changed.scheduler, changed.scheduler_options).reduction_factor == 4  # type: ignore[attr-defined]


def test_the_classes_of_the_examples_are_there() -> None:
    public.ASHAScheduler(max_epochs=100, reduction_factor=3, grace_period=10)
    public.SynchronousBatchScheduler(batch_size=10)
    public.PBTScheduler(population_size=20, num_generations=50, exploit_method="truncation", explore_method="perturb")

    class MyScheduler(public.Scheduler):
        def should_stop(self, trial: Trial) -> bool:
            return False

        def allocate_resources(self, trial: Trial) -> public.Resources:
            return public.Resources(gpus=1, time_limit=3600)

    assert isinstance(MyScheduler(), Scheduler)
    assert isinstance(SynchronousBatchScheduler(batch_size=10), Scheduler)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("asha", {"reduction_factor": 1}, "scheduler 'asha': reduction_factor is 1; it must be above 1"),
        ("asha", {"grace_period": 100}, "scheduler 'asha': grace_period is 100; it must be less than max_epochs (100)"),
        ("asha", {"brackets": 9}, "scheduler 'asha': brackets is 9; there are only 3 rungs below max_epochs (100)"),
        ("asha", {"eta": 3}, "scheduler 'asha': eta is not a field; "),
        ("pbt", {"explore_method": "guess"}, "scheduler 'pbt': explore_method is 'guess'; choose one of pb2, "),
        ("ashaa", {}, "scheduler is 'ashaa', which is not known; did you mean 'asha'?"),
        ("nowhere:Mine", {}, "scheduler is 'nowhere:Mine', which cannot be imported: "),
        ("json:JSONDecoder", {}, "scheduler 'json:JSONDecoder' is JSONDecoder, which is no subclass"),
    ],
)
def test_a_wrong_scheduler_is_one_sentence(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as error:
        resolve(name, options)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_the_command_line_takes_a_scheduler_and_its_options(tmp_path: Path) -> None:
    project = Project(tmp_path)
    words = ["--headless", "--json", "--max-trials", "2", "--scheduler", "asha"]
    project.run("run", "recipe.yaml", *words, "--scheduler-option", "reduction_factor=4")
    wrong = project.error("run", "recipe.yaml", *words, "--new", "--scheduler-option", "reduction_factor=1")
    assert "scheduler 'asha': reduction_factor is 1; it must be above 1" in wrong
    few = project.error("run", "recipe.yaml", "--headless", "--new", "--max-trials", "9", "--scheduler", "pbt")
    assert "max_trials is 9; a population of 8 for 10 generations needs 80" in few


# -- what the optimizer learns


def test_a_stopped_trial_is_an_observation_at_the_fidelity_it_reached() -> None:
    task, optimizer = Lines(27), RandomOptimizer(SPACE, goal="maximize", settings={}, seed=0)
    simulator = Simulator(ASHAScheduler(max_epochs=27, grace_period=1), optimizer, task, max_trials=12)
    state = simulator.run().state
    known = history(state.trials, 13, state.ended, fidelity=simulator.fidelity)
    assert len(known.observations) == 12
    assert not known.failures
    reached = {observation.number: observation.fidelity for observation in known.observations}
    assert {round(27 * fidelity) for fidelity in reached.values()} >= {1, 27}
    for number, fidelity in reached.items():
        assert fidelity == pytest.approx((state.trials[number].step or 0) / 27)
