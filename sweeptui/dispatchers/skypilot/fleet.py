"""All remote jobs of a sweep, and what is to be done for each next: launched, searched for, looked at, read, ended.

Every step is an errand for the courier; what it brings back is taken in by the thread that calls `turn`.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING

from sweeptui.core.dispatch import JobPhase, JobUpdate
from sweeptui.dispatchers.skypilot.errands import MAX_WAIT_S, Errands
from sweeptui.dispatchers.skypilot.farewell import take_down
from sweeptui.dispatchers.skypilot.gateway import GatewayError, RemoteState, Sighting
from sweeptui.dispatchers.skypilot.job import RemoteJob, Step
from sweeptui.dispatchers.skypilot.log_reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeptui.core.remote import SkypilotConfig
    from sweeptui.dispatchers.skypilot.gateway import Gateway

ROUND_S = 0.5
"""Between two rounds over all jobs; what a courier brings starts one at once."""
MISSES = 3
"""Looks in a row that must not find a job before it is searched for."""
CLEAR_TRIES = 6
logger = logging.getLogger(__name__)


class Fleet:
    """Used by one thread."""

    def __init__(
        self,
        config: SkypilotConfig,
        make_gateway: Callable[[], Gateway],
        watched: Callable[[], int | None],
        interval_s: float,
        retry_s: float,
    ) -> None:
        """`watched`: the trial that somebody looks at; its log is followed."""
        self.jobs: dict[str, RemoteJob] = {}
        """By token; until their end is told."""
        self._config = config
        self._errands = Errands(make_gateway, config.max_submissions, interval_s, retry_s)
        self._courier, self._gateway = self._errands.courier, self._errands.gateway
        self._logs = LogReader(self._errands, watched, lambda: self.hurry(look=True))
        self._updates: list[JobUpdate] = []
        self._round_at = self._look_at = float("-inf")
        self._looking = self._finding = False
        self._fails = 0
        self._launched = False

    @property
    def fileno(self) -> int:
        """Readable when a courier is back."""
        return self._courier.fileno

    def turn(self) -> list[JobUpdate]:
        """Do what is due; what there is to tell since the last turn."""
        delivered = self._courier.deliver()
        now = time.monotonic()
        if delivered or now >= self._round_at:
            self._round_at = now + ROUND_S
            self._round(now)
        updates, self._updates = self._updates, []
        return updates

    def hurry(self, *, look: bool = False) -> None:
        """Have the next turn be a round, and look at the jobs if wanted."""
        self._round_at = float("-inf")
        if look:
            self._look_at = float("-inf")

    def cancel(self, job: RemoteJob) -> None:
        job.cancelled, job.not_before, job.tries = True, 0.0, 0
        self._tell(job)
        self.hurry(look=True)

    def close(self, suffix: str) -> None:
        """Let go; where no job is left to adopt, see that nothing whose name ends so is left standing."""
        self._courier.close()
        if not self.jobs and (self._launched or self._config.clusters):
            take_down(self._gateway(), suffix)
        self._errands.close_gateway()
        self.jobs.clear()

    def _round(self, now: float) -> None:
        launching = sum(job.step is Step.LAUNCHING for job in self.jobs.values())
        finding: list[RemoteJob] = []
        reading: list[RemoteJob] = []
        for job in list(self.jobs.values()):
            if job.busy or now < job.not_before:
                continue
            match job.step:
                case Step.TO_LAUNCH if job.cancelled:
                    self._gone(job)
                case Step.TO_LAUNCH if launching < self._config.max_submissions:
                    launching += 1
                    self._launch(job)
                case Step.LAUNCHING if job.unwanted:
                    self._stop(job)
                case Step.TO_FIND:
                    finding.append(job)
                case Step.OUT:
                    self._check_queue(job)
                    if job.unwanted:
                        self._stop(job)
                    else:
                        reading.append(job)
                case Step.LAST_LINES:
                    self._logs.read(job, None)
                case Step.CLEARING:
                    self._clear(job)
        if finding and not self._finding:
            self._find(finding)
        self._logs.turn(reading, sum(job.busy and job.step is Step.OUT for job in self.jobs.values()), now)
        if now >= self._look_at and not self._looking:
            self._look(now)

    def _launch(self, job: RemoteJob) -> None:
        job.step, self._launched = Step.LAUNCHING, True
        submission, gateway = job.record.submission, self._gateway

        def launched(remote_id: str) -> None:
            job.busy = False
            job.record.remote_id = remote_id
            self._save(job)
            job.step, job.tries, job.not_before = Step.OUT, 0, 0.0
            self._look_at = float("-inf")
            self._tell(job)

        def failed(error: GatewayError) -> None:
            job.busy = False
            if error.again:
                # Nobody knows how far it got: looked for first, launched again if it is not there.
                job.step = Step.TO_FIND
                self._errands.later(job, error)
            else:
                job.error = str(error)
                job.step, job.tries = Step.CLEARING, 0

        # Not marked busy: a launch that takes minutes can be cancelled.
        self._courier.send("launch", lambda: gateway().submit(submission), launched, failed)

    def _find(self, jobs: list[RemoteJob]) -> None:
        """Search for jobs of which nobody knows whether they are there."""
        names, gateway = [job.name for job in jobs], self._gateway
        self._finding = True

        def found(sightings: Mapping[str, Sequence[Sighting]]) -> None:
            self._finding = False
            for job in jobs:
                if job.step is not Step.TO_FIND:
                    continue
                if sightings.get(job.name):
                    job.step, job.tries = Step.OUT, 0
                    self._see(job, sightings[job.name])
                else:
                    self._not_there(job)

        def failed(error: GatewayError) -> None:
            self._finding = False
            for job in jobs:
                self._errands.later(job, error)

        self._courier.send("look", lambda: gateway().find_by_name(names), found, failed)

    def _not_there(self, job: RemoteJob) -> None:
        if job.record.remote_id:
            ran = job.record.ran_at is not None
            taken = self._config.mode == "cluster" and (ran or self._config.clusters is not None)
            state = RemoteState.PREEMPTED if taken else RemoteState.LOST
            reason = "its cluster is gone" if taken else ""
            job.sighting = Sighting(job.record.remote_id, state, reason)
            self._clear(job)
        elif job.unwanted:
            self._gone(job)
        else:
            job.step = Step.TO_LAUNCH

    def _look(self, now: float) -> None:
        """One look at all jobs that SkyPilot has, or is about to have."""
        jobs = [job for job in self.jobs.values() if job.step in (Step.OUT, Step.LAUNCHING)]
        if not jobs:
            return
        names, gateway = [job.name for job in jobs], self._gateway
        self._looking = True

        def seen(sightings: Mapping[str, Sequence[Sighting]]) -> None:
            self._looking, self._fails = False, 0
            self._look_at = time.monotonic() + self._errands.pause_s(time.monotonic() - now)
            for job in jobs:
                if job.step in (Step.OUT, Step.LAUNCHING) and sightings.get(job.name):
                    self._see(job, sightings[job.name])
                elif job.step is Step.OUT:
                    self._miss(job, now)

        def failed(error: GatewayError) -> None:
            self._looking, self._fails = False, self._fails + 1
            wait = min(MAX_WAIT_S, self._errands.interval_s * 2**self._fails) * random.uniform(0.8, 1.2)  # noqa: S311
            self._look_at = time.monotonic() + wait
            logger.warning("SkyPilot was not asked about %d jobs, again in %.0f s: %s", len(jobs), wait, error)

        self._courier.send("look", lambda: gateway().poll_many(names), seen, failed)

    def _see(self, job: RemoteJob, sightings: Sequence[Sighting]) -> None:
        chosen = _chosen(sightings, job.record.remote_id)
        for other in sightings:
            if other is not chosen and not other.state.over:
                self._cancel_copy(job.name, other.remote_id)
        if job.step is Step.LAUNCHING and chosen.state.over:
            # Of a cluster that is being made anew; the launch itself says how it went.
            return
        if job.see(chosen, time.time()):
            self._save(job)
        if chosen.state.over:
            job.step, job.tries, job.not_before = Step.LAST_LINES, 0, 0.0
        self._tell(job)

    def _miss(self, job: RemoteJob, now: float) -> None:
        """Not found once is not lost: SkyPilot may be starting anew, or be between two machines."""
        job.missed_since = job.missed_since if job.missed else now
        job.missed += 1
        if job.unwanted or (job.missed >= MISSES and now - job.missed_since >= self._errands.interval_s):
            job.step, job.missed = Step.TO_FIND, 0

    def _check_queue(self, job: RemoteJob) -> None:
        limit, sighting = job.record.queue_timeout_s, job.sighting
        if limit is None or job.record.ran_at is not None or (sighting is not None and not sighting.state.waits):
            return
        if time.time() - job.record.queued_at > limit:
            job.late = f"waited for a machine longer than queue_timeout_s ({limit:g} s)"

    def _stop(self, job: RemoteJob) -> None:
        """Ask for its end; asked again until it is seen."""
        name, remote_id, gateway = job.name, job.record.remote_id, self._gateway
        launching = job.step is Step.LAUNCHING

        def stop() -> None:
            if launching:
                gateway().down(name)
            else:
                gateway().cancel(name, remote_id)

        def stopped(_: None) -> None:
            job.busy = False
            job.wait(5 * self._errands.retry_s)
            self._look_at = float("-inf")

        self._errands.send_for(job, "act", stop, stopped)

    def _cancel_copy(self, name: str, remote_id: str) -> None:
        gateway = self._gateway
        logger.warning("%s was launched twice; its copy %s is cancelled", name, remote_id)
        self._courier.send(
            "act",
            lambda: gateway().cancel(name, remote_id),
            lambda _: None,
            lambda error: logger.warning("%s", error),
        )

    def _clear(self, job: RemoteJob) -> None:
        name, gateway = job.name, self._gateway
        job.step = Step.CLEARING

        def cleared(_: None) -> None:
            job.busy = False
            self._gone(job)

        def failed(error: GatewayError) -> None:
            job.busy = False
            if job.tries >= CLEAR_TRIES:
                logger.warning("%s may still stand: %s", name, error)
                self._gone(job)
            else:
                self._errands.later(job, error)

        self._errands.send_for(job, "act", lambda: gateway().down(name), cleared, failed)

    def _gone(self, job: RemoteJob) -> None:
        job.step = Step.GONE
        job.record.exit = job.exit(time.time())
        self._save(job)
        self._tell(job)
        self._updates.append(JobUpdate(job.token, JobPhase.ENDED, job.record.exit))
        del self.jobs[job.token]

    def _save(self, job: RemoteJob) -> None:
        try:
            job.save()
        except OSError as error:
            # It is found by its name, too.
            logger.warning("%s cannot be written: %s", job.path, error)

    def _tell(self, job: RemoteJob) -> None:
        slot = job.slot()
        if slot != job.told:
            began = job.record.ran_at if "state" in slot and slot["state"] == RemoteState.RUNNING else None
            job.told = slot
            self._updates.append(JobUpdate(job.token, JobPhase.RUNNING, slot=slot, started_at=began))


def _chosen(sightings: Sequence[Sighting], remote_id: str) -> Sighting:
    """The one that is ours: the one we know, else the oldest that is not over, else the oldest."""
    for sighting in sightings:
        if remote_id and sighting.remote_id == remote_id:
            return sighting
    oldest = sorted(sightings, key=lambda each: (each.state.over, len(each.remote_id), each.remote_id))
    return oldest[0]
