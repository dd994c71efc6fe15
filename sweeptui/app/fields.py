"""What can be asked of a trial by name: what the table's columns, its order and its filter have in common."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

from sweeptui.app import wording
from sweeptui.core.errors import UserError
from sweeptui.core.objectives import Objectives, number_in
from sweeptui.core.stagewords import Doing
from sweeptui.core.trial import FailureKind, Job, Trial, TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot

Value = float | str
"""What a field says of a trial: NaN or nothing where it is not known."""
Read = Callable[["Trial", "Look"], Value]
UNKNOWN = math.nan
MASKS = 32
SAMPLE = 500
"""So many of the newest trials say which values a parameter has."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a trial's fields depend on besides the trial."""

    running: Mapping[int, Job] = field(default_factory=dict)
    at: float = 0.0
    """Epoch seconds."""
    stages: Doing = field(default_factory=Doing)
    """`Snapshot.stages`."""


class Kind(Enum):
    NUMBER = auto()
    SECONDS = auto()
    PERCENT = auto()
    TEXT = auto()
    STATE = auto()
    """All that a state is called, each word between two `BREAK`."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    name: str
    """As it is in the table's header, in lower case."""
    kind: Kind
    value: Read
    """A float where the kind is numeric, else text in lower case."""
    aliases: tuple[str, ...] = ()
    rank: Read | None = None
    """What it is sorted by where that is not its value."""
    live: bool = False
    """Whether it changes while its trial runs, without a change of the trial."""
    descending: bool = False
    """Whether its order begins with the greatest."""
    choices: tuple[str, ...] = ()
    """The values that are worth offering."""

    @property
    def numeric(self) -> bool:
        return self.kind in (Kind.NUMBER, Kind.SECONDS, Kind.PERCENT)


def known(value: Value) -> bool:
    return value == value and value != ""  # noqa: PLR0124 - NaN is not itself


class Maskable(Protocol):
    def mask(self, values: Values) -> bytes: ...


class Values:
    """What the fields say of each of some trials. A field is read once, and again where something has changed."""

    def __init__(self, trials: Sequence[Trial], look: Look) -> None:
        self._trials = trials
        self._look = look
        self._columns: dict[Read, list[Any]] = {}
        self._masks: dict[Maskable, bytes] = {}

    def __len__(self) -> int:
        return len(self._trials)

    def of(self, read: Read) -> list[Any]:
        """A value for each trial, in their order."""
        column = self._columns.get(read)
        if column is None:
            look = self._look
            column = self._columns[read] = [read(trial, look) for trial in self._trials]
        return column

    def update(self, trials: Sequence[Trial], look: Look, changed: Iterable[int]) -> None:
        """The trials are others at these places, and there may be more of them."""
        self._trials, self._look = trials, look
        places = list(changed)
        self._masks.clear()
        for read, column in self._columns.items():
            for place in places:
                column[place] = read(trials[place], look)
            column += [read(trial, look) for trial in trials[len(column) :]]

    def mask(self, term: Maskable) -> bytes:
        """Which of them meet a term: of a query, all but what is being typed was asked at the key before."""
        mask = self._masks.get(term)
        if mask is None:
            if len(self._masks) >= MASKS:
                self._masks.clear()
            mask = self._masks[term] = term.mask(self)
        return mask

    def part(self, places: Iterable[int]) -> Values:
        return Values([self._trials[place] for place in places], self._look)


# -- the words for a trial's state

RUNNING = "running"
OVER = "over"
_ORDER = (
    TrialStatus.EVALUATING,
    TrialStatus.TRAINING,
    TrialStatus.PAUSED,
    TrialStatus.TRAINED,
    TrialStatus.PENDING,
    TrialStatus.COMPLETED,
    TrialStatus.STOPPED,
    TrialStatus.FAILED,
    TrialStatus.KILLED,
)
"""What goes on comes first."""
_RANK = {status: float(rank) for rank, status in enumerate(_ORDER)}


BREAK = "\n"


def _words(status: TrialStatus, failure: FailureKind | None, first: str) -> str:
    """What a state is called: on the screen (`first`, where that is not its own word), in the database, and together
    with others."""
    words = [first] if first else []
    if failure is not None and status is TrialStatus.FAILED:
        words += [wording.failure_word(failure), failure.value]
    words += [wording.status_state(status).word, status.value]
    words += [RUNNING] * (status in (TrialStatus.TRAINING, TrialStatus.EVALUATING)) + [OVER] * status.terminal
    return BREAK + BREAK.join(dict.fromkeys(words)) + BREAK


_STATES = {(status, failure): _words(status, failure, "") for status in _ORDER for failure in (None, *FailureKind)}
STATE_WORDS = (
    tuple(dict.fromkeys(word for words in _STATES.values() for word in words.strip(BREAK).split(BREAK)))
    + wording.ENDING_WORDS
)


def _state(trial: Trial, look: Look) -> str:
    job = look.running.get(trial.number)
    shown = wording.ending_word(job) or look.stages.of(trial, job)
    return _words(trial.status, trial.failure, shown) if shown else _STATES[trial.status, trial.failure]


# -- the fields


def run_time(trial: Trial, at: float) -> float | None:
    """Seconds from its first start to its end, or to now."""
    if trial.started_at is None:
        return None
    return (trial.ended_at if trial.ended_at is not None else at) - trial.started_at


def share_done(trial: Trial) -> float | None:
    """How far its training got: 0 to 1, None where it does not say."""
    if trial.step is None or not trial.total_steps or trial.total_steps < 0:
        return None
    return min(1.0, max(0.0, trial.step / trial.total_steps))


def slot_name(job: Job | None) -> str:
    """What a job runs on: the GPUs it was given, the number of its slot, or another machine."""
    if job is None:
        return ""
    if "on" in job.slot:
        return str(job.slot.get("infra") or job.slot["on"])
    gpus, index = job.slot.get("gpus"), job.slot.get("index")
    if gpus:
        return "gpu " + ",".join(str(gpu) for gpu in gpus)
    return "" if index is None else str(index)


def _number(value: float | None) -> float:
    return UNKNOWN if value is None else float(value)


def _percent(trial: Trial, _look: Look) -> float:
    share = share_done(trial)
    return UNKNOWN if share is None else 100 * share


def _score(trial: Trial, _look: Look) -> float:
    return UNKNOWN if trial.score is None else trial.score


def _result(trial: Trial, _look: Look) -> float:
    """What a failed or killed trial reported last is no result."""
    lost = trial.score is None or trial.status is TrialStatus.FAILED or trial.status is TrialStatus.KILLED
    return UNKNOWN if lost or trial.score is None else trial.score


def _metric(name: str) -> Read:
    def value(trial: Trial, _look: Look) -> float:
        return _number(number_in(trial.metrics, name))

    return value


def _method(trial: Trial, _look: Look) -> str:
    return wording.param(trial.provenance.get("method", "")).lower()


def _param(path: str, kind: Kind) -> Read:
    def text(trial: Trial, _look: Look) -> str:
        found = trial.params.get(path)
        return "" if found is None else str(found).lower()

    def number(trial: Trial, _look: Look) -> float:
        found = trial.params.get(path)
        return float(found) if type(found) is float or type(found) is int else UNKNOWN

    return text if kind is Kind.TEXT else number


def _anything(paths: tuple[str, ...]) -> Read:
    def value(trial: Trial, look: Look) -> str:
        own = f"{trial.id}{_state(trial, look)}{trial.reason}{BREAK}{trial.provenance.get('method', '')}"
        return BREAK.join((own, *(str(trial.params.get(path, "")) for path in paths)) if paths else (own,)).lower()

    return value


class Fields:
    """All fields of a sweep. The same object as long as they are the same."""

    def __init__(
        self,
        params: tuple[str, ...],
        sample: Sequence[Trial] = (),
        *,
        unit: str = "seconds",
        goal: str = "maximize",
        space: Mapping[str, Any] | None = None,
        objectives: Objectives = (),
        stages: Iterable[str] = (),
    ) -> None:
        """`objectives`: where there are several; the score is that of the first. `space` says which parameters have
        words for values; where it does not, the sample of trials does. `stages`: what a trial may be said to do
        besides."""
        cost = Kind.SECONDS if unit == "seconds" else Kind.NUMBER
        methods = {_method(trial, Look()) for trial in sample} - {""}
        self.state = Field(
            "state",
            Kind.STATE,
            _state,
            ("status",),
            live=True,
            # Of "evaluating 2/3" the first word will do.
            choices=tuple(dict.fromkeys((*STATE_WORDS, *(word.split()[0] for word in stages)))),
            rank=lambda trial, _: _RANK[trial.status],
        )
        own = [
            Field("#", Kind.NUMBER, lambda trial, _: float(trial.number), ("trial", "number")),
            self.state,
            Field("score", Kind.NUMBER, _score, tuple(each.name.lower() for each in objectives[:1]), rank=_result,
                  descending=goal == "maximize"),
            Field("progress", Kind.PERCENT, _percent, ("done",), descending=True),
            Field("time", Kind.SECONDS, lambda trial, look: _number(run_time(trial, look.at)), live=True,
                  descending=True),
            Field("cost", cost, lambda trial, _: _number(trial.cost), descending=True),
            Field("try", Kind.NUMBER, lambda trial, _: float(trial.attempt), ("attempt",), descending=True),
            Field("slot", Kind.TEXT, lambda trial, look: slot_name(look.running.get(trial.number)), live=True),
            Field("step", Kind.NUMBER, lambda trial, _: _number(trial.step), descending=True),
            Field("reason", Kind.TEXT, lambda trial, _: trial.reason.lower()),
            Field("method", Kind.TEXT, _method, choices=tuple(sorted(methods))),
        ]  # fmt: skip
        others: list[Field] = []
        for each in objectives[1:]:
            own_names = {name for field in own for name in (field.name, *field.aliases)}
            name = f"metric.{each.name}" if each.name.lower() in own_names else each.name
            others.append(Field(name.lower(), Kind.NUMBER, _metric(each.name), descending=each.goal == "maximize"))
        own += others
        self.metrics: tuple[str, ...] = tuple(each.name for each in others)
        """The fields of all metrics but the first."""
        taken = {name for field in own for name in (field.name, *field.aliases)}
        swept = []
        for path, short in wording.short_names(params).items():
            values = (space or {}).get(path, {}).get("values") or [trial.params.get(path) for trial in sample]
            words = {str(value).lower() for value in values if _is_text(value)}
            kind = Kind.TEXT if words else Kind.NUMBER
            choices = tuple(sorted({str(value).lower() for value in values if value is not None})) if words else ()
            name = path.lower() if short.lower() in taken else short.lower()
            swept.append(Field(name, kind, _param(path, kind), (path.lower(),), choices=choices))
        self.all: tuple[Field, ...] = (*own, *swept)
        texts = tuple(path for path, each in zip(params, swept, strict=True) if each.kind is Kind.TEXT)
        self.anywhere = Field("text", Kind.TEXT, _anything(texts), live=True)
        """What free text is looked for in: the id, the state, the reason, the method, parameters that are words."""
        self.by_param: Mapping[str, Field] = dict(zip(params, swept, strict=True))
        self._by_name = {name: each for each in self.all for name in (each.name, *each.aliases)}
        self._by_name |= _abbreviations(swept, self._by_name.keys())

    @staticmethod
    def key(snapshot: Snapshot) -> tuple[object, ...]:
        """Other fields are needed where this differs."""
        return (
            snapshot.params,
            snapshot.cost_unit,
            snapshot.goal,
            snapshot.parameters,
            not snapshot.trials,
            snapshot.objectives,
            tuple(snapshot.stages.words.values()),
        )

    @classmethod
    def of(cls, snapshot: Snapshot) -> Fields:
        sample = snapshot.trials[-SAMPLE:]
        unit, goal, space = snapshot.cost_unit, snapshot.goal, snapshot.parameters
        return cls(
            snapshot.params,
            sample,
            unit=unit,
            goal=goal,
            space=space,
            objectives=snapshot.objectives,
            stages=snapshot.stages.words.values(),
        )

    def find(self, name: str) -> Field:
        """The field with this name, another of its names, its initials or the only one that begins so.

        Raises `UserError` with the nearest name.
        """
        name = name.lower()
        if (exact := self._by_name.get(name)) is not None:
            return exact
        begun = {other: found for other, found in self._by_name.items() if other.startswith(name)}
        if len(set(begun.values())) == 1:
            return next(iter(begun.values()))
        if begun:
            raise UserError(f"{name} could be {' or '.join(sorted(found.name for found in set(begun.values())))}")
        near = get_close_matches(name, self._by_name, n=1)
        raise UserError(
            f"no field is called {name}" + (f": did you mean {near[0]}?" if near else "; put text in quotes")
        )

    def named(self, name: str) -> Field | None:
        """The field with exactly this name."""
        return next((found for found in self.all if found.name == name), None)


def _is_text(value: object) -> bool:
    return value is not None and type(value) is not int and type(value) is not float


def _abbreviations(fields: Iterable[Field], taken: Iterable[str]) -> dict[str, Field]:
    """`lr` for learning_rate, where that is clear."""
    found: dict[str, list[Field]] = {}
    for each in fields:
        parts = re.split(r"[_\W]+", each.name)
        if len(parts) > 1:
            found.setdefault("".join(part[:1] for part in parts), []).append(each)
    return {short: each[0] for short, each in found.items() if len(each) == 1 and short not in taken}
