"""Which trial holds which slot, GPU and CPU time, and since when; who waits; and what the slots have done so far."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import work

from sweeptui.app import theme, wording
from sweeptui.app.columns import BOLD, HEADER, PLAIN, QUIET, Piece, progress_bar
from sweeptui.app.fields import share_done
from sweeptui.app.messages import Latest
from sweeptui.app.plot import order
from sweeptui.app.screens import about, occupancy
from sweeptui.app.screens.lines import Line, Section, columns, inner, line, rows_of, said, stacked, table
from sweeptui.app.screens.page import LIST_SHARE, Page, actions_of, bindings_of
from sweeptui.app.screens.usage import Gpu, Sampler, Usage, gpus
from sweeptui.core.trial import Job, TrialStatus
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from textual.binding import BindingType

    from sweeptui.app.panels import Part
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.stores.stints import Stint

LOOK_S = 2.0
MAX_WAITING = 12
LEAST_CURVE, MOST_CURVE = 10, 30
"""Lines of the learning curve."""
LEAST_ROWS, ENOUGH_ROWS, MOST_ROWS = 3, 6, 30
"""Lines of how many slots were taken when: more than enough of them only where nothing else is to be said."""
LEAST_ENDED, MOST_ENDED = 3, 30


@dataclass
class Measured(Latest):
    usage: Mapping[int, Usage]
    """By job id."""
    gpus: list[Gpu]
    stints: Sequence[Stint]


_NOTHING = Measured({}, [], ())


class SlotsPage(Page):
    """A line for each slot, taken or free; the GPUs, where there are any; who waits; and what each slot has done."""

    NAME = "slots"
    KEYS = actions_of("slots")
    BINDINGS: ClassVar[list[BindingType]] = bindings_of(KEYS)

    def __init__(self, sampler: Sampler, folder: Path) -> None:
        """`folder`: the sweep's."""
        super().__init__()
        self._sampler = sampler
        self._stints = occupancy.Stints(folder / DATABASE)
        self._measured = _NOTHING
        self._measuring = False
        self._plotted: frozenset[int] = frozenset()

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(LOOK_S, self._measure)

    def show(self, snapshot: Snapshot) -> None:
        first = self.shown is None
        super().show(snapshot)
        if first:
            self._measure()

    def _measure(self) -> None:
        if self.shown is not None and not self._measuring:
            self._measuring = True
            self._measure_now(list(self.shown.running.values()))

    @work(thread=True, group="look")
    def _measure_now(self, jobs: list[Job]) -> None:
        self.post_message(Measured(self._sampler.look(jobs), gpus(), self._stints.read()))

    def on_measured(self, message: Measured) -> None:
        self._measuring = False
        self._measured = message
        self.draw()

    # -- what it says

    def second_line(self, snapshot: Snapshot) -> list[Part]:
        free = max(0, snapshot.slots - len(snapshot.running))
        used = [usage for usage in self._measured.usage.values() if usage.cores is not None]
        parts: list[Part] = [(0, [(f"{len(snapshot.running)} taken, {free} free", PLAIN)])]
        if used:
            cores = sum(usage.cores or 0.0 for usage in used)
            memory = sum(usage.memory for usage in used)
            parts.append((1, [("together ", QUIET), (f"{cores * 100:.0f}% CPU, {wording.size(memory)}", PLAIN)]))
        return parts

    def lines(self, snapshot: Snapshot, width: int) -> list[Line]:
        pointed = snapshot.trial(self.sheet.cursor) if self.roomy else None
        height = self.sheet.size.height
        if pointed is None:
            sections = self._sections(snapshot, inner(width, ruled=self.ruled), height)
            return stacked(sections, width, ruled=self.ruled)
        left = int(width * LIST_SHARE)
        right = width - left - 1
        settings = about.settings(snapshot, pointed, right - 4)
        sections = [
            replace(settings, title=f"{settings.title} of {pointed.id}"),
            about.why(snapshot, pointed, right - 4),
            *([about.metrics(pointed, right - 4)] if pointed.metrics else []),
        ]
        rows = max(LEAST_CURVE, min(MOST_CURVE, height - rows_of(sections) - 2))
        curve = about.curve(snapshot, pointed, right - 4, rows)
        sections += [curve] if curve is not None else []
        return columns(self._sections(snapshot, left - 4, height), sections, (left, right), height)

    def plotted(self, snapshot: Snapshot) -> frozenset[int]:
        return order.wanted(snapshot, self.sheet.cursor, ()) if self.roomy else frozenset()

    def draw(self) -> None:
        super().draw()
        plotted = frozenset() if self.shown is None else self.plotted(self.shown)
        if plotted != self._plotted:  # the cursor is on another trial
            self._plotted = plotted
            self.cockpit.look_again()

    def _sections(self, snapshot: Snapshot, room: int, height: int) -> list[Section]:
        """The last of them fills the page."""
        # Evaluations run beside them, so that more may be taken than this.
        most = f"{snapshot.slots} training{'s' if snapshot.slots != 1 else ''} at once"
        sections = [Section("Slots", tuple(self._slots(snapshot, room)), most)]
        if self._measured.gpus:
            sections.append(Section("GPUs", tuple(self._gpus(snapshot))))
        waiting = [trial for trial in snapshot.trials if trial.status in (TrialStatus.PENDING, TrialStatus.TRAINED)]
        paused = [
            trial
            for trial in snapshot.trials
            if trial.status is TrialStatus.PAUSED and trial.number not in snapshot.running
        ]
        if waiting or paused:
            rows: list[list[Piece]] = []
            for trial in [*waiting, *paused][:MAX_WAITING]:
                state = wording.trial_state(trial)
                since = self._since(trial.queued_at if trial.queued_at is not None else trial.created_at)
                rows.append(
                    [
                        (trial.id, BOLD),
                        (str(state), theme.style(state.colour)),
                        (since, QUIET),
                        (wording.line(trial.reason), QUIET),
                    ]
                )
            more = len(waiting) + len(paused) - len(rows)
            lines = table(rows, left=4) + ([said(f"… {more} more", QUIET)] if more > 0 else [])
            sections.append(Section("Waiting for a slot", tuple(lines), str(len(waiting) + len(paused))))
        held = occupancy.occupancy(self._measured.stints, self.cockpit.clock(), over=snapshot.over)
        if held is not None:
            sections.append(occupancy.done(held, room))
            spare = height - rows_of(sections) - 3 - ENOUGH_ROWS - 3
            if spare >= LEAST_ENDED:
                ended = occupancy.ended(held, snapshot.trial, self.cockpit.clock(), min(spare, MOST_ENDED))
                sections += [] if ended is None else [ended]
            left = height - rows_of(sections) - 3
            sections.append(occupancy.used(held, snapshot.slots, room, max(LEAST_ROWS, min(MOST_ROWS, left))))
        return sections

    def _since(self, at: float | None) -> str:
        return wording.UNKNOWN if at is None else f"for {wording.duration(self.cockpit.clock() - at)}"

    def _slots(self, snapshot: Snapshot, room: int) -> list[Line]:
        jobs = _by_slot(snapshot.running.values())
        wide = room >= 90
        any_gpu = any(job.slot.get("gpus") for job in jobs.values())
        on_gpu = any(usage.gpu_memory for usage in self._measured.usage.values())
        head = ["slot", "trial", "stage", "state", "for", *(["GPU"] if any_gpu else []), "CPU", "memory"]
        head += ["GPU memory"] if on_gpu else []
        head += ["done"] if wide else []
        rows: list[list[Piece]] = [[(title, HEADER) for title in head]]
        keys: list[int | None] = [None]
        # Of a dispatcher that has more places than the sweep may use at once, only so many are free.
        free = (index for index in itertools.count() if index not in jobs)
        shown = sorted([*jobs, *itertools.islice(free, max(0, snapshot.slots - len(jobs)))])
        for index in shown:
            job = jobs.get(index)
            if job is None:
                rows.append([(str(index), QUIET), ("free", QUIET)])
                keys.append(None)
                continue
            rows.append(self._taken(snapshot, index, job, any_gpu=any_gpu, on_gpu=on_gpu, wide=wide))
            keys.append(job.trial)
        return table(rows, left=len(head), keys=keys)

    def _taken(
        self, snapshot: Snapshot, index: int, job: Job, *, any_gpu: bool, on_gpu: bool, wide: bool
    ) -> list[Piece]:
        trial = snapshot.trial(job.trial)
        state = wording.job_state(job)
        usage = self._measured.usage.get(job.id)
        unknown = "…" if self._measured is _NOTHING else wording.UNKNOWN
        cpu = unknown if usage is None else "…" if usage.cores is None else f"{usage.cores * 100:.0f}%"
        row: list[Piece] = [
            (str(index), BOLD),
            (trial.id if trial is not None else str(job.trial), BOLD),
            (f"{job.stage}" + (f" {job.attempt}" if job.attempt > 1 else ""), PLAIN),
            (str(state), theme.style(state.colour)),
            (self._since(job.started_at).removeprefix("for "), PLAIN),
        ]
        if any_gpu:
            gpu = " ".join(wording.line(str(each)) for each in job.slot.get("gpus", ()))
            row.append((gpu or wording.UNKNOWN, theme.style(theme.GREEN)))
        row += [(cpu, PLAIN), (unknown if usage is None else wording.size(usage.memory), PLAIN)]
        if on_gpu:
            held = None if usage is None else usage.gpu_memory
            row.append((wording.UNKNOWN if held is None else wording.size(held), PLAIN))
        share = share_done(trial) if trial is not None else None
        if wide and share is not None:
            bar = "".join(text for text, _ in progress_bar(share, 12, theme.SKY))
            row.append((f"{bar} {int(share * 100)}%", theme.style(theme.SKY)))
        return row

    def _gpus(self, snapshot: Snapshot) -> list[Line]:
        holders: dict[str, list[str]] = {}
        for job in snapshot.running.values():
            for gpu in job.slot.get("gpus", ()):
                holders.setdefault(str(gpu), []).append(f"#{job.trial}")
        lines = []
        for gpu in self._measured.gpus:
            busy = (
                [*progress_bar(gpu.busy, 12, theme.GREEN), (f" {gpu.busy:4.0%}", PLAIN)] if gpu.busy is not None else []
            )
            memory = wording.UNKNOWN if gpu.used is None else wording.size(gpu.used)
            if gpu.total is not None:
                memory += f" of {wording.size(gpu.total)}"
            who = " ".join(holders.get(gpu.index, ())) or "free"
            lines.append(
                line(
                    (f"GPU {gpu.index}  ", BOLD),
                    *busy,
                    (f"  {memory}", PLAIN),
                    (f"  {who}", theme.style(theme.SKY) if who != "free" else QUIET),
                    (f"  {wording.line(gpu.name)}", QUIET),
                )
            )
        return lines

    # -- keys

    def choose(self) -> None:
        if self.sheet.cursor is not None:
            self.cockpit.pages.open_trial(self.sheet.cursor)


def _by_slot(running: Iterable[Job]) -> dict[int, Job]:
    """Each job at the number of its slot; those without one, which run elsewhere, at the free numbers."""
    jobs = list(running)
    taken = {job.slot["index"]: job for job in jobs if isinstance(job.slot.get("index"), int)}
    others = [job for job in jobs if taken.get(job.slot.get("index")) is not job]
    free = (index for index in itertools.count() if index not in taken)
    return {**taken, **dict(zip(free, others, strict=False))}
