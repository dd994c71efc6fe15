"""How much each parameter matters for the score, by several methods, and whether the data can tell.

    from sweeptui.core.analysis.evidence import evidence_of
    from sweeptui.core.analysis.importance import EVALUATORS, importance

    evidence = evidence_of(store.state, tool.space)        # of the first objective; `which=1` of the second, ...
    found = importance(tool.space, evidence, "mdi")        # raises UserError where it cannot be said, or MissingError
    for row in found.rows: row.parameter, row.mean, row.low, row.high, row.told
    found.warnings                                         # sentences for the reader: too few trials, ties, left out
    interactions, slices: `interactions.interactions` and `belief.Belief.slices`

Shares add up to 1 within an evaluator. "protein" needs no extra package and takes about a second; "ped-anova" and "mdi"
take a few seconds and "fanova" ten and more, whatever the size of the sweep (of long ones a part is looked at).
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.evidence import Evidence, TooFewTrialsError
from sweeptui.core.distributions import LogUniform
from sweeptui.core.errors import UserError, hint

if TYPE_CHECKING:
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Observation

EVALUATORS = ("fanova", "ped-anova", "mdi", "protein")
LIBRARY = ("fanova", "ped-anova", "mdi")
"""Optuna's; the forests of two of them are scikit-learn's."""
LEAST_TRIALS = 4
MOST_TRIALS = {"fanova": 200, "ped-anova": 2000, "mdi": 2000}
"""Of longer sweeps so many trials, drawn evenly: the time grows with them, and what can be told hardly."""
RESAMPLES = 20
SHUFFLES = 19
"""With the true order one in 20: what none of them reaches is told at the level of 5%."""
REPEATED_TREES, REPEATED_DEPTH = 8, 8
"""Of the forests that are grown again and again; what is told and what it is told from are grown alike."""
INTERVAL = (0.05, 0.95)

Shares = dict[str, float]
Evaluate = Callable[[Sequence["Observation"], int], Shares]


class MissingError(UserError):
    """A library is not installed: one sentence, with the command that installs it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter, by one evaluator."""

    parameter: str
    mean: float
    """Its share of the importance of all, from 0 to 1: what the evaluator says of the sweep's trials."""
    low: float
    high: float
    """The middle 90% of that share: over resampled trials, or, of Protein, over the lengthscales' posterior."""
    spread: float
    """Its standard deviation over the same."""
    told: bool
    """It stands out from what the same evaluator finds once the scores are shuffled among the trials."""


@dataclass(frozen=True, slots=True)
class Importance:
    evaluator: str
    metric: str
    trials: int
    """That were looked at."""
    rows: tuple[Row, ...]
    """The most important first."""
    warnings: tuple[str, ...] = ()

    @property
    def tells(self) -> bool:
        """Whether the data can tell any parameter's importance from chance."""
        return any(row.told for row in self.rows)

    @property
    def verdict(self) -> str:
        """One sentence: what of this can be relied on."""
        told = [row for row in self.rows if row.told]
        if not told:
            return f"{self.trials} trials cannot tell: with the scores shuffled, parameters look as important as this"
        names = ", ".join(row.parameter for row in told)
        first, second = self.rows[0], self.rows[1] if len(self.rows) > 1 else None
        said = f"more than chance: {names}"
        if second is not None and second.high >= first.low:
            said += f"; the order of {first.parameter} and {second.parameter} is not certain, their intervals overlap"
        return said


def importance(space: Space, evidence: Evidence, evaluator: str = "mdi", *, seed: int = 0) -> Importance:
    """The share of each searched parameter in what makes scores differ, the largest first.

    "fanova" (Hutter et al. 2014), "mdi" (mean decrease of impurity in a random forest) and "ped-anova" (Watanabe et al.
    2023: what sets the best tenth apart) are Optuna's, with its settings; `mean` is what
    `optuna.importance.get_param_importances` gives with `seed`. "protein" is by the lengthscales of Protein's models
    (`Belief.relevance`).

    `told` asks whether the share (of Protein, its part in what is foreseen of trials left out) stands out from what is
    found once the scores are shuffled (Altmann et al. 2010), by the largest deviation of all parameters at once
    (Westfall and Young 1993), so that of sweeps in which none matters one in 20 calls any important. Trials that were
    stopped early are Protein's alone: to the others their scores would look like results. A parameter that does not
    always exist stands at the centre of its axis where it does not; PED-ANOVA knows of such itself.

    Raises `TooFewTrialsError`, `MissingError`, and `UserError` for another evaluator.
    """
    if evaluator not in EVALUATORS:
        raise UserError(f"evaluator {evaluator!r} is not known; {hint(evaluator, EVALUATORS)}")
    if not space.axes:
        raise UserError("there is no parameter that is searched, so none is important")
    if len(space.axes) == 1:
        raise UserError(f"{space.axes[0]} is all that is searched, so all importance is its own; look at its slice")
    if evaluator in LIBRARY:
        _check_library(evaluator)
    notes = list(evidence.notes)
    observations = list(evidence.observations)
    if evaluator != "protein":
        observations = evidence.complete
        if stopped := len(evidence.observations) - len(observations):
            notes.append(f"{stopped} trials that were stopped early are left out")
        if len(observations) > (most := MOST_TRIALS[evaluator]):
            notes.append(f"{most} of {len(observations)} trials were looked at")
            drawn = random.Random(seed).sample(range(len(observations)), most)  # noqa: S311 - not cryptography
            observations = [observations[index] for index in sorted(drawn)]
    if len(observations) < LEAST_TRIALS:
        raise TooFewTrialsError(len(observations), LEAST_TRIALS)
    if len({each.score for each in observations}) == 1:
        raise UserError(f"all {len(observations)} trials have the same {evidence.metric}, so no parameter matters")
    if conditional := [name for name in space.axes if name in space.conditions.of]:
        notes.append(f"{', '.join(conditional)}: counted where there is such a parameter, at its centre elsewhere")
    if len(observations) < 2 * len(space.axes):
        notes.append(f"{len(observations)} trials for {len(space.axes)} parameters are few")
    given = replace(evidence, observations=observations)
    found = _by_protein(space, given, seed) if evaluator == "protein" else _by_library(space, given, evaluator, seed)
    rows = sorted(found, key=lambda row: (-row.mean, row.parameter))
    result = Importance(evaluator, evidence.metric, len(observations), tuple(rows), tuple(notes))
    return result if result.tells else replace(result, warnings=(result.verdict, *notes))


# -- Optuna's evaluators ----------------------------------------------------------------------------------------------


def _check_library(evaluator: str) -> None:
    needed = ["optuna"] if evaluator == "ped-anova" else ["optuna", "sklearn"]
    if any(find_spec(name) is None for name in needed):
        raise MissingError(
            f"the evaluator {evaluator} needs packages that are not installed; install them with: "
            "pip install 'sweeptui[analysis]' (the evaluator protein needs none)"
        )


def _by_library(space: Space, evidence: Evidence, evaluator: str, seed: int) -> list[Row]:
    study_of = _studies(space, evidence.goal, imputed=evaluator != "ped-anova")

    def shares(observations: Sequence[Observation], repeat: int | None) -> Shares:
        return _asked(study_of(observations), evaluator, seed if repeat is None else seed + repeat, space, repeat)

    whole = shares(evidence.observations, None)
    rng = random.Random(seed)  # noqa: S311 - not cryptography
    drawn = [
        shares(rng.choices(evidence.observations, k=len(evidence.observations)), 1 + index)
        for index in range(RESAMPLES)
    ]
    told = _stands_out(shares, evidence.observations, rng)
    return [_row(name, whole[name], [each[name] for each in drawn], name in told) for name in space.axes]


def _studies(space: Space, goal: str, *, imputed: bool) -> Callable[[Sequence[Observation]], Any]:
    import optuna  # noqa: PLC0415 - takes half a second
    from optuna.distributions import BaseDistribution, FloatDistribution  # noqa: PLC0415
    from optuna.trial import create_trial  # noqa: PLC0415

    from sweeptui.core.optimizers.adapters.optuna import distribution_of, told_value  # noqa: PLC0415

    # In the forests' evaluators Optuna averages over the values of a logarithmic axis, nine tenths of which lie in its
    # last decade. Given the place on the axis, as for any other axis that is not straight, it averages as is searched.
    straight = {name: imputed and isinstance(space.distributions[name], LogUniform) for name in space.axes}
    axes: dict[str, BaseDistribution] = {
        name: FloatDistribution(0.0, 1.0) if straight[name] else distribution_of(space.distributions[name])
        for name in space.axes
    }

    def place(name: str, value: Any) -> Any:
        ours = space.distributions[name]
        return ours.to_unit(value) if straight[name] else told_value(ours, value)

    def study_of(observations: Sequence[Observation]) -> Any:
        study = optuna.create_study(direction=goal)
        trials = []
        for each in observations:
            params = space.full(space.existing(each.params)) if imputed else space.existing(each.params)
            there = {name: axes[name] for name in space.axes if name in params}
            values = {name: place(name, params[name]) for name in there}
            trials.append(create_trial(params=values, distributions=there, value=each.score))
        study.add_trials(trials)
        return study

    return study_of


def _asked(study: Any, evaluator: str, seed: int, space: Space, repeat: int | None) -> Shares:
    from optuna import importance as optunas  # noqa: PLC0415 - takes half a second

    # One of many forests is a small one: a hundred trials take fANOVA seconds otherwise.
    size = {} if repeat is None else {"n_trees": REPEATED_TREES, "max_depth": REPEATED_DEPTH}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that something is experimental, and of few trials, which is said here
        asked: Any
        match evaluator:
            case "fanova":
                asked = optunas.FanovaImportanceEvaluator(seed=seed, **size)
            case "mdi":
                asked = optunas.MeanDecreaseImpurityImportanceEvaluator(seed=seed, **size)
            case _:
                asked = optunas.PedAnovaImportanceEvaluator()
        # By name: Optuna 5.0 looks at parameters in that order and labels what "mdi" finds in the order given.
        params = None if evaluator == "ped-anova" and space.conditions else sorted(space.axes)
        try:
            found = optunas.get_param_importances(study, evaluator=asked, params=params)
        except RuntimeError:  # of a draw in which all scores are the same nothing can be said
            return dict.fromkeys(space.axes, 1 / len(space.axes))
    return {name: float(found.get(name, 0.0)) for name in space.axes}


# -- Protein's lengthscales ------------------------------------------------------------------------------------------


def _by_protein(space: Space, evidence: Evidence, seed: int) -> list[Row]:
    import numpy as np  # noqa: PLC0415 - not for those who only ask what there is

    from sweeptui.core.analysis.belief import Belief  # noqa: PLC0415

    def foreseen(observations: Sequence[Observation], repeat: int) -> Shares:
        del repeat
        again = Belief(space, replace(evidence, observations=observations), seed=seed)
        return dict(zip(space.axes, again.foreseen().tolist(), strict=True))

    whole, draws = Belief(space, evidence, seed=seed).relevance()
    low, high = np.quantile(draws, INTERVAL, axis=0)
    rng = random.Random(seed)  # noqa: S311 - not cryptography
    told = _stands_out(foreseen, evidence.observations, rng, shares=False)
    return [
        Row(
            name,
            float(whole[axis]),
            min(float(low[axis]), float(whole[axis])),
            max(float(high[axis]), float(whole[axis])),
            float(draws[:, axis].std()),
            name in told,
        )
        for axis, name in enumerate(space.axes)
    ]


# -- what can be told ------------------------------------------------------------------------------------------------


def _row(name: str, whole: float, drawn: list[float], told: bool) -> Row:
    ordered = sorted(drawn)
    low, high = (ordered[round(level * (len(ordered) - 1))] for level in INTERVAL)
    return Row(name, whole, min(low, whole), max(high, whole), pstdev(drawn), told)


def _stands_out(
    evaluate: Evaluate, observations: Sequence[Observation], rng: random.Random, *, shares: bool = True
) -> set[str]:
    """The parameters whose values deviate further from the shuffled ones' than any shuffle's largest deviation.

    Then the others among themselves, and so on. Where values are `shares` of a whole they are first made shares of what
    is left: beside one that explains nearly all the rest looks like nothing.
    """
    scores = [each.score for each in observations]
    samples = [evaluate(observations, 0)]
    for index in range(SHUFFLES):
        rng.shuffle(scores)
        shuffled = [replace(each, score=score, scores=()) for each, score in zip(observations, scores, strict=True)]
        samples.append(evaluate(shuffled, index))
    told: set[str] = set()
    rest = set(samples[0])
    while len(rest) > int(shares) and (found := _beyond_chance([_within(each, rest, shares) for each in samples])):
        told |= found
        rest -= found
    return told


def _within(values: Shares, names: set[str], shares: bool) -> Shares:
    whole = sum(values[name] for name in names) if shares else 1.0
    return {name: values[name] / whole if whole > 0 else 1 / len(names) for name in names}


def _beyond_chance(samples: list[Shares]) -> set[str]:
    """Of the first sample, against all others.

    Shares are standardised by parameter: a forest gives a parameter of many values more than one of two, even of noise.
    The first sample is one of those that this is done by, so that under chance alone all are alike.
    """
    deviations: list[Shares] = [{} for _ in samples]
    for name in samples[0]:
        values = [each[name] for each in samples]
        centre, spread = fmean(values), pstdev(values)
        for deviation, value in zip(deviations, values, strict=True):
            deviation[name] = (value - centre) / spread if spread > 0 else 0.0
    threshold = max(max(deviation.values()) for deviation in deviations[1:])
    return {name for name, value in deviations[0].items() if value > threshold}
