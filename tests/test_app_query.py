"""The filter's language, and the order: over trials made by hand, without a screen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeptui.app.arrange import Arrangement, Marks
from sweeptui.app.fields import Fields, Kind, Look, Values
from sweeptui.app.query import QueryError, complete, parse
from sweeptui.app.typed import parse_number
from sweeptui.core.errors import UserError
from sweeptui.core.stagewords import Doing
from sweeptui.core.trial import FailureKind, Job, JobOutcome, Stage, Trial, TrialStatus

LR, CLIP, ALGO = "trainer.learning_rate", "trainer.clip_coef", "trainer.algorithm"
SPACE = {ALGO: {"distribution": "categorical", "values": ["ppo", "Sac v2"]}}
FIELDS = Fields((LR, CLIP, ALGO), space=SPACE)
NOW = 10_000.0


def trial(number: int, status: TrialStatus = TrialStatus.COMPLETED, **fields: Any) -> Trial:
    params = {LR: number / 1000, CLIP: 0.2, ALGO: "ppo" if number % 2 else "Sac v2"}
    return Trial(number, {**params, **fields.pop("params", {})}, 1, 0.0, status=status, **fields)


TRIALS = (
    trial(1, score=0.5, cost=30.0, started_at=0.0, ended_at=40.0, attempt=1, step=500, total_steps=1000),
    trial(2, score=0.8124, cost=90.0, started_at=0.0, ended_at=400.0, attempt=2, provenance={"method": "protein"}),
    trial(3, TrialStatus.FAILED, failure=FailureKind.OUT_OF_MEMORY, reason="CUDA out of memory (x)", score=0.9),
    trial(4, TrialStatus.FAILED, failure=FailureKind.CRASHED, reason="exit 1"),
    trial(5, TrialStatus.TRAINING, score=0.3, started_at=NOW - 60),
    trial(6, TrialStatus.KILLED, score=math.nan, reason='killed by ada "x y"'),
    trial(12, TrialStatus.PENDING, params={CLIP: 0.25}),
)
RUNNING = {5: Job(9, 5, Stage.TRAIN, 1, 0.0, slot={"index": 1, "gpus": ["3"]}, ask=JobOutcome.KILLED)}


def found(query: str, trials: tuple[Trial, ...] = TRIALS) -> list[int]:
    term = parse(query, FIELDS)
    if term is None:
        return [trial.number for trial in trials]
    mask = term.mask(Values(trials, Look(RUNNING, NOW)))
    assert len(mask) == len(trials)
    return [trial.number for trial, kept in zip(trials, mask, strict=True) if kept]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3, 4, 5, 6, 12]),
        ("   ", [1, 2, 3, 4, 5, 6, 12]),
        # states: as they are shown, as they are stored, together, by their beginning
        ("state:failed", [3, 4]),
        ("state:done", [1, 2]),
        ("state:completed", [1, 2]),
        ("state:memory", [3]),
        ("state:out_of_memory", [3]),
        ("state:run", [5]),
        ("state=run", "no state is called run: did you mean running?"),
        ("state:over", [1, 2, 3, 4, 6]),
        ("status:failed,killed", [3, 4, 6]),
        ("state:failed|queued", [3, 4, 12]),
        ("state:killing", [5]),
        ("-state:done", [3, 4, 5, 6, 12]),
        ("state!=failed", [1, 2, 5, 6, 12]),
        # numbers
        ("score>0.5", [2, 3]),
        ("score>=0.5", [1, 2, 3]),
        ("score<=.3", [5]),
        ("score < 0.5", [5]),
        ("score:0.81", [2]),
        ("score=0.8124", [2]),
        ("score!=0.5", [2, 3, 4, 5, 6, 12]),
        ("score:0.4..0.82", [1, 2]),
        ("score:..0.4", [5]),
        ("score:0.85..", [3]),
        ("#12", [12]),
        ("#2,4..6", [2, 4, 5, 6]),
        ("#>4", [5, 6, 12]),
        ("try>1", [2]),
        ("attempt:2", [2]),
        ("cost>1m", [2]),
        ("time>1m", [2]),
        ("time:60s", [5]),
        ("time<=1m", [1, 5]),
        ("progress<60%", [1]),
        ("done:50", [1]),
        ("step>=0.5k", [1]),
        # parameters: by their short name, their path, their initials, their beginning
        ("learning_rate<3e-3", [1, 2]),
        ("trainer.learning_rate<3e-3", [1, 2]),
        ("lr<0.003", [1, 2]),
        ("learn<0.003", [1, 2]),
        ("clip_coef:0.25", [12]),
        ("algorithm:ppo", [1, 3, 5]),
        ("ALGORITHM:PPO", [1, 3, 5]),
        ('algorithm:"sac v2"', [2, 4, 6, 12]),
        ("algorithm=sac", []),
        ("algorithm!=ppo", [2, 4, 6, 12]),
        ("slot:3", [5]),
        ("method:prot", [2]),
        # words
        ("cuda", [3]),
        ('"out of memory"', [3]),
        ("out memory", [3]),
        ("reason:cuda", [3]),
        ('reason:"exit 1"', [4]),
        ("trial_0012", [12]),
        ("queued", [12]),
        ("sac", [2, 4, 6, 12]),
        ("nothing of this kind", []),
        # together
        ("state:failed reason:cuda", [3]),
        ("state:failed and reason:cuda", [3]),
        ("state:queued or #1", [1, 12]),
        ("state:queued | #1", [1, 12]),
        ("state:failed cuda or #1 or #2", [1, 2, 3]),
        ("state:failed (cuda or exit)", [3, 4]),
        ("state:failed (cuda or exit) -#3", [4]),
        ("not (state:failed or state:done)", [5, 6, 12]),
        ("not not #1", [1]),
        ('"#1"', []),
        ("-cuda #3", []),
        # half of it is enough where it can be
        ('"out of', [3]),
        ("state:f", [3, 4]),
    ],
)
def test_queries(query, numbers):
    if isinstance(numbers, str):
        with pytest.raises(QueryError, match=numbers.replace("?", r"\?")):
            found(query)
    else:
        assert found(query) == numbers


@pytest.mark.parametrize(
    ("query", "message", "place", "unfinished"),
    [
        ("lrr<1", "no field is called lrr: did you mean lr?", "lrr", False),
        ("#1 scor3:1", "no field is called scor3: did you mean score?", "scor3", False),
        ("error: cuda", "no field is called error; put text in quotes", "error", False),
        ("t>3", "t could be time or trial or try", "t", False),
        ("score>high", "high is not a number such as 0.8, 1e-3 or 10k", "high", False),
        ("time>1x", "1x is not a number such as 90, 45s or 1h30m", "1x", False),
        ("score:0.1..x", "x is not a number", "x", False),
        ("state:don,faild", "no state is called faild: did you mean failed?", "faild", False),
        ("reason<3", "reason is text: it can be compared with : or = only", "reason<3", False),
        ("score>", "score> needs a number", "score>", True),
        ("#1 state:", "state: needs a word", "state:", True),
        ("score>1e-", "1e- is not a number", "1e-", True),
        ("score>-", "- is not a number", "-", True),
        ("(cuda", "this is not closed yet", "(", True),
        ("cuda)", "nothing was opened that this could close", ")", False),
        ("cuda or", "or needs something before and after it", "or", True),
        ("#1 not ", "what should it not be?", "not ", True),
        ("<3", "a field's name has to come before this", "<", False),
    ],
)
def test_mistakes_are_named_with_their_place(query, message, place, unfinished):
    with pytest.raises(QueryError) as caught:
        parse(query, FIELDS)
    error = caught.value
    if message.startswith("t could"):
        assert str(error).startswith("t could be ")
    else:
        assert message in str(error)
    assert query[error.start : error.end] == place
    assert error.unfinished is unfinished


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("1e-3", Kind.NUMBER, 1e-3), ("10k", Kind.NUMBER, 1e4), ("2.5M", Kind.NUMBER, 2.5e6),
        ("-.5", Kind.NUMBER, -0.5), ("$3.20", Kind.NUMBER, 3.2), ("inf", Kind.NUMBER, math.inf),
        ("1h30m", Kind.SECONDS, 5400), ("90", Kind.SECONDS, 90), ("1.5h", Kind.SECONDS, 5400),
        ("2d", Kind.SECONDS, 172_800), ("50%", Kind.PERCENT, 50), ("50", Kind.PERCENT, 50),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text, kind, number):
    assert parse_number(text, kind)[0] == number


@pytest.mark.parametrize("text", ["", "k", "1h30", "1..2", "nan", "0x10", "1_000", "1m", "٣"])
def test_what_is_no_number(text):
    with pytest.raises(UserError):
        parse_number(text, Kind.NUMBER)


@given(st.floats(1e-12, 1e12))
def test_a_number_equals_what_the_table_shows_of_it(value):
    shown, near = parse_number(f"{value:#.4g}".removesuffix("."), Kind.NUMBER)
    assert abs(value - shown) <= near or shown == round(value)


@pytest.mark.parametrize("number", ["0e309", "1e309", "1e-999", "0.5e99999999999", "1e" + "9" * 5000])
def test_numbers_beyond_all_floats_are_read(number):
    parse_number(number, Kind.NUMBER)
    found(f"score<{number}")


@given(st.text(alphabet='abscore:=!<>"()|#-,.. 0123456789stateor\u3000\x00é', max_size=30))
@settings(max_examples=300)
def test_any_text_is_a_query_or_a_mistake_within_it(text):
    try:
        found(text)
    except QueryError as mistake:
        error = mistake
    else:
        error = QueryError("none", 0, 0)
    assert 0 <= error.start <= error.end <= len(text) + 1
    complete(text, len(text), FIELDS)


@pytest.mark.parametrize(
    ("text", "first", "whole"),
    [
        ("sco", "score", "score"),
        ("state:fa", "failed", "state:failed"),
        ("-state:qu", "queued", "-state:queued"),
        ("state:done,fa", "failed", "state:done,failed"),
        ("#1 learn", "learning_rate", "#1 learning_rate"),
        ("lr", "learning_rate", "learning_rate"),
        ("coef", "clip_coef", "clip_coef"),
        ("rea", "reason:", "reason:"),
        ("algorithm:s", '"sac v2"', 'algorithm:"sac v2"'),
        ('algorithm:"sac ', '"sac v2"', 'algorithm:"sac v2"'),
        ("(score>1 or sta", "state:", "(score>1 or state:"),
        ("state:no", '"no metric"', 'state:"no metric"'),
    ],
)
def test_completion(text, first, whole):
    completion = complete(text, len(text), FIELDS)
    assert completion.options[0] == first
    assert text[: completion.start] + first + text[completion.end :] == whole


def test_nothing_is_offered_where_nothing_is_known():
    assert complete("score>", 6, FIELDS).options == ()
    assert complete("nofield:x", 9, FIELDS).options == ()
    assert complete("zzz", 3, FIELDS).options == ()
    assert len(complete("", 0, FIELDS).options) == len(FIELDS.all) - 1


def test_a_parameter_that_is_called_as_a_column_is_found_by_its_path():
    fields = Fields(("trainer.score", "a.lr", "b.lr"))
    assert fields.by_param["trainer.score"].name == "trainer.score"
    assert fields.find("score").kind is Kind.NUMBER
    assert fields.find("a.lr") is fields.by_param["a.lr"]


# -- the order


@dataclass
class Snap:
    """As much of a snapshot as an arrangement looks at."""

    trials: tuple[Trial, ...]
    running: dict[int, Job] = field(default_factory=dict)
    at: float = NOW
    stages: Doing = field(default_factory=Doing)

    def index(self, number: int) -> int:
        return sum(trial.number < number for trial in self.trials)

    def trial(self, number: int) -> Trial | None:
        return next((trial for trial in self.trials if trial.number == number), None)


def numbers(shown: Arrangement) -> list[int]:
    return [shown[row].number for row in range(len(shown))]


@pytest.mark.parametrize(
    ("by", "descending", "order"),
    [
        ("#", False, [1, 2, 3, 4, 5, 6, 12]),
        ("#", True, [12, 6, 5, 4, 3, 2, 1]),
        # Failed, killed and unknown ones last, in whichever direction.
        ("score", True, [2, 1, 5, 3, 4, 6, 12]),
        ("score", False, [5, 1, 2, 3, 4, 6, 12]),
        ("clip_coef", True, [12, 1, 2, 3, 4, 5, 6]),
        ("algorithm", False, [1, 3, 5, 2, 4, 6, 12]),
        ("algorithm", True, [2, 4, 6, 12, 1, 3, 5]),
        ("state", False, [5, 12, 1, 2, 3, 4, 6]),
        ("time", True, [2, 5, 1, 3, 4, 6, 12]),
        ("slot", False, [5, 1, 2, 3, 4, 6, 12]),
    ],
)
def test_sorting_is_stable_and_the_unknown_come_last(by, descending, order):
    shown = Arrangement(FIELDS.find("#"))
    shown.take(Snap(TRIALS, RUNNING))
    shown.sort(FIELDS.find(by), descending=descending)
    assert numbers(shown) == order
    for row, number in enumerate(order):
        assert shown.row(number) == row
    shown.filter(parse("-#2,5", FIELDS))
    assert numbers(shown) == [number for number in order if number not in (2, 5)]
    assert shown.row(2) is None
    assert 0 <= shown.near(2) <= len(shown)


_STATUSES = st.sampled_from(TrialStatus)
_SCORES = st.sampled_from([None, math.nan, 0.0, 1.0, 1.0, 2.0, math.inf])
_CHANGES = st.lists(st.tuples(st.integers(0, 7), _STATUSES, _SCORES), max_size=6)


@given(
    st.lists(_CHANGES, min_size=1, max_size=6),
    st.sampled_from(["#", "score", "state", "time", "learning_rate", "algorithm", "slot"]),
    st.booleans(),
    st.sampled_from(["", "score>0.5", "state:over", "time>50", "-state:failed lr<0.005", "slot:0 or #3", "killing"]),
)
@settings(max_examples=150, deadline=None)
def test_what_is_kept_up_to_date_is_what_is_arranged_anew(rounds, by, descending, query):
    kept = Arrangement(FIELDS.find("#"))
    kept.take(Snap(()))
    kept.sort(FIELDS.find(by), descending=descending)
    kept.filter(parse(query, FIELDS))
    trials: list[Trial] = []
    for turn, changes in enumerate(rounds):
        for place, status, score in changes:
            if place >= len(trials):
                trials.append(trial(len(trials) + 1, status, score=score, started_at=NOW - 40))
            else:
                trials[place] = replace(trials[place], status=status, score=score)
        running = {
            each.number: Job(1, each.number, Stage.TRAIN, 1, 0.0, slot={"index": each.number % 2})
            for each in trials
            if each.status is TrialStatus.TRAINING
        }
        snap = Snap(tuple(trials), running, NOW + 10 * turn)
        kept.take(snap)
        anew = Arrangement(FIELDS.find(by))
        anew.sort(FIELDS.find(by), descending=descending)
        anew.filter(parse(query, FIELDS))
        anew.take(snap)
        if by != "time" and "time" not in query:
            assert numbers(kept) == numbers(anew)
        assert sorted(numbers(kept)) == sorted(set(numbers(kept)))
        assert [kept.row(number) for number in numbers(kept)] == list(range(len(kept)))


def test_running_trials_grow_past_a_filter_without_changing():
    shown = Arrangement(FIELDS.find("time"))
    shown.take(Snap(TRIALS, RUNNING, NOW))
    shown.sort(FIELDS.find("time"), descending=True)
    shown.filter(parse("time>30", FIELDS))
    assert numbers(shown) == [2, 5, 1]
    shown.take(Snap(TRIALS, RUNNING, NOW + 3600))
    assert numbers(shown) == [5, 2, 1]


def test_only_what_changed_is_read_again():
    reads = 0
    score = FIELDS.find("score")

    def counted(trial: Trial, look: Look) -> float:
        nonlocal reads
        reads += 1
        return float(score.value(trial, look))

    by = replace(score, value=counted, rank=None)
    many = [trial(number, score=float(number)) for number in range(1, 2001)]
    shown = Arrangement(by)
    shown.take(Snap(tuple(many)))
    assert reads == 2000
    many[7] = replace(many[7], score=5000.0)
    news = shown.take(Snap((*many, trial(2001, score=-1.0))))
    assert [each.number for each in news] == [8, 2001]
    assert reads == 2002
    assert shown[len(shown) - 1].number == 8
    assert shown[0].number == 2001


def test_marks():
    shown = Arrangement(FIELDS.find("#"))
    shown.take(Snap(TRIALS))
    shown.sort(FIELDS.find("#"), descending=True)
    marks = Marks()
    marks.toggle(6)
    marks.extend(shown, 3)
    assert marks.numbers == {3, 4, 5, 6}
    marks.extend(shown, 1)
    assert marks.numbers == {1, 2, 3, 4, 5, 6}, "from where the last range ended"
    marks.toggle(4)
    assert marks.numbers == {1, 2, 3, 5, 6}
    marks.clear()
    marks.extend(shown, 2)
    assert marks.numbers == {2}, "there is no last mark"
    shown.filter(parse("-#2", FIELDS))
    marks.extend(shown, 5)
    assert marks.numbers == {2, 5}, "the last mark is not to be seen"
