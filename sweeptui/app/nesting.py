"""Experiments among the sweeps: one tree of experiments, their stages, and what those run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeptui.app.inventory import EXPERIMENT, STAGE, SWEEP, Entry
from sweeptui.families import parents, stage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from sweeptui.families import ExperimentSight, StageSight

_LABELS = {"done": "finished", "failed": "broken"}
"""The states of stages, where they are called otherwise than those of sweeps."""


def nested(sweeps: Iterable[Entry], sights: Mapping[str, ExperimentSight], folder: Path) -> tuple[Entry, ...]:
    """The sweeps that lie in `folder`, with the experiments around them and their stages."""
    known = {entry.name: entry for entry in sweeps}
    inside = parents(known, sights)
    found: list[Entry] = []
    for entry in known.values():
        found.append(_placed(entry, inside[entry.name], sights))
    for name, sight in sights.items():
        made = Entry(
            name=name,
            folder=folder / name,
            label=sight.label,
            reason=sight.reason,
            recipe=sight.kind,
            created_at=sight.created_at,
            holder=sight.holder,
            kind=EXPERIMENT,
            max_trials=sight.budget or 0,
        )
        found.append(_placed(made, inside[name], sights))
        found += [_stage(each, index, sight, folder) for index, each in enumerate(sight.stages)]
    return tuple(_totalled(entry, found) for entry in found)


def below(name: str, entries: Sequence[Entry]) -> list[Entry]:
    """All that is inside of the entry called `name`, whatever the depth."""
    found: list[Entry] = []
    wanted = {name}
    while wanted:
        children = [entry for entry in entries if entry.parent in wanted]
        found += children
        wanted = {entry.name for entry in children}
    return found


def path_to(name: str, entries: Sequence[Entry]) -> list[Entry]:
    """The experiments from the outermost one to the one called `name`."""
    by_name = {entry.name: entry for entry in entries}
    found: list[Entry] = []
    entry = by_name.get(name)
    while entry is not None:
        if entry.kind == EXPERIMENT:
            found.insert(0, entry)
        entry = by_name.get(entry.parent)
    return found


def experiment_around(entry: Entry, entries: Sequence[Entry]) -> Entry:
    """The entry itself, or of a stage the experiment that it belongs to."""
    if entry.kind != STAGE:
        return entry
    return next((each for each in entries if each.name == entry.parent), entry)


def _placed(entry: Entry, around: str, sights: Mapping[str, ExperimentSight]) -> Entry:
    if not around:
        return entry
    stage = stage_of(entry.name, sights[around]) if around in sights else ""
    return replace(
        entry,
        parent=f"{around}:{stage}" if stage else around,
        title=entry.name.removeprefix(f"{around}."),
    )


def _stage(stage: StageSight, index: int, sight: ExperimentSight, folder: Path) -> Entry:
    again = f"attempt {stage.attempts}" if stage.attempts > 1 else ""
    return Entry(
        name=f"{sight.name}:{stage.path}",
        folder=folder / sight.name,
        label=_LABELS.get(stage.state, stage.state),
        reason=": ".join(part for part in (again, stage.error) if part),
        created_at=stage.began_at,
        run_s=stage.seconds or 0.0,
        kind=STAGE,
        parent=sight.name,
        title=stage.path,
        index=index,
    )


def _totalled(entry: Entry, entries: Sequence[Entry]) -> Entry:
    """With the trials of all sweeps inside it, and the best of those that its own stages run, where they are alike."""
    if entry.kind == SWEEP:
        return entry
    inside = below(entry.name, entries)
    sweeps = [each for each in inside if each.kind == SWEEP and not each.problem]
    if not sweeps:
        return entry
    names = {each.name for each in sweeps}
    own = [each for each in sweeps if each.parent not in names]
    alike = len({(each.goal, each.metric, each.cost_unit) for each in own}) == 1
    sign = -1 if own[0].goal == "minimize" else 1
    scored = [each.best for each in own if each.best is not None and each.best.score is not None]
    best = max(scored, key=lambda trial: sign * (trial.score or 0.0), default=None) if alike else None
    return replace(
        entry,
        done=sum(each.done for each in sweeps),
        max_trials=entry.max_trials or sum(each.max_trials for each in sweeps),
        running=sum(each.running for each in sweeps),
        failed=sum(each.failed for each in sweeps),
        spent=sum(each.spent for each in own),
        run_s=entry.run_s or sum(each.run_s for each in own),
        best=best,
        goal=own[0].goal if alike else "",
        metric=own[0].metric if alike else "",
        cost_unit=own[0].cost_unit,
    )
