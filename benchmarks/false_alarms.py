"""How often something is said to matter in sweeps in which nothing does: `python -m benchmarks.false_alarms`.

Scores are noise, so whatever is told is a false alarm. Measured are, over many seeds:

    the importance evaluators      that any parameter stands out by one of them ("the trials can tell"); aim 5%
    interactions                   that any two parameters are told to act together; aim 5%
    columns                        that any column is put first at the end of a sweep, or ever while it grows; aim 5%
    validate                       that any of three gains over the default is "real"; aim 5%

`--search random` draws the configurations at random; `--search tpe` lets Optuna's TPE choose them by the noise, as an
optimizer does, so that trials gather where it was lucky. `--only` names some of the measures, `--seeds` is how many
sweeps each evaluator is asked of, with a tenth of the time each for what is cheap.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable

from benchmarks.tables import table
from sweeptui.app.leading import GROWN
from sweeptui.core.analysis.belief import Belief
from sweeptui.core.analysis.evidence import Evidence
from sweeptui.core.analysis.importance import EVALUATORS, importance
from sweeptui.core.analysis.interactions import interactions as together
from sweeptui.core.analysis.replicates import gain
from sweeptui.core.analysis.screening import LEAST_TRIALS, told
from sweeptui.core.optimizers import registry
from sweeptui.core.optimizers.base import History
from sweeptui.core.settings import ProteinSettings
from sweeptui.core.space import Space
from sweeptui.core.trial import Observation

SPACE = Space.from_parameters(
    {
        "lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-1, "mean": 1e-3},
        "gamma": {"distribution": "logit_normal", "min": 0.8, "max": 0.9999, "mean": 0.99},
        "width": {"distribution": "uniform_pow2", "min": 16, "max": 1024},
        "dropout": {"distribution": "uniform", "min": 0.0, "max": 0.5},
        "activation": {"values": ["relu", "tanh", "gelu"]},
        "layers": {"distribution": "int_uniform", "min": 1, "max": 4},
    }
)
VALIDATED, REPLICATES = 3, 10
CHEAP = 10
"""So many times as many sweeps for what takes milliseconds."""


def sweep(trials: int, seed: int, search: str) -> list[Observation]:
    """A search for nothing."""
    rng = random.Random(seed)
    name = {"random": "random", "tpe": "optuna"}[search]
    optimizer = registry.made(registry.resolve(name), SPACE, ["maximize"], ProteinSettings().model_dump(), seed)
    found: list[Observation] = []
    for number in range(1, trials + 1):
        [suggestion] = optimizer.suggest(History(found, []), number, 1)
        found.append(Observation(number, suggestion.params, rng.gauss(0, 1), 1.0))
    return found


def evidence(observations: list[Observation]) -> Evidence:
    return Evidence("score", "maximize", observations)


def by(evaluator: str) -> Callable[[list[Observation], int], bool]:
    return lambda found, seed: importance(SPACE, evidence(found), evaluator, seed=seed).tells


def interactions(found: list[Observation], seed: int) -> bool:
    known = evidence(found)
    return any(each.told for each in together(SPACE, known, Belief(SPACE, known, seed=seed), seed=seed))


def columns(found: list[Observation], _seed: int) -> bool:
    return bool(told(SPACE.axes, [(each.params, each.score) for each in found]))


def columns_ever(found: list[Observation], _seed: int) -> bool:
    """As the cockpit looks while a sweep grows, whose order changes when two looks agree."""
    count, order, before = LEAST_TRIALS, (), None
    while count <= len(found):
        now = tuple(told(SPACE.axes, [(each.params, each.score) for each in found[:count]]))
        order = now if before in (None, now) else order
        if order:
            return True
        before, count = now, max(count + 1, math.ceil(count * GROWN))
    return False


def validated(_found: list[Observation], seed: int) -> bool:
    rng = random.Random(-1 - seed)
    scores = [{k: rng.gauss(0, 1) for k in range(REPLICATES)} for _ in range(1 + VALIDATED)]
    return any(gain(ours, scores[0], "maximize", VALIDATED).verdict == "real" for ours in scores[1:])


MEASURES: dict[str, tuple[Callable[[list[Observation], int], bool], bool]] = {
    **{f"importance by {name}": (by(name), False) for name in EVALUATORS},
    "interactions": (interactions, False),
    "columns, at the end": (columns, True),
    "columns, ever": (columns_ever, True),
    "validate, any gain of three": (validated, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--search", choices=("random", "tpe"), default="random")
    parser.add_argument("--only", nargs="*", default=(), help="measures whose names begin so")
    given = parser.parse_args()
    rows = []
    for name, (alarm, cheap) in MEASURES.items():
        if given.only and not name.startswith(tuple(given.only)):
            continue
        seeds = given.seeds * (CHEAP if cheap and given.search == "random" else 1)
        count = sum(alarm(sweep(given.trials, seed, given.search), seed) for seed in range(seeds))
        rate = count / seeds
        doubt = 1.96 * math.sqrt(max(rate, 1 / seeds) * (1 - rate) / seeds)
        rows.append([name, str(seeds), f"{100 * rate:.1f}%", f"± {100 * doubt:.1f}"])
        print(*rows[-1], flush=True)
    print(f"\n{given.trials} trials, search: {given.search}, {len(SPACE.axes)} parameters\n")
    print(table(["false alarms of", "sweeps", "rate", "95%"], rows))


if __name__ == "__main__":
    main()
