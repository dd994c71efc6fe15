"""A flow of stages with contracts between them: what is run, in which order, and what each must give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, get_origin

from sweeptui.core.errors import UserError, hint, shown
from sweeptui.core.experiments.contracts import Context, Contract

if TYPE_CHECKING:
    from sweeptui.core.experiments.memory import Memory

MAX_TURNS = 10_000
"""Turns of a loop, unless it says otherwise: more is taken for a loop that never ends."""


class PipelineError(UserError):
    """The pipeline is wrong as it stands; nothing was run. `problems` has all that was found, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")


@dataclass(frozen=True, slots=True)
class Ref:
    """A setting that is the value of a field, read when its stage is run: `init_from=ref("explored")`."""

    field: str


def ref(name: str) -> Ref:
    """See `Ref`."""
    return Ref(name)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What surrounds a stage. Functions are given copies: whatever they do to them changes nothing."""

    before: Callable[..., Any] | None = None
    """Given the stage's input."""
    after: Callable[..., Any] | None = None
    """Given its output. May be run twice where the process was killed in it."""
    validate: Callable[..., Any] | None = None
    """Given the output; the attempt fails where it returns False or raises."""
    checkpoint: bool = True
    """False: the output is not kept, and the stage is run again after a crash."""
    timeout: float | None = None
    """Seconds, for one attempt."""
    retry: int = 0
    """How many attempts there may be after the first."""
    on_error: Callable[..., Any] | None = None
    """Given the error of the last attempt. What it returns, unless None, is taken for the output."""
    cache: bool | str = False
    """Take the output from an earlier run with the same input and the same code; a text is a version of one's own."""
    metrics: Callable[..., Any] | None = None
    """Given `stage`, `seconds`, `attempts` and the numbers in the output, as one dict."""
    profile: bool = False
    """Write where the time went, as `pstats` reads it."""


HOOKS = tuple(item.name for item in fields(Hooks))
GLOBAL_HOOKS = ("before", "after", "metrics", "on_error", "profile")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: a function and what it must give."""

    name: str
    call: Callable[..., Any]
    contract: Contract
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields that only this stage sees."""
    hooks: Hooks = Hooks()
    declared: bool = False
    """It has had its `through`."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Stages that are run as long as `condition` holds."""

    condition: Callable[[Context], Any]
    body: tuple[Stage | Loop, ...] = ()
    max_turns: int = MAX_TURNS
    bounded: bool = False
    """`max_turns` was given."""


Node = Stage | Loop


class Pipeline:
    """Built step by step; every step gives a new pipeline.

    `inputs` are the fields that are there from the start: a type for one that `run` must be given, else its default.
    Stages may give them anew.

    A stage's function takes the fields it names as parameters, or all of them as one parameter called `input`, `ctx`,
    `context`, `data` or `config`, or annotated with a model; it may be a coroutine function. It returns what its
    contract promises, as a mapping, a model, or, where that is one field, just its value.
    """

    def __init__(self, **inputs: Any) -> None:
        self.inputs: Mapping[str, Any] = inputs
        self.nodes: tuple[Node, ...] = ()
        self.global_hooks: Mapping[str, Any] = {}
        self._open: tuple[Loop, ...] = ()

    def stage(self, name: str, call: Callable[..., Any]) -> Self:
        """Add a stage. What it gives is said by the `through` that follows."""
        if not callable(call):
            raise PipelineError([f"stage {name!r}: its function is {shown(call)}, which cannot be called"])
        return self._added(Stage(name, call, Contract.of(name)))

    def through(self, contract: Any = None, /, **named: Any) -> Self:
        """What the stage before must give, and the hooks around it (see `Hooks`).

        `contract` is a type or a model; keywords that are types are fields, the others are settings of the stage.
        """
        stage = self._last()
        if stage is None or stage.declared:
            raise PipelineError(["through(...) belongs right after a stage(...), once"])
        hooks = {name: named.pop(name) for name in HOOKS if name in named}
        promised = {name: value for name, value in named.items() if is_type(value)}
        settings = {name: value for name, value in named.items() if name not in promised}
        problems = _hook_problems(stage.name, hooks)
        if problems:
            raise PipelineError(problems)
        return self._replaced(
            replace(
                stage,
                contract=Contract.of(stage.name, contract, promised),
                settings=settings,
                hooks=Hooks(**hooks),
                declared=True,
            )
        )

    def loop_while(self, condition: Callable[[Any], Any], *, max_turns: int | None = None) -> Self:
        """Run what follows, up to `end_loop`, as long as `condition(ctx)` is true, at most `max_turns` times."""
        if not callable(condition):
            raise PipelineError([f"loop_while: the condition is {shown(condition)}; it must be a function of ctx"])
        if max_turns is not None and (not isinstance(max_turns, int) or max_turns < 1):
            raise PipelineError([f"loop_while: max_turns is {shown(max_turns)}; it must be at least 1"])
        loop = Loop(condition, max_turns=max_turns or MAX_TURNS, bounded=max_turns is not None)
        return self._with(_open=(*self._open, loop))

    def end_loop(self) -> Self:
        """End the innermost loop."""
        if not self._open:
            raise PipelineError(["end_loop() without a loop_while(...) before it"])
        return self._with(_open=self._open[:-1])._added(self._open[-1])

    def with_global_hooks(self, **hooks: Any) -> Self:
        """Hooks around every stage: `before(stage, data)`, `after(stage, data)`, `metrics(stage, data)`,
        `on_error(stage, error)`, `profile=True`. They come beside the stages' own."""
        for name in hooks:
            if name not in GLOBAL_HOOKS:
                raise PipelineError([f"with_global_hooks: {name!r} is none; {hint(name, GLOBAL_HOOKS)}"])
        problems = _hook_problems("with_global_hooks", hooks)
        if problems:
            raise PipelineError(problems)
        return self._with(global_hooks={**self.global_hooks, **hooks})

    @property
    def stages(self) -> list[Stage]:
        """All stages in the order they are written."""
        return list(_stages(self.nodes))

    def check(self) -> None:
        """Find all that can be wrong before anything is run. Raises `PipelineError`."""
        from sweeptui.core.experiments.checking import problems  # noqa: PLC0415 - it needs this module

        found = problems(self)
        if found:
            raise PipelineError(found)

    def run(self, memory: Memory | None = None, **inputs: Any) -> Context | Awaitable[Context]:
        """Run it to its end; all fields that its stages gave.

        Inside a coroutine, await what it returns; anywhere else it is the result. With a `memory`, what was done in
        an earlier run is not done again. Raises `PipelineError`, and `StageError` where a stage fails for good.
        """
        from sweeptui.core.experiments.awaiting import run_or_await  # noqa: PLC0415 - it needs this module
        from sweeptui.core.experiments.running import Runner  # noqa: PLC0415 - it needs this module

        self.check()
        return run_or_await(Runner(self, inputs, memory).run)

    def _added(self, node: Node) -> Self:
        if self._open:
            loop = self._open[-1]
            return self._with(_open=(*self._open[:-1], replace(loop, body=(*loop.body, node))))
        return self._with(nodes=(*self.nodes, node))

    def _last(self) -> Stage | None:
        nodes = self._open[-1].body if self._open else self.nodes
        last = nodes[-1] if nodes else None
        return last if isinstance(last, Stage) else None

    def _replaced(self, stage: Stage) -> Self:
        if self._open:
            loop = self._open[-1]
            return self._with(_open=(*self._open[:-1], replace(loop, body=(*loop.body[:-1], stage))))
        return self._with(nodes=(*self.nodes[:-1], stage))

    def _with(self, **changed: Any) -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__.update(changed)
        return copy

    @property
    def unended(self) -> int:
        """How many loops have no end yet."""
        return len(self._open)


def is_type(value: Any) -> bool:
    """Whether a keyword is a field's type and not a setting."""
    return value is Any or isinstance(value, type) or get_origin(value) is not None


def input_types(pipeline: Pipeline) -> dict[str, Any]:
    """The type of each field that is there from the start."""
    return {name: value if is_type(value) else type(value) for name, value in pipeline.inputs.items()}


def _stages(nodes: tuple[Node, ...]) -> list[Stage]:
    found: list[Stage] = []
    for node in nodes:
        found += [node] if isinstance(node, Stage) else _stages(node.body)
    return found


def _hook_problems(where: str, hooks: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in hooks.items():
        if name in ("before", "after", "validate", "on_error", "metrics") and not (value is None or callable(value)):
            found.append(f"{where}: {name} is {shown(value)}; it must be a function")
        if name in ("checkpoint", "profile") and not isinstance(value, bool):
            found.append(f"{where}: {name} is {shown(value)}; it must be True or False")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name == "timeout" and not (value is None or (number and value > 0)):
            found.append(f"{where}: timeout is {shown(value)}; it must be seconds above 0")
        if name == "retry" and not (isinstance(value, int) and number and value >= 0):
            found.append(f"{where}: retry is {shown(value)}; it must be a whole number, 0 or more")
        if name == "cache" and not isinstance(value, bool | str):
            found.append(f"{where}: cache is {shown(value)}; it must be True, False or a version of your own")
    return found
