"""The language of the command line: the actions by name, and commands that take words.

:kill 3 7-9 state:failed    :requeue best lr=0.01    :inject lr=0.001 from=best    :set max_trials 40    :12
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

from sweeptui.app import wording
from sweeptui.app.actions import ACTIONS, BY_ID, Action
from sweeptui.app.fields import Look, Values
from sweeptui.app.query import complete as complete_query
from sweeptui.app.query import parse as parse_query
from sweeptui.core import handmade
from sweeptui.core.errors import UserError, hint
from sweeptui.core.space import Space

if TYPE_CHECKING:
    from sweeptui.app.cockpit import Cockpit
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

Do = Callable[[], None]
LIMITS = {"max_trials": "max_trials", "max_parallel_jobs": "max_parallel_jobs", "slots": "max_parallel_jobs"}
MAX_COMPLETIONS = 50
DIRECTIONS = {"up": False, "down": True}
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_TRIAL = re.compile(r"(?:trial_)?0*([1-9][0-9]*)")
_RANGE = re.compile(r"0*([1-9][0-9]*)-0*([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class LineCommand:
    name: str
    usage: str
    help: str
    prepare: Callable[[Cockpit, list[str]], Do]
    """Checks the words and returns what does it. Raises `UserError`."""
    complete: Callable[[Cockpit, list[str]], Iterable[tuple[str, str]]]
    """What the last of the words may become, each with a line about it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    line: str
    run: Do


@dataclass(frozen=True, slots=True)
class Completion:
    line: str
    """The whole line with it."""
    word: str
    help: str


def prepare(app: Cockpit, line: str) -> Prepared:
    """Check a line. Raises `UserError`, one sentence, where it is no command; what it does comes with `run`."""
    if line.count('"') % 2:
        raise UserError("a quote is open; close it")
    words = _WORD.findall(line)
    if not words:
        raise UserError("write a command; Tab shows what there is")
    name, *rest = words
    command = COMMANDS.get(name.replace("-", "_"))
    if command is None and _TRIAL.fullmatch(name):
        command, rest = COMMANDS["goto"], words
    if command is None:
        raise UserError(f"{name} is not a command; {hint(name, COMMANDS)}")
    return Prepared(line.strip(), command.prepare(app, rest))


def usage(line: str) -> str:
    """How the command that the line begins with is written, and what it does."""
    command = COMMANDS.get(line.split(" ", 1)[0].replace("-", "_"))
    return "" if command is None else f"{command.usage}  {command.help}"


def completions(app: Cockpit, line: str) -> list[Completion]:
    """What the last word of the line may become."""
    head, space, last = line.rpartition(" ")
    if not space:
        found: Iterable[tuple[str, str]] = ((command.name, command.help) for command in COMMANDS.values())
    else:
        command = COMMANDS.get(head.split(" ", 1)[0].replace("-", "_"))
        found = () if command is None else command.complete(app, line.split(" ")[1:])
    lowered = last.replace("-", "_").lower() if not space else last.lower()
    matching = [(word, about) for word, about in found if word.lower().startswith(lowered) and word != last]
    return [Completion(head + space + word, word, about) for word, about in matching[:MAX_COMPLETIONS]]


# -- trials


def trials_of(app: Cockpit, words: Sequence[str]) -> list[Trial]:
    """The trials that words name: `3`, `trial_0003`, `3-7`, `best`, and those that a query finds; by number.

    Raises `UserError`.
    """
    snapshot = _shown(app)
    found: dict[int, Trial] = {}
    query = []
    for word in words:
        if word == handmade.BEST or _TRIAL.fullmatch(word) or _RANGE.fullmatch(word):
            found.update((trial.number, trial) for trial in _named(snapshot, word))
        else:
            query.append(word)
    if query:
        found.update((trial.number, trial) for trial in _asked_for(app, snapshot, " ".join(query)))
    return [found[number] for number in sorted(found)]


def _asked_for(app: Cockpit, snapshot: Snapshot, query: str) -> list[Trial]:
    """The trials that a query of the filter's language finds."""
    term = parse_query(query, app.table.fields)
    look = Look(snapshot.running, snapshot.at, snapshot.stages)
    mask = term.mask(Values(snapshot.trials, look)) if term is not None else b""
    if not any(mask):
        raise UserError(f"{query} finds no trial; write numbers (3 7-9), best, or a query such as state:failed")
    return list(compress(snapshot.trials, mask))


def _named(snapshot: Snapshot, word: str) -> Sequence[Trial]:
    if word == handmade.BEST:
        if snapshot.best is None:
            raise UserError("no trial has a score yet, so there is no best one")
        return (snapshot.best,)
    if match := _TRIAL.fullmatch(word):
        trial = snapshot.trial(int(match[1]))
        if trial is None:
            raise UserError(f"there is no trial {match[1]}; there are {len(snapshot.trials)}")
        return (trial,)
    if match := _RANGE.fullmatch(word):
        first, last = int(match[1]), int(match[2])
        within = snapshot.trials[snapshot.index(first) : snapshot.index(last + 1)]
        if not within:
            raise UserError(f"there are no trials from {first} to {last}; there are {len(snapshot.trials)}")
        return within
    raise UserError(f"{word!r} is no trial; write its number (3) or best")


def _trial_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    snapshot = app.snapshot
    if snapshot is None:
        return
    if any(sign in words[-1] for sign in ":<>=("):
        yield from _query_words(app, words)
        return
    if snapshot.best is not None:
        yield handmade.BEST, f"{snapshot.best.id}, {wording.number(snapshot.best.score)}"
    for trial in reversed(snapshot.trials[-MAX_COMPLETIONS:]):
        yield str(trial.number), str(wording.trial_state(trial))
    yield from _query_words(app, words)


def _query_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    """What the word may become in a query."""
    word = words[-1]
    found = complete_query(word, len(word), app.table.fields)
    for option in found.options:
        if " " not in option:
            yield word[: found.start] + option, "finds trials by it"


def _shown(app: Cockpit) -> Snapshot:
    if app.snapshot is None:
        raise UserError("the sweep has not started yet")
    return app.snapshot


# -- the commands


def _plain(action: Action) -> LineCommand:
    """An action that takes no words."""

    def prepare(app: Cockpit, words: list[str]) -> Do:
        if words:
            raise UserError(f"{action.id} takes nothing more; leave out {words[0]!r}")
        return lambda: app.action_act(action.id)

    return LineCommand(action.id, action.id, action.help, prepare, lambda _app, _words: ())


def _on_trials(action: Action) -> LineCommand:
    """An action on trials: those that are named, else those that its key would act on."""

    def prepare(app: Cockpit, words: list[str]) -> Do:
        if not words:
            return lambda: app.action_act(action.id)
        trials = trials_of(app, words)
        if why := app.steering.refusal(action, trials):
            raise UserError(why)
        return lambda: app.steering.act_on(action, trials)

    return LineCommand(action.id, f"{action.id} [TRIAL...]", action.help, prepare, _trial_words)


def _verb(name: str, about: str) -> LineCommand:
    """A command of the engine that has no key of its own."""

    def prepare(app: Cockpit, words: list[str]) -> Do:
        trials = trials_of(app, words) if words else list(app.targets())
        if not trials:
            raise UserError("there is no trial yet")
        return lambda: app.command(name, trials=[trial.number for trial in trials])

    return LineCommand(name, f"{name} [TRIAL...]", about, prepare, _trial_words)


def _space(app: Cockpit) -> Space:
    return Space.from_parameters(_shown(app).parameters)


def _parameter_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    """Parameters to be set, and the values of one that has only some."""
    if app.snapshot is None:
        return
    space = _space(app)
    names = wording.short_names(tuple(space.names))
    name, equals, _ = words[-1].partition("=")
    for path, distribution in space.distributions.items():
        if equals and name in (path, names[path]):
            for value in handmade.choices(distribution):
                yield f"{name}={value}", handmade.allowed(distribution)
        elif not equals and distribution.kind != "constant":
            yield f"{names[path]}=", handmade.allowed(distribution)


def _is_setting(word: str) -> bool:
    """Whether it sets a parameter; otherwise it is a part of a query."""
    return "=" in word and not any(sign in word.partition("=")[0] for sign in ':<>!"')


def _prepare_requeue(app: Cockpit, words: list[str]) -> Do:
    settings = [word.replace('"', "") for word in words if _is_setting(word)]
    named = [word for word in words if not _is_setting(word)]
    if not settings:
        return _on_trials(BY_ID["requeue"]).prepare(app, named)
    trials = trials_of(app, named) if named else list(app.targets())
    if not trials:
        raise UserError("there is no trial yet")
    if why := app.steering.refusal(BY_ID["edit"]):
        raise UserError(why)
    params = handmade.read_settings(_space(app), settings)
    return lambda: app.command("requeue", trials=[trial.number for trial in trials], params=params)


def _requeue_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    yield from _parameter_words(app, words)
    yield from _trial_words(app, words)


def _prepare_inject(app: Cockpit, words: list[str]) -> Do:
    if not words:
        return lambda: app.action_act("inject")
    source: str | int = handmade.CENTER
    settings = []
    for word in words:
        if not word.startswith("from="):
            settings.append(word.replace('"', ""))
            continue
        source = word.removeprefix("from=")
        if source != handmade.CENTER:
            [trial] = _named(_shown(app), source)[:1]
            source = trial.number
    if why := app.steering.refusal(BY_ID["inject"]):
        raise UserError(why)
    params = handmade.read_settings(_space(app), settings)
    return lambda: app.command("inject", params=params, **{"from": source})


def _inject_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    yield from _parameter_words(app, words)
    yield "from=center", "what is not given is taken from the center of the search space"
    yield "from=best", "what is not given is taken from the best trial"


def _prepare_set(app: Cockpit, words: list[str]) -> Do:
    parts = " ".join(words).replace("=", " ").split()
    if len(parts) != 2 or parts[0] not in LIMITS:
        name = parts[0] if parts and parts[0] not in LIMITS else ""
        said = f"{name} is not a limit; {hint(name, LIMITS)}" if name else "write set max_trials 40, or set slots 4"
        raise UserError(said)
    key, text = LIMITS[parts[0]], parts[1]
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{key} is {text!r}; it must be a whole number of at least 1")
    return lambda: app.command("set", **{key: int(text)})


def _set_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    if len(words) < 2:
        yield "max_trials", f"how many trials in all; now {app.steering.limit('max_trials')}"
        yield "slots", f"how many trials run at once; now {app.steering.limit('max_parallel_jobs')}"


def _prepare_goto(app: Cockpit, words: list[str]) -> Do:
    if len(words) != 1:
        raise UserError("write goto and one trial: goto 12, goto best, goto newest")
    if words[0] in ("best", "newest"):
        return lambda: app.action_act(words[0])
    [trial] = _named(_shown(app), words[0])[:1]
    return lambda: app.table.select(trial.number)


def _goto_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    yield "newest", "and on to each new one"
    yield from (found for found in _trial_words(app, words) if found[0].isdecimal() or found[0] == handmade.BEST)


def _prepare_sort(app: Cockpit, words: list[str]) -> Do:
    if not words:
        return lambda: app.action_act("sort")
    *name, direction = words if len(words) > 1 else [*words, ""]
    if len(name) > 1 or direction not in ("", *DIRECTIONS):
        raise UserError("write sort and a column, and perhaps up or down: sort score, sort time down")
    found = app.table.fields.find(name[0])
    return lambda: app.table.sort_by(found.name, descending=DIRECTIONS.get(direction))


def _sort_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    if len(words) > 1:
        return [("up", "the least first"), ("down", "the greatest first")]
    return [(found.name, "") for found in app.table.fields.all]


AUTO = "auto"


def _prepare_columns(app: Cockpit, words: list[str]) -> Do:
    if not words:
        raise UserError(f"write columns and parameters, the first one first: columns lr width; or columns {AUTO}")
    if words == [AUTO]:
        return lambda: app.table.put_first(None)
    paths = {field: path for path, field in app.table.fields.by_param.items()}
    found = [app.table.fields.find(word) for word in words]
    for word, field in zip(words, found, strict=True):
        if field not in paths:
            raise UserError(f"{word} is no parameter; {hint(word, [each.name for each in paths])}")
    return lambda: app.table.put_first([paths[field] for field in dict.fromkeys(found)])


def _columns_words(app: Cockpit, words: list[str]) -> Iterable[tuple[str, str]]:
    if len(words) < 2:
        yield AUTO, "those that the trials tell of first"
    yield from ((field.name, "") for field in app.table.fields.by_param.values() if field.name not in words[:-1])


def _prepare_filter(app: Cockpit, words: list[str]) -> Do:
    if not words:
        return lambda: app.action_act("filter")
    query = " ".join(words)
    parse_query(query, app.table.fields)
    return lambda: app.table.filter(query)


def _prepare_stop(app: Cockpit, words: list[str]) -> Do:
    if words not in ([], ["kill"]):
        raise UserError(f"write stop, or stop kill to end the running trials, too; not {words[0]!r}")
    if app.read_only:
        raise UserError(app.read_only)
    return lambda: app.steering.stop(kill=bool(words))


def _all() -> dict[str, LineCommand]:
    actions = [action for action in ACTIONS if not action.pane and action.group != "Move"]
    found = [_on_trials(action) if action.on is not None else _plain(action) for action in actions]
    found += [
        LineCommand("requeue", "requeue [TRIAL...] [PARAMETER=VALUE...]",
                    "Try trials again; with other parameters, as new trials", _prepare_requeue, _requeue_words),
        LineCommand("inject", "inject [PARAMETER=VALUE...] [from=center|best|TRIAL]",
                    "Make a trial by hand", _prepare_inject, _inject_words),
        LineCommand("set", "set max_trials N | set slots N", "Change a limit", _prepare_set, _set_words),
        LineCommand("sort", "sort [COLUMN [up|down]]", "Sort the table", _prepare_sort, _sort_words),
        LineCommand("columns", f"columns PARAMETER... | columns {AUTO}", "Which parameters' columns come first",
                    _prepare_columns, _columns_words),
        LineCommand("filter", "filter [QUERY]", "Show only the trials that a query finds", _prepare_filter,
                    _query_words),
        LineCommand("goto", "goto TRIAL|best|newest", "Go to a trial; its number alone will do",
                    _prepare_goto, _goto_words),
        LineCommand("stop", "stop [kill]", "End the sweep: running trials finish, or are killed", _prepare_stop,
                    lambda _app, words: [("kill", "end the running trials, too")] if len(words) < 2 else ()),
        _verb("resume", "Let paused trials go on"),
        _verb("unqueue", "Take queued trials out of the queue again"),
    ]  # fmt: skip
    return {command.name: command for command in found}


COMMANDS = _all()
"""By name, in the order of the actions."""
