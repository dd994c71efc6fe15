"""Everything about a pipeline that can be found wrong before it is run."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from sweeptui.core.errors import hint
from sweeptui.core.experiments.contracts import type_name
from sweeptui.core.experiments.pipeline import Loop, Node, Pipeline, Ref, Stage, input_types
from sweeptui.core.experiments.reading import attributes, constant, depends_on_more, reads


def problems(pipeline: Pipeline) -> list[str]:
    """One sentence for each thing that is wrong, in the order of the stages."""
    checker = _Checker(pipeline)
    checker.sequence(pipeline.nodes)
    return checker.found


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value of the declared type `given` can be one of `wanted`; true where nothing speaks against it."""
    if Any in (given, wanted) or given == wanted or wanted is object:
        return True
    if get_origin(given) in (Union, types.UnionType):
        return any(fits(part, wanted) for part in get_args(given))
    if get_origin(wanted) in (Union, types.UnionType):
        return any(fits(given, part) for part in get_args(wanted))
    mine, theirs = get_origin(given) or given, get_origin(wanted) or wanted
    if not (isinstance(mine, type) and isinstance(theirs, type)):
        return True
    if theirs is float and mine is int:
        return True
    if not issubclass(mine, theirs):
        return False
    pairs = zip(get_args(given), get_args(wanted), strict=False)
    return all(fits(one, other) for one, other in pairs if Ellipsis not in (one, other))


class _Checker:
    def __init__(self, pipeline: Pipeline) -> None:
        self.found: list[str] = []
        self.inputs = input_types(pipeline)
        self.fields: dict[str, Any] = dict(self.inputs)
        self.names: set[str] = set()
        self.unended = pipeline.unended
        self.loops = 0
        if not pipeline.nodes and not self.unended:
            self.found.append("the pipeline has no stage; add one with .stage(name, function)")
        if self.unended:
            self.found.append("a loop_while(...) has no end; add .end_loop() where it ends")

    def sequence(self, nodes: tuple[Node, ...]) -> None:
        endless: str | None = None
        for node in nodes:
            if endless is not None:
                self.found.append(f"{_first(node)} is never reached: {endless} before it never ends")
                endless = None  # once is enough
            if isinstance(node, Stage):
                self.stage(node)
            elif self.loop(node):
                endless = f"the loop from {_first(node)}"

    def stage(self, stage: Stage) -> None:
        where = f"stage {stage.name!r}"
        if stage.name in self.names:
            self.found.append(f"{where} is there twice; give each stage a name of its own")
        self.names.add(stage.name)
        self.found += stage.contract.problems()
        seen = {**self.fields, **{name: _kind(value, self.fields) for name, value in stage.settings.items()}}
        for name, value in stage.settings.items():
            if isinstance(value, Ref) and value.field not in self.fields:
                self.found.append(
                    f"{where}: setting {name} is ref({value.field!r}), which nothing before it gives; "
                    f"{hint(value.field, self.fields)}"
                )
        for name, wanted in reads(stage.call, frozenset(seen)).required().items():
            if name not in seen:
                self.found.append(f"{where} reads {name!r}, which nothing before it gives; {hint(name, seen)}")
            elif not fits(seen[name], wanted):
                self.found.append(
                    f"{where} takes {name!r} as {type_name(wanted)}, but it is {type_name(seen[name])}; change one"
                )
        for name, kind in stage.contract.fields.items():
            if name in self.inputs and not fits(kind, self.inputs[name]):
                self.found.append(
                    f"{where} gives {name!r} as {type_name(kind)}, but the pipeline has it as "
                    f"{type_name(self.inputs[name])}; change one"
                )
        self.fields.update(stage.contract.fields)

    def loop(self, loop: Loop) -> bool:
        """Whether it can never end."""
        where = f"the loop from {_first(loop)}"
        if not loop.body:
            self.found.append("loop_while(...) has no stage before its end_loop(); add one")
            return False
        given = _given(loop.body) | set(self.inputs)
        always = constant(loop.condition)
        if always is False:
            self.found.append(f"{_first(loop)} is never reached: the condition of its loop is always false")
        if always is True and not loop.bounded:
            self.found.append(f"{where} never ends: its condition is always true; pass max_turns to bound it")
        read = _condition_reads(loop)
        for name in sorted(read):
            if name not in self.fields:
                self.found.append(
                    f"the condition of {where} reads {name!r}, which nothing before it gives; "
                    f"{'declare it with its first value: Pipeline(' + name + '=...)' if name in given else hint(name, self.fields)}"  # noqa: E501
                )
        stuck = bool(read) and not read & given and not depends_on_more(loop.condition)
        if stuck and not loop.bounded:
            self.found.append(
                f"{where} never ends once it is begun: no stage in it gives {' or '.join(map(repr, sorted(read)))}, "
                f"which its condition reads; give it in one of them, or pass max_turns"
            )
        self.sequence(loop.body)
        return always is True and not loop.bounded


def _given(nodes: tuple[Node, ...]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        found |= set(node.contract.fields) if isinstance(node, Stage) else _given(node.body)
    return found


def _condition_reads(loop: Loop) -> set[str]:
    needs = reads(loop.condition)
    if needs.whole is not None:
        return attributes(loop.condition, needs.whole)
    return set(needs.required())


def _first(node: Node) -> str:
    while isinstance(node, Loop):
        if not node.body:
            return "an empty loop"
        node = node.body[0]
    return f"stage {node.name!r}"


def _kind(value: Any, fields: Mapping[str, Any]) -> Any:
    return fields.get(value.field, Any) if isinstance(value, Ref) else type(value)
