"""What every optimizer must do, whatever it is: the contract of `sweeptui.core.optimizers.base` as tests."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial, SpaceExhaustedError
from sweeptui.core.space import Space
from sweeptui.core.trial import Observation
from sweeptui.testing.data import HARD_DATA, SPACES, observations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.core.optimizers.base import Optimizer, Suggestion

FINITE = "all categorical"
MIXED = "mixed"


def space_of(name: str) -> Space:
    return Space.from_parameters(SPACES[name])


def as_json(suggestions: Sequence[Suggestion]) -> str:
    return json.dumps([[dict(s.params), dict(s.provenance)] for s in suggestions])


class OptimizerContract:
    """Subclass it as `TestSomething`, with `make`, and what the optimizer cannot do switched off."""

    falls_back: ClassVar[bool] = False
    """It may be overruled by a random draw, which says so in its provenance."""
    knows_goal: ClassVar[bool] = True
    """f with minimize gives exactly what -f with maximize gives. Without it only that both run is tested."""
    heavy: ClassVar[bool] = False
    """It needs seconds for a suggestion: the tests ask less often."""

    def make(self, space: Space, *, goal: str = "maximize", seed: int = 0) -> Optimizer:
        """The optimizer under test. Override it."""
        raise NotImplementedError

    def check(self, space: Space, suggestion: Suggestion) -> None:
        """The suggestion is a point of the space, JSON, and says where it is from."""
        assert set(suggestion.params) == set(space.existing(space.full(suggestion.params)))
        assert space.contains(suggestion.params)
        assert json.loads(json.dumps(suggestion.params, allow_nan=False)) == suggestion.params
        assert json.loads(json.dumps(suggestion.provenance, allow_nan=False)) == suggestion.provenance
        assert isinstance(suggestion.provenance["method"], str)
        assert suggestion.provenance["method"]
        assert self.falls_back or "fallback" not in suggestion.provenance

    @pytest.mark.parametrize("name", SPACES)
    def test_from_the_first_trial_on_suggestions_are_json_inside_the_space(self, name: str) -> None:
        space = space_of(name)
        chooser = self.make(space)
        done: list[Observation] = []
        for number in range(1, 4 if self.heavy else 7):
            [suggestion] = chooser.suggest(History(tuple(done)), number)
            self.check(space, suggestion)
            done.append(Observation(number, suggestion.params, float(number % 3), 1.0 + number))

    def test_a_suggestion_depends_on_nothing_but_its_arguments(self) -> None:
        space = space_of(MIXED)
        history = History(
            tuple(observations(space, 10)),
            (FailedTrial(11, space.sample(random.Random(1)), "crashed"),),
            (PendingTrial(12, space.sample(random.Random(2))),),
        )
        used = self.make(space)
        used.suggest(History(), 1, 1 if self.heavy else 3)
        used.suggest(history, 40)
        random.seed(1)
        np.random.seed(1)
        first = as_json(used.suggest(history, 13, 2))
        random.seed(2)
        np.random.seed(2)
        before = random.getstate(), np.random.get_state(legacy=False)["state"]
        again = self.make(Space.from_json(space.to_json())).suggest(history, 13, 2)
        assert as_json(again) == first
        assert random.getstate() == before[0], "the global random stream was used"
        after = np.random.get_state(legacy=False)["state"]
        assert (after["key"] == before[1]["key"]).all(), "numpy's global random stream was used"

    def test_another_seed_gives_other_suggestions(self) -> None:
        space = space_of(MIXED)
        history = History(tuple(observations(space, 10)))
        ours, others = self.make(space).suggest(history, 13, 2), self.make(space, seed=1).suggest(history, 13, 2)
        assert as_json(ours) != as_json(others)

    def test_the_order_in_which_results_came_in_does_not_matter(self) -> None:
        space = space_of(MIXED)
        done = observations(space, 12)
        failed = [FailedTrial(k, space.sample(random.Random(k)), "crashed") for k in range(13, 17)]
        pending = [PendingTrial(k, space.sample(random.Random(k))) for k in range(17, 20)]
        forward = History(tuple(done), tuple(failed), tuple(pending))
        backward = History(tuple(done[::-1]), tuple(failed[::-1]), tuple(pending[::-1]))
        chooser = self.make(space)
        assert as_json(chooser.suggest(forward, 20)) == as_json(chooser.suggest(backward, 20))

    def test_two_at_once_are_the_same_as_one_after_the_other(self) -> None:
        space = space_of(MIXED)
        done = tuple(observations(space, 8))
        chooser = self.make(space)
        first, second = chooser.suggest(History(done), 9, 2)
        [again] = chooser.suggest(History(done, (), (PendingTrial(9, first.params),)), 10)
        assert again.params == second.params

    @pytest.mark.parametrize("data", HARD_DATA)
    def test_no_data_is_too_poor_for_a_suggestion(self, data: str) -> None:
        for name in (MIXED,) if self.heavy else ("one axis", MIXED):
            space = space_of(name)
            suggestions = self.make(space).suggest(History(tuple(HARD_DATA[data](space))), 10, 2)
            assert len(suggestions) == 2
            for suggestion in suggestions:
                self.check(space, suggestion)

    def test_when_everything_fails_it_goes_on_elsewhere(self) -> None:
        space = space_of(MIXED)
        chooser = self.make(space)
        failed: list[FailedTrial] = []
        for number in range(1, 6 if self.heavy else 12):
            [suggestion] = chooser.suggest(History(failures=tuple(failed)), number)
            assert suggestion.params not in [f.params for f in failed]
            failed.append(FailedTrial(number, suggestion.params, "crashed"))

    @pytest.mark.parametrize("name", SPACES)
    def test_a_batch_repeats_neither_itself_nor_what_is_tried_or_pending(self, name: str) -> None:
        space = space_of(name)
        done = {json.dumps(o.params): o for o in observations(space, 6)}
        pending = [s.params for s in self.make(space).suggest(History(tuple(done.values())), 7, 2)]
        history = History(tuple(done.values()), (), tuple(PendingTrial(7 + i, p) for i, p in enumerate(pending)))
        size = 2 if self.heavy else 8
        batch = [s.params for s in self.make(space).suggest(history, 11, size)]
        keys = [json.dumps(params) for params in [*(o.params for o in done.values()), *pending, *batch]]
        assert len(batch) == size
        assert len(set(keys)) == len(keys)

    def test_minimising_f_is_maximising_minus_f(self) -> None:
        space = space_of(MIXED)
        done = observations(space, 12, score=lambda k: (k * 7919 % 31) / 3)
        flipped = [Observation(o.number, o.params, -o.score, o.cost) for o in done]
        low = self.make(space, goal="minimize").suggest(History(tuple(done)), 13, 2)
        high = self.make(space, goal="maximize").suggest(History(tuple(flipped)), 13, 2)
        if not self.knows_goal:
            return
        assert [s.params for s in low] == [s.params for s in high]
        for one, other in zip(low, high, strict=True):
            if "score_mean" in one.provenance:
                assert one.provenance["score_mean"] == -other.provenance["score_mean"]
                assert one.provenance["score_std"] == other.provenance["score_std"]

    def test_a_finite_space_is_used_up_and_then_it_says_so(self) -> None:
        space = space_of(FINITE)
        assert space.cardinality == 30
        chooser = self.make(space)
        rows: list[dict[str, Any]] = [space.decode([(a + 0.5) / 3, (b + 0.5) / 2, (c + 0.5) / 5])
                                      for a in range(3) for b in range(2) for c in range(5)]  # fmt: skip
        done = [Observation(k, params, float(k % 3), 1.0) for k, params in enumerate(rows[:26], 1)]
        [one] = chooser.suggest(History(tuple(done)), 27)
        done.append(Observation(27, one.params, 1.0, 1.0))
        last = chooser.suggest(History(tuple(done)), 28, 8)
        assert len(last) == 3, "what is left, where less is left than was asked for"
        everything = [*(o.params for o in done), *(s.params for s in last)]
        assert len({json.dumps(dict(params)) for params in everything}) == 30
        done += [Observation(28 + i, s.params, 0.0, 1.0) for i, s in enumerate(last)]
        with pytest.raises(SpaceExhaustedError):
            chooser.suggest(History(tuple(done)), 31)

    def test_a_space_of_constants_has_one_trial_or_repeats_it(self) -> None:
        """Repeated, trials differ in their seeds alone."""
        space = Space.from_parameters({"optimizer": {"value": "adam"}})
        chooser = self.make(space)
        [only] = chooser.suggest(History(), 1)
        assert only.params == {"optimizer": "adam"}
        try:
            again = chooser.suggest(History((Observation(1, only.params, 1.0, 1.0),)), 2)
        except SpaceExhaustedError:
            return
        assert [suggestion.params for suggestion in again] == [only.params]

    def test_older_trials_outside_a_changed_space_are_left_out(self) -> None:
        space = Space.from_parameters({"lr": {"distribution": "log_normal", "min": 1e-4, "max": 1e-2},
                                       "layers": {"min": 1, "max": 2}})  # fmt: skip
        outside = [
            Observation(1, {"lr": 0.5, "layers": 1}, 9.0, 1.0),
            Observation(2, {"lr": 1e-3}, 9.0, 1.0),
            Observation(3, {"lr": 1e-3, "layers": 7}, 9.0, 1.0),
            Observation(4, {"lr": "high", "layers": 1}, 9.0, 1.0),
        ]
        moved = [Observation(o.number + 4, o.params, o.score, o.cost) for o in observations(space, 6)]
        with_them = self.make(space).suggest(History((*outside, *moved)), 11)
        assert as_json(with_them) == as_json(self.make(space).suggest(History(tuple(moved)), 11))
