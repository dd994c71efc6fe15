"""The optimizers beside Protein: what each of them is for."""

from __future__ import annotations

import json
import random
import statistics

import pytest
from scipy.stats import qmc

from sweeptui import cli
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial, SpaceExhaustedError
from sweeptui.core.optimizers.registry import check, resolve
from sweeptui.core.space import Choice, Integer, LogUniform, Space, Uniform
from sweeptui.core.trial import Observation

SQUARE = Space.from_parameters({"x": Uniform(0.0, 1.0), "y": Uniform(0.0, 1.0)})


def search(method, space, score, trials, *, goal="maximize", seed=0, cost=lambda params: 1.0):
    """What a sweep of `trials`, one at a time, gives."""
    chooser = resolve(method)(space, goal=goal, settings={}, seed=seed)
    done = []
    for number in range(1, trials + 1):
        [suggestion] = chooser.suggest(History(tuple(done)), number)
        params = suggestion.params
        done.append(Observation(number, params, score(params), cost(params)))
    return done


def bowl(params):
    return -((params["x"] - 0.3) ** 2) - (params["y"] - 0.8) ** 2


def test_a_grid_is_walked_in_order_and_once():
    space = Space.from_parameters({"n": Integer(1, 3), "act": Choice(["relu", None])})
    chooser = resolve("grid")(space, goal="maximize", settings={}, seed=0)
    walked = [dict(s.params) for s in chooser.suggest(History(), 1, 9)]
    assert walked == [{"n": n, "act": act} for n in (1, 2, 3) for act in ("relu", None)]
    tried = History((Observation(1, walked[1], 1.0, 1.0),), (FailedTrial(2, walked[0], "crashed"),),
                    (PendingTrial(3, walked[3]),))  # fmt: skip
    assert [dict(s.params) for s in chooser.suggest(tried, 4, 2)] == [walked[2], walked[4]]
    everything = History(tuple(Observation(k, params, 1.0, 1.0) for k, params in enumerate(walked, 1)))
    with pytest.raises(SpaceExhaustedError):
        chooser.suggest(everything, 7)


def test_a_huge_grid_costs_nothing_to_begin():
    space = Space.from_parameters({f"n{k}": Integer(1, 1_000_000) for k in range(8)})
    [first] = resolve("grid")(space, goal="maximize", settings={}, seed=0).suggest(History(), 1)
    assert set(first.params.values()) == {1}


def test_sobol_points_cover_better_than_random_ones():
    def discrepancy(method):
        return qmc.discrepancy([SQUARE.encode(o.params) for o in search(method, SQUARE, bowl, 64)])

    assert discrepancy("sobol") < discrepancy("random") / 3


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_genetic_search_ends_nearer_than_random_search(goal):
    sign = 1.0 if goal == "maximize" else -1.0

    def gap(method, seed):
        return min(-sign * o.score for o in search(method, SQUARE, lambda p: sign * bowl(p), 60, goal=goal, seed=seed))

    genetic = [gap("genetic", seed) for seed in range(9)]
    assert statistics.median(genetic) < statistics.median(gap("random", seed) for seed in range(9)) / 2


def test_genetic_parents_are_on_the_front_of_score_and_cost():
    rng = random.Random(0)
    points = [{"x": rng.random(), "y": rng.random()} for _ in range(30)]
    done = [Observation(k, p, p["x"], 0.1 + p["x"] + p["y"]) for k, p in enumerate(points, 1)]
    front = {a.number for a in done if not any(b.score >= a.score and b.cost <= a.cost and b != a for b in done)}
    children = resolve("genetic")(SQUARE, goal="maximize", settings={}, seed=0).suggest(History(tuple(done)), 31, 40)
    parents = {number for child in children for number in child.provenance["parents"]}
    assert parents <= front
    assert len(parents) > 1


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("optuna:GPSampeler", "Optuna has no sampler 'GPSampeler'; did you mean 'GPSampler'?"),
        ("optuna:GridSampler", "use method 'grid'"),
        ("optuna:PartialFixedSampler", "cannot be made"),
        ("nevergrad:Nothing", "Nevergrad has no optimizer 'Nothing'"),
        ("nevergrad:NGOpt", "cannot be asked while a trial is pending"),
    ],
)
def test_a_variant_that_is_not_to_be_had_is_refused_in_one_sentence(method, sentence):
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        resolve(method)(SQUARE, goal="maximize", settings={}, seed=0)


def test_a_library_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr("sweeptui.core.optimizers.registry.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'sweeptui\[ax\]'"):
        check("ax")


def test_what_breaks_in_a_library_costs_one_suggestion_and_says_so(monkeypatch):
    chooser = resolve("optuna")(SQUARE, goal="maximize", settings={}, seed=0)
    monkeypatch.setattr(chooser, "choose", lambda told, number: 1 / 0)
    [suggestion] = chooser.suggest(History(), 1)
    assert suggestion.provenance["method"] == "random"
    assert "optuna:TPESampler raised ZeroDivisionError" in suggestion.provenance["fallback"]
    assert SQUARE.contains(suggestion.params)


def test_tpe_is_told_about_scores():
    space = Space.from_parameters({"x": LogUniform(1e-4, 1.0), "kind": Choice(["bad", "good"])})
    done = search("optuna", space, lambda p: (p["kind"] == "good") - abs(p["x"] - 0.01), 40)
    assert sum(o.params["kind"] == "good" for o in done[20:]) > 13


def run(tmp_path, capsys, *arguments):
    code = cli.main([*arguments, "--root", str(tmp_path)])
    return code, *capsys.readouterr()


def test_a_sweep_runs_with_another_library(tmp_path, capsys):
    code, out, err = run(tmp_path, capsys, "quick_test", "--max-trials", "3", "--headless", "--method",
                         "optuna:TPESampler", "--sweep-name", "tpe")  # fmt: skip
    assert code == 0, out + err
    code, out, _ = run(tmp_path, capsys, "show", "tpe", "--json")
    methods = [trial["provenance"]["method"] for trial in json.loads(out)["trials"]]
    assert methods == ["optuna:TPESampler"] * 3


def test_a_mistake_in_the_variant_starts_no_sweep(tmp_path, capsys):
    code, out, err = run(
        tmp_path, capsys, "quick_test", "--headless", "--method", "optuna:TPESample", "--sweep-name", "tpe"
    )
    assert code == 2
    assert "Optuna has no sampler 'TPESample'; did you mean 'TPESampler'?" in err
    assert "Traceback" not in out + err
    assert not list(tmp_path.rglob("*.db"))
