"""What an adapter tells its library: the history, trial by trial in the order of their numbers."""

from __future__ import annotations

import math
import random
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import Suggestion
from sweeptui.core.optimizers.configurations import (
    check_not_exhausted,
    configuration_key,
    draw_unused,
    is_complete,
    one_by_one,
    used_configurations,
)
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from sweeptui.core.optimizers.base import History
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Params


@dataclass(frozen=True, slots=True)
class Event:
    """A trial as a library can be told about it. `failed` says why it has no scores."""

    number: int
    params: Params
    scores: tuple[float, ...] = ()
    """One for each objective, in the user's sign; empty where there is none."""
    failed: bool = False


def events(space: Space, history: History) -> list[Event]:
    """All trials inside `space`, by number: finished ones with their scores, failed ones, and pending ones.

    A library knows no conditions: a parameter that does not exist is told as standing at its centre.
    """
    scored = [(o, o.scores or (o.score,)) for o in history.observations]
    found = [Event(o.number, o.params, scores) for o, scores in scored if all(map(math.isfinite, scores))]
    found += [Event(f.number, f.params, failed=True) for f in history.failures]
    found += [Event(p.number, p.params) for p in history.pending]
    known = (replace(e, params=space.full(space.existing(e.params))) for e in found if is_complete(space, e.params))
    return sorted(known, key=lambda event: event.number)


class Library(Protocol):
    """One library's way to choose the next configuration. `told` are all trials; `number` is the one to choose for."""

    def choose(self, told: list[Event], number: int) -> Params: ...


def suggest(
    library: Library, method: str, space: Space, seed: int, history: History, first_number: int, n: int
) -> list[Suggestion]:
    """Ask `library` for `n` configurations, each pending for the next, and none that was tried before.

    A library that proposes what was tried, or that breaks, is overruled by a random draw that says so. Raises
    `SpaceExhaustedError`.
    """
    used = used_configurations(space, history)
    told = events(space, history)

    def choose(number: int) -> Suggestion:
        check_not_exhausted(space, used)
        params, problem = _choice(library, space, told, number)
        if not problem and not space.allows(params):
            problem = "does not know the constraints and proposed what they forbid"
        if not problem and configuration_key(space, params) in used:
            problem = "proposed what was tried before"
        suggestion = Suggestion(params, {"method": method})
        if problem:
            rng = random.Random(stream_seed(seed, number, "random"))  # noqa: S311 - not cryptography
            fallback = f"drawn at random because {method} {problem}"
            suggestion = Suggestion(draw_unused(space, used, rng), {"method": "random", "fallback": fallback})
        used.add(configuration_key(space, suggestion.params))
        told.append(Event(number, space.full(suggestion.params)))
        return suggestion

    return one_by_one(choose, first_number, n)


def _choice(library: Library, space: Space, told: list[Event], number: int) -> tuple[Params, str]:
    """What the library chooses, and what went wrong, "" for nothing."""
    if not space.axes:
        return space.decode([]), ""
    try:
        return library.choose(told, number), ""
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of theirs costs one suggestion, not the sweep
        traceback.print_exc()
        return {}, f"raised {type(error).__name__}: {error}"
