"""Runs a pipeline: each stage once, in order, from where an earlier run was cut off."""

from __future__ import annotations

import cProfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError, hint, shown
from sweeptui.core.experiments import caching
from sweeptui.core.experiments.contracts import Context, Contract
from sweeptui.core.experiments.interrupt import StageTimeoutError, call_within
from sweeptui.core.experiments.memory import Event, Forgetful, StoppedError
from sweeptui.core.experiments.pipeline import Loop, Node, Pipeline, PipelineError, Ref, Stage, input_types, is_type
from sweeptui.core.experiments.reading import reads

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.experiments.memory import Memory

_NO_OUTPUT = object()

STAGE: ContextVar[str] = ContextVar("sweeptui_stage", default="")
"""The path of the stage that runs now, for what is run inside of it."""

_PAUSED_S: ContextVar[Callable[[], float]] = ContextVar("sweeptui_paused_s", default=lambda: 0.0)
"""For how long the run has been paused that a stage belongs to, for the pipelines that it runs by itself."""


class StageError(UserError):
    """A stage failed for good. Its cause is the error of the last attempt."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class Runner:
    """One run of a pipeline. All it knows besides its code is in `memory`."""

    def __init__(self, pipeline: Pipeline, inputs: Mapping[str, Any], memory: Memory | None = None) -> None:
        """Raises `PipelineError` where the inputs are not those that the pipeline has."""
        self.pipeline = pipeline
        self.memory: Memory = memory or Forgetful()
        self._types = input_types(pipeline)
        self._state = Contract("the pipeline's input", self._types)
        self._fields = self._first_fields(inputs)
        self._done: dict[str, Event] = {}
        self._left: set[str] = set()
        self._turns: dict[str, bool] = {}
        self._loops = 0

    def run(self) -> Context:
        """Raises `StageError`, and `UserError` where the memory is of another pipeline or cannot be written."""
        self._recall()
        self._sequence(self.pipeline.nodes, "")
        if "" not in self._left:
            self.memory.record(Event("end", ""))
        return Context(self._fields)

    def _first_fields(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        for name in inputs:
            if name not in self._types:
                raise PipelineError([f"run: {name!r} is no input of this pipeline; {hint(name, self._types)}"])
        missing = [name for name, value in self.pipeline.inputs.items() if is_type(value) and name not in inputs]
        if missing:
            raise PipelineError([f"run: input {missing[0]!r} is missing; pass {missing[0]}=..."])
        return self._state.accept({**self.pipeline.inputs, **inputs})

    def _recall(self) -> None:
        """Take up what an earlier run did."""
        events = self.memory.events()
        begun = {
            "stages": [stage.name for stage in self.pipeline.stages],
            "inputs": self._state.dump(self._fields),
        }
        first = next((event for event in events if event.kind == "begin"), None)
        if first is None:
            self.memory.record(Event("begin", "", begun))
        for name, what in (("stages", "its stages were"), ("inputs", "its input was")):
            if first is not None and first.data[name] != begun[name]:
                raise UserError(
                    f"this run was begun with another pipeline: {what} {shown(first.data[name])}, now "
                    f"{shown(begun[name])}; run it under another name, or as it was"
                )
        for event in events:
            if event.kind == "done":
                self._done[event.path] = event
            elif event.kind in ("left", "end"):
                self._left.add(event.path)
            elif event.kind == "turn":
                self._turns[event.path] = event.data["on"]

    def _sequence(self, nodes: tuple[Node, ...], prefix: str) -> None:
        loops = 0
        for node in nodes:
            if isinstance(node, Stage):
                self._stage(node, prefix + node.name)
            else:
                loops += 1
                self._loop(node, f"{prefix}loop{loops}")

    def _loop(self, loop: Loop, path: str) -> None:
        turn = 0
        while self._again(loop, f"{path}[{turn}]"):
            if turn >= loop.max_turns:
                raise StageError(
                    path, f"{path} was run {turn} times and its condition still holds; mend it or raise max_turns"
                )
            self._sequence(loop.body, f"{path}[{turn}]/")
            turn += 1

    def _again(self, loop: Loop, path: str) -> bool:
        """Whether there is one more turn: asked once, then remembered, so that the clock cannot change the past."""
        if path not in self._turns:
            try:
                args, named = reads(loop.condition).arguments(Context(self._fields))
                on = bool(loop.condition(*args, **named))
            except Exception as error:
                raise StageError(path, f"the condition of {path} failed: {_sentence(error)}") from error
            self.memory.record(Event("turn", path, {"on": on}))
            self._turns[path] = on
        return self._turns[path]

    def _stage(self, stage: Stage, path: str) -> None:
        context = Context({**self._fields, **self._settings(stage)})
        done = self._done.get(path)
        data: Mapping[str, Any]
        if done is not None and done.data["kept"]:
            data = done.data
            outputs = stage.contract.load(data["outputs"], self._types)
        else:
            outputs, data = self._first_output(stage, path, context)
            if done is None:
                self.memory.record(Event("done", path, data))
        if path not in self._left:
            self._hooks_after(stage, path, data, outputs)
            self.memory.record(Event("left", path))
        self._fields.update(outputs)

    def _settings(self, stage: Stage) -> dict[str, Any]:
        return {
            name: self._fields[value.field] if isinstance(value, Ref) else value
            for name, value in stage.settings.items()
        }

    def _first_output(self, stage: Stage, path: str, context: Context) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run the stage, or take its output from the cache."""
        hooks, contract = stage.hooks, stage.contract
        began = time.monotonic()
        cached: Path | None = None
        if hooks.cache and self.memory.folder is not None:
            cached = caching.place(self.memory.folder, stage, context)
            kept = caching.load(cached)
            if kept is not None:
                data = {"outputs": kept, "kept": hooks.checkpoint, "attempts": 0, "seconds": 0.0, "cached": True}
                return contract.load(kept, self._types), data
        self._hooks(stage, path, "before", context)
        outputs, attempts = self._attempts(stage, path, context)
        seconds = round(time.monotonic() - began, 6)
        data = {"outputs": {}, "kept": hooks.checkpoint, "attempts": attempts, "seconds": seconds, "cached": False}
        if hooks.checkpoint or cached is not None:
            kept = contract.dump(outputs, self._types)
            data["outputs"] = kept if hooks.checkpoint else {}
            outputs = contract.load(kept, self._types)  # what a run that was cut off would see
            if cached is not None:
                caching.save(cached, kept)
        return outputs, data

    def _attempts(self, stage: Stage, path: str, context: Context) -> tuple[dict[str, Any], int]:
        attempt = 0
        while True:
            attempt += 1
            self.memory.record(Event("attempt", path, {"attempt": attempt}))
            try:
                return self._attempt(stage, path, context), attempt
            except StoppedError:
                raise
            except Exception as error:
                message = self._failed(stage, path, attempt, error)
                if attempt <= stage.hooks.retry:
                    continue
                output = self._saved(stage, path, error)
                if output is _NO_OUTPUT:
                    raise StageError(path, message) from error
                return stage.contract.accept(output, self._types), attempt

    def _attempt(self, stage: Stage, path: str, context: Context) -> dict[str, Any]:
        args, named = reads(stage.call, frozenset(context)).arguments(context)

        def call() -> Any:
            return stage.call(*args, **named)

        token = STAGE.set(path)
        clock = self.memory.paused_s or _PAUSED_S.get()
        paused = _PAUSED_S.set(clock)
        try:
            wanted = self._profiled(path, call) if self._wants_profile(stage) else call
            output = call_within(wanted, stage.hooks.timeout, clock)
        finally:
            _PAUSED_S.reset(paused)
            STAGE.reset(token)
        outputs = stage.contract.accept(output, self._types)
        if stage.hooks.validate is not None:
            verdict = stage.hooks.validate(self._copy(stage, outputs))
            if verdict is False:
                raise ValueError(f"its output was refused by validate: {shown(outputs)}")
        return outputs

    def _failed(self, stage: Stage, path: str, attempt: int, error: Exception) -> str:
        timed_out = isinstance(error, StageTimeoutError)
        what = f"did not end within {stage.hooks.timeout:g} s" if timed_out else f"failed: {_sentence(error)}"
        message = f"stage {path!r} {what}" + (f" (attempt {attempt})" if stage.hooks.retry else "")
        trace = "" if timed_out else "".join(traceback.format_exception(error))[-4000:]
        self.memory.record(Event("failed", path, {"attempt": attempt, "error": message, "traceback": trace}))
        return message

    def _saved(self, stage: Stage, path: str, error: Exception) -> Any:
        """What `on_error` gives instead of an output."""
        self._hook(path, "on_error", self.pipeline.global_hooks.get("on_error"), stage.name, error)
        output = self._hook(path, "on_error", stage.hooks.on_error, error)
        return _NO_OUTPUT if output is None else output

    def _hooks_after(self, stage: Stage, path: str, data: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        self._hooks(stage, path, "after", outputs)
        numbers = {name: value for name, value in outputs.items() if isinstance(value, int | float)}
        measured = {"stage": stage.name, "seconds": data["seconds"], "attempts": data["attempts"], **numbers}
        self._hook(path, "metrics", self.pipeline.global_hooks.get("metrics"), stage.name, dict(measured))
        self._hook(path, "metrics", stage.hooks.metrics, measured)

    def _hooks(self, stage: Stage, path: str, name: str, values: Mapping[str, Any]) -> None:
        common, own = self.pipeline.global_hooks.get(name), getattr(stage.hooks, name)
        if common is not None:
            self._hook(path, name, common, stage.name, self._copy(stage, values))
        if own is not None:
            self._hook(path, name, own, self._copy(stage, values))

    def _hook(self, path: str, name: str, hook: Callable[..., Any] | None, *args: Any) -> Any:
        """Call a hook; that it fails is remembered, and changes nothing."""
        if hook is None:
            return None
        try:
            return call_within(lambda: hook(*args), None)
        except Exception as error:  # noqa: BLE001 - a hook only looks on
            self.memory.record(Event("hook_failed", path, {"hook": name, "error": _sentence(error)}))
            return None

    def _copy(self, stage: Stage, values: Mapping[str, Any]) -> Any:
        """The values as new objects, where they can be kept at all: a hook has nothing to alter."""
        if isinstance(values, Context):
            return caching.copied(values)
        try:
            copied = stage.contract.load(stage.contract.dump(values, self._types), self._types)
        except UserError:
            copied = dict(values)
        return stage.contract.seen(copied)

    def _wants_profile(self, stage: Stage) -> bool:
        wanted = stage.hooks.profile or bool(self.pipeline.global_hooks.get("profile"))
        return wanted and self.memory.folder is not None

    def _profiled(self, path: str, call: Callable[[], Any]) -> Callable[[], Any]:
        assert self.memory.folder is not None
        folder = self.memory.folder / "profiles"

        def profiled() -> Any:
            profile = cProfile.Profile()
            try:
                return profile.runcall(lambda: call_within(call, None))
            finally:
                folder.mkdir(parents=True, exist_ok=True)
                profile.dump_stats(folder / f"{path.replace('/', '.')}.pstats")

        return profiled


def _sentence(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
