"""A user's own optimizer, as two methods: `suggest(n)` gives trials, `observe(trial, score)` is told results.

Such an object remembers, and a sweep must be able to go on without it: so each suggestion is asked of a new one, which
is told all results first. It is told scores in the user's sign, in the order of the trials, and nothing of trials that
failed or still run; a configuration that was tried already is replaced by a random one, which is marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError, hint, shown
from sweeptui.core.optimizers.adapters.events import suggest
from sweeptui.core.optimizers.adapters.streams import seeded
from sweeptui.core.optimizers.configurations import configuration_key
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from sweeptui.core.optimizers.adapters.events import Event
    from sweeptui.core.optimizers.base import History, Suggestion
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Params


@dataclass
class Trial:
    """A trial as such an optimizer suggests and observes it."""

    params: Mapping[str, Any]
    number: int | None = None
    """None until it is one of the sweep's."""


class OwnOptimizer:
    """Asks a class with `suggest` and `observe`. Global random streams are seeded while it works."""

    def __init__(self, kind: type[Any], space: Space, *, goal: str, settings: Mapping[str, Any], seed: int) -> None:
        """Raises `UserError` where the class cannot be made without arguments."""
        del goal, settings
        self._kind = kind
        self._space = space
        self._seed = seed
        self._make()

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        return suggest(self, self._kind.__name__, self._space, self._seed, history, first_number, n)

    def choose(self, told: list[Event], number: int) -> Params:
        with seeded(stream_seed(self._seed, number, self._kind.__name__)):
            optimizer = self._make()
            for event in told:
                if event.scores:
                    optimizer.observe(Trial(event.params, event.number), event.scores[0])
            # It knows nothing of what still runs: of so many suggestions, one is new if they differ at all.
            pending = sum(1 for event in told if not event.scores and not event.failed)
            found = [self._checked(trial) for trial in optimizer.suggest(1 + pending)]
        if not found:
            raise ValueError("suggest(n) gave no trial")
        tried = {configuration_key(self._space, event.params) for event in told}
        return next((params for params in found if configuration_key(self._space, params) not in tried), found[0])

    def _make(self) -> Any:
        try:
            return self._kind()
        except TypeError as error:
            raise UserError(
                f"method: {self._kind.__name__} cannot be made without arguments ({error}); give them defaults"
            ) from None

    def _checked(self, trial: Any) -> Params:
        params = trial if isinstance(trial, Mapping) else getattr(trial, "params", None)
        if not isinstance(params, Mapping):
            raise TypeError(f"suggest gave {shown(trial, 60)}, not a trial with params")
        for name, distribution in self._space.distributions.items():
            if name not in params:
                raise ValueError(f"suggest gave no {name!r}")
            if not distribution.contains(params[name]):
                raise ValueError(f"suggest gave {name}={shown(params[name], 40)}, which is outside the search space")
        unknown = params.keys() - self._space.distributions.keys()
        if unknown:
            name = min(unknown)
            raise ValueError(f"suggest gave {name!r}, which is no parameter; {hint(name, self._space.names)}")
        return dict(params)
