"""All that a report says of a sweep, read once from its store and its logs; how it looks is decided elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis import triage
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.analysis.summary import recipe_of, tool_of
from sweeptui.core.ansi import sanitize
from sweeptui.core.files import Files
from sweeptui.core.logs import LogTail
from sweeptui.core.objectives import front, objectives_of, value_of
from sweeptui.core.trial import Stage, TrialStatus
from sweeptui.core.wording import short_names
from sweeptui.survey import sight
from sweeptui.writeup.thinning import by_rank, by_stretches

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.analysis.ranking import Ranked
    from sweeptui.core.analysis.triage import Group, Telling
    from sweeptui.core.config import SweepTool
    from sweeptui.core.objectives import Member, Objectives
    from sweeptui.core.state import SweepState
    from sweeptui.core.stores.rows import ScoreRow
    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.core.trial import Job, Trial

MAX_CURVES = 20
"""The best half, and the rest at even steps through the ranking of the others."""
MAX_CURVE_POINTS = 200
MAX_FAILURES = 30
"""Groups of failed trials; the most frequent."""
LOG_END_BYTES = 1 << 16
MAX_LOG_LINES = 25
"""Of a log without a traceback."""
LOGARITHMIC = frozenset({"log_normal", "int_log_normal", "uniform_pow2"})


@dataclass(frozen=True, slots=True)
class Curve:
    trial: Trial
    steps: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Trials that failed with the same error."""

    group: Group
    telling: tuple[Telling, ...]
    log: tuple[str, ...]
    """The traceback of the newest, or else its log's last lines; safe to show."""


@dataclass(frozen=True, slots=True)
class Content:
    state: SweepState
    folder: Path
    label: str
    """The sweep's state in one word, as it really is."""
    tool: SweepTool
    at: float
    """When it was read, in seconds since the epoch."""
    objectives: Objectives
    order: tuple[Ranked, ...]
    """The trials with a result, best first; of several metrics, by the first."""
    front: tuple[Member, ...]
    """Of several metrics; empty with one."""
    curves: tuple[Curve, ...]
    """Best first."""
    failures: tuple[Failure, ...]
    params: tuple[str, ...]
    """What was searched: the parameters that are not the same in all trials."""
    names: dict[str, str]
    """Their short names."""

    @property
    def trials(self) -> list[Trial]:
        """By number, without replicates."""
        return [trial for _, trial in sorted(self.state.trials.items()) if not trial.is_replicate]

    @property
    def best(self) -> Ranked | None:
        return self.order[0] if self.order else None

    @property
    def metric(self) -> str:
        return self.objectives[0].name

    @property
    def maximize(self) -> bool:
        return self.objectives[0].goal == "maximize"

    @property
    def spent(self) -> float:
        """In the cost unit, by all trials, failed ones too."""
        return math.fsum(trial.spent for trial in self.state.trials.values() if math.isfinite(trial.spent))

    @property
    def recipe(self) -> str:
        return str(self.state.config.get("launch", {}).get("recipe") or recipe_of(self.state))

    @property
    def surroundings(self) -> dict[str, Any]:
        """What was kept when the sweep was started; {} of one that was made by an older version."""
        return dict(self.state.config.get("launch", {}).get("surroundings") or {})

    def counted(self, *statuses: TrialStatus) -> int:
        return sum(trial.status in statuses for trial in self.trials)

    def logarithmic(self, name: str) -> bool:
        how = self.state.config.get("protein_config", {}).get("parameters", {}).get(name, {})
        return how.get("distribution") in LOGARITHMIC

    def values(self, trial: Trial) -> tuple[float | None, ...]:
        """The trial's value of each objective."""
        return tuple(value_of(trial, self.objectives, which) for which in range(len(self.objectives)))


def gather(folder: Path, store: SqliteStore, at: float) -> Content:
    """Read a sweep. Raises `UserError` where its configuration cannot be read."""
    state = store.state
    objectives = objectives_of(state.config)
    order = ranked(state.trials.values(), objectives[0].goal, lambda trial: value_of(trial, objectives, 0))
    trials = [trial for _, trial in sorted(state.trials.items()) if not trial.is_replicate]
    params = _searched(state, trials)
    return Content(
        state=state,
        folder=folder,
        label=sight(folder, store).label,
        tool=tool_of(state),
        at=at,
        objectives=objectives,
        order=tuple(order),
        front=tuple(front(trials, objectives)) if len(objectives) > 1 else (),
        curves=tuple(_curves(store, order)),
        failures=tuple(
            Failure(group, tuple(triage.telling(group, trials)), tuple(_log_of(folder, store, group.trials[-1])))
            for group in triage.groups(trials)[:MAX_FAILURES]
        ),
        params=params,
        names=short_names(params),
    )


def _searched(state: SweepState, trials: list[Trial]) -> tuple[str, ...]:
    """The parameters with more than one value, in the order of the configuration."""
    given = state.config.get("protein_config", {}).get("parameters", {})
    names = dict.fromkeys([*given, *(name for trial in trials for name in trial.params)])
    if len(trials) < 2:
        return tuple(name for name in names if given.get(name, {}).get("distribution") != "constant")
    return tuple(name for name in names if len({repr(trial.params.get(name)) for trial in trials}) > 1)


def _curves(store: SqliteStore, order: list[Ranked]) -> list[Curve]:
    half = MAX_CURVES // 2
    rest = order[half:]
    chosen = [*order[:half], *(rest[place] for place in by_rank(len(rest), MAX_CURVES - half))]
    found = []
    for each in chosen:
        points = curve(store.scores(each.trial.number, Stage.TRAIN))
        if len(points) > 1:
            scores = [score for _, score in points]
            kept = [points[place] for place in by_stretches(scores, MAX_CURVE_POINTS)]
            found.append(Curve(each.trial, tuple(step for step, _ in kept), tuple(score for _, score in kept)))
    return found


def curve(rows: list[ScoreRow]) -> list[tuple[float, float]]:
    """Steps and scores by step. An attempt that resumed goes on with the curve: what it comes by again counts anew."""
    found: dict[float, float] = {}
    job = rows[0].job if rows else 0
    for place, row in enumerate(rows):
        step = float(place) if row.step is None else row.step
        if not (math.isfinite(step) and math.isfinite(row.score)):
            continue
        if row.job != job:
            job, begins = row.job, step
            found = {known: score for known, score in found.items() if known < begins}
        found[step] = row.score
    return sorted(found.items())


def _log_of(folder: Path, store: SqliteStore, trial: Trial) -> list[str]:
    jobs: list[Job] = store.jobs(trial.number)
    path = Files(folder).log(jobs[-1]) if jobs else None
    if path is None or not path.is_file():
        return []
    try:
        lines = LogTail(path, max(0, path.stat().st_size - LOG_END_BYTES)).rest()
    except OSError:
        return []
    safe = [sanitize(line, colour=False).rstrip() for line in lines]
    return triage.last_traceback("\n".join(safe)) or safe[-MAX_LOG_LINES:]
