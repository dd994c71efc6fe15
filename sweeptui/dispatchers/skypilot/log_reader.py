"""The logs of what runs: the one that somebody looks at as it is printed, the others in turn."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.dispatchers.skypilot.errands import LOGS_AT_ONCE
from sweeptui.dispatchers.skypilot.gateway import RemoteState
from sweeptui.dispatchers.skypilot.job import RemoteJob, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweeptui.dispatchers.skypilot.errands import Errands
    from sweeptui.dispatchers.skypilot.gateway import GatewayError

LOG_TAIL = 400
WATCHED_S = 2.0
"""Who looks at a trial for so long gets its log as it is printed; until then, and where that fails, so often."""
STOP_S = 5.0
"""Before a stream that has not ended is asked to again."""
LAST_LINES_TRIES = 4
logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Stream:
    job: RemoteJob
    whole: bool
    """From the first line on."""
    ended: bool = False
    stopped_at: float | None = None


class LogReader:
    """Used by one thread."""

    def __init__(self, errands: Errands, watched: Callable[[], int | None], ends: Callable[[], None]) -> None:
        """`watched`: the trial that somebody looks at. `ends`: called when a log says that its job is over."""
        self._errands, self._watched, self._ends = errands, watched, ends
        self._streams: list[_Stream] = []
        """The one that is followed is the last; those before it are to end."""
        self._trial: int | None = None
        self._since = 0.0

    def turn(self, jobs: Sequence[RemoteJob], busy: int, now: float) -> None:
        """Read what is due. `jobs`: what SkyPilot has, without the `busy` ones, which an errand is under way for."""
        trial = self._watched()
        if trial != self._trial:
            self._trial, self._since = trial, now
        self._follow(jobs, now)
        followed = {stream.job.token for stream in self._streams if stream.stopped_at is None}
        due = [job for job in jobs if prints(job) and job.token not in followed and now >= self._due_at(job)]
        due.sort(key=lambda job: (job.trial != trial, job.log_at))
        for job in due[: max(0, LOGS_AT_ONCE - busy)]:
            self.read(job, LOG_TAIL)

    def read(self, job: RemoteJob, tail: int | None) -> None:
        """Bring the last `tail` lines, or all of them (None)."""
        name, remote_id, gateway = job.name, job.record.remote_id, self._errands.gateway
        last, asked_at = job.step is Step.LAST_LINES, time.monotonic()

        def read(lines: Sequence[str]) -> None:
            job.busy, whole = False, tail is None
            job.read_at = now = time.monotonic()
            job.log_at = now + self._errands.pause_s(now - asked_at)
            try:
                fed = job.transport.feed(lines, whole=whole)
            except OSError as error:
                return self._errands.later(job, error)
            if last:
                return self._read_last(job, lines)
            job.tries = 0
            if fed.gap:
                self.read(job, None)
            return None

        def failed(error: GatewayError) -> None:
            job.busy = False
            if last and job.tries >= LAST_LINES_TRIES:
                logger.warning("the end of the log of %s is missing: %s", name, error)
                job.step, job.tries = Step.CLEARING, 0
            else:
                self._errands.later(job, error)

        self._errands.send_for(job, "logs", lambda: gateway().logs(name, remote_id, tail), read, failed)

    def _due_at(self, job: RemoteJob) -> float:
        return job.read_at + WATCHED_S if job.trial == self._trial else job.log_at

    def _read_last(self, job: RemoteJob, lines: Sequence[str]) -> None:
        """A log may be complete a little later than its job."""
        state = job.sighting.state if job.sighting is not None else RemoteState.LOST
        ran = state in (RemoteState.SUCCEEDED, RemoteState.FAILED)
        if ran and job.transport.end is None and job.tries < LAST_LINES_TRIES:
            job.tries += 1
            job.wait(self._errands.retry_s)
            return
        if not job.transport.seen:
            job.transport.append(lines)
        job.step, job.tries = Step.CLEARING, 0

    # -- the one that is followed ---------------------------------------------------------------------------------

    def _follow(self, jobs: Sequence[RemoteJob], now: float) -> None:
        self._streams = [stream for stream in self._streams if not stream.ended]
        for stream in self._streams:
            job = stream.job
            left = job.trial != self._trial or job.step is not Step.OUT or job.unwanted
            if left or stream.stopped_at is not None:
                self._stop(stream, now)
        if any(stream.stopped_at is None for stream in self._streams) or now < self._since + WATCHED_S:
            return
        ending = {stream.job.token for stream in self._streams}
        for job in jobs:
            # One at a time of each: they are ended by the job's name.
            if job.trial == self._trial and prints(job) and now >= job.follow_at and job.token not in ending:
                self._start(job)
                return

    def _start(self, job: RemoteJob) -> None:
        stream = _Stream(job, whole=job.follow_whole or not job.transport.seen)
        self._streams.append(stream)
        name, remote_id, errands = job.name, job.record.remote_id, self._errands
        tail = None if stream.whole else LOG_TAIL

        def arrived(lines: Sequence[str]) -> None:
            errands.courier.post(lambda: self._arrived(stream, lines))

        def ended(_: None) -> None:
            stream.ended = True
            job.follow_tries += 1
            job.follow_at = time.monotonic() + errands.back_off_s(job.follow_tries)

        def failed(error: GatewayError) -> None:
            ended(None)
            logger.warning("the log of %s is not followed: %s", name, error)

        errands.courier.send("streams", lambda: errands.gateway().follow(name, remote_id, tail, arrived), ended, failed)

    def _arrived(self, stream: _Stream, lines: Sequence[str]) -> None:
        job = stream.job
        if stream.stopped_at is not None or job.step is not Step.OUT:
            return
        now = time.monotonic()
        job.read_at, job.log_at, job.follow_tries = now, now + self._errands.pause_s(0.0), 0
        try:
            fed = job.transport.feed(lines, whole=stream.whole)
        except OSError as error:
            self._errands.later(job, error)
            self._stop(stream, now)
            return
        job.follow_whole = fed.gap
        if fed.gap:
            self._stop(stream, now)
        elif job.transport.end is not None:
            self._ends()

    def _stop(self, stream: _Stream, now: float) -> None:
        """It ends a little later: where its job prints nothing, SkyPilot says so twice a minute."""
        if stream.stopped_at is not None and now < stream.stopped_at + STOP_S:
            return
        stream.stopped_at = now
        name, gateway = stream.job.name, self._errands.gateway
        self._errands.courier.send("act", lambda: gateway().unfollow(name), lambda _: None, lambda _: None)


def prints(job: RemoteJob) -> bool:
    return job.sighting is not None and job.sighting.state is RemoteState.RUNNING
