"""Runs jobs through SkyPilot; see the package's docstring for who does what."""

from __future__ import annotations

import logging
import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.dispatch import Capacity, DispatchError, JobExit, JobPhase, JobUpdate, Started
from sweeptui.core.remote import MOUNT
from sweeptui.dispatchers.skypilot.courier import Courier
from sweeptui.dispatchers.skypilot.gateway import GatewayError, RemoteState, Sighting
from sweeptui.dispatchers.skypilot.job import RemoteJob, Step
from sweeptui.dispatchers.skypilot.records import JobRecord, sweep_id
from sweeptui.dispatchers.skypilot.task import name_of, submission_of, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeptui.core.dispatch import JobSpec
    from sweeptui.core.remote import SkypilotConfig
    from sweeptui.dispatchers.skypilot.gateway import Gateway

ROUND_S = 0.5
"""Between two rounds over all jobs; what a courier brings starts one at once."""
MAX_WAIT_S = 60.0
"""Between two tries of something that fails, and between two looks while SkyPilot does not answer."""
MISSES = 3
"""Looks in a row that must not find a job before it is searched for."""
LOG_TAIL = 400
LOGS_AT_ONCE = 2
LAST_LINES_TRIES = 4
CLEAR_TRIES = 6
FAREWELL_S = 60.0
logger = logging.getLogger(__name__)


class SkypilotDispatcher:
    """Implements `sweeptui.core.dispatch.Dispatcher`."""

    name = "SkyPilot"

    def __init__(
        self,
        sweep_dir: Path,
        sweep: str,
        config: SkypilotConfig,
        make_gateway: Callable[[], Gateway],
        *,
        interval_s: float = 5.0,
        retry_s: float = 2.0,
        resumable: bool = False,
    ) -> None:
        """`interval_s`: between two looks at the jobs. `retry_s`: before the second try of what failed."""
        self._sweep_dir, self._sweep, self._config = sweep_dir, sweep, config
        self._make_gateway = make_gateway
        self._interval_s, self._retry_s = interval_s, retry_s
        self._resumable = resumable
        self._jobs: dict[str, RemoteJob] = {}
        self._updates: list[JobUpdate] = []
        self._gateway_made: Gateway | None = None
        self._courier: Courier | None = None
        self._round_at = self._look_at = float("-inf")
        self._looking = self._finding = False
        self._fails = 0
        self._launched = False

    # -- the contract ---------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Get ready to launch."""
        self._id = sweep_id(self._sweep_dir)
        self._courier = Courier({"launch": self._config.max_submissions, "look": 2, "logs": LOGS_AT_ONCE, "act": 4})

    def cannot_pause(self, token: str) -> str:  # noqa: ARG002 - none of them can
        """No machine of a cloud can be stopped and kept."""
        return "runs on SkyPilot, where jobs cannot be paused; kill it, and requeue it when it is to run"

    def capacity(self, cpus: int, gpus: int) -> Capacity:  # noqa: ARG002 - SkyPilot looks for a machine that fits
        """There is always room; jobs wait in SkyPilot's queue."""
        return Capacity(free=True)

    def dispatch(self, specs: Sequence[JobSpec]) -> list[Started | DispatchError]:
        """Write down what is to be launched. The launch follows; its failure comes through `poll`."""
        return [self._take_on(spec) for spec in specs]

    def adopt(self, token: str, trial_dir: Path, handle: Mapping[str, Any]) -> JobUpdate | None:  # noqa: ARG002
        """Find a job again by its record and its name. None: nothing was ever launched for it."""
        if token in self._jobs:
            return JobUpdate(token, JobPhase.RUNNING)
        path = JobRecord.path(trial_dir, token)
        try:
            record = JobRecord.load(path)
        except ValueError:
            lost = f"{path.name} is damaged: sweeptui doctor lists what may still run"
            return JobUpdate(token, JobPhase.ENDED, JobExit(code=None, lost=True, message=lost))
        if record is None:
            return None
        if record.exit is not None:
            return JobUpdate(token, JobPhase.ENDED, record.exit)
        self._jobs[token] = RemoteJob.of(record, path, Step.TO_FIND, self._uri)
        return JobUpdate(token, JobPhase.RUNNING)

    def poll(self) -> list[JobUpdate]:
        """What changed since the last call, each end exactly once."""
        if self._courier is None:
            return []
        delivered = self._courier.deliver()
        now = time.monotonic()
        if delivered or now >= self._round_at:
            self._round_at = now + ROUND_S
            self._round(now)
        updates, self._updates = self._updates, []
        return updates

    def pause(self, token: str) -> None:
        """Nothing: see `cannot_pause`."""

    def resume(self, token: str) -> None:
        """Nothing: see `cannot_pause`."""

    def cancel(self, token: str) -> None:
        """Have SkyPilot end the job and take its machine down; the end comes through `poll`. Idempotent."""
        job = self._jobs.get(token)
        if job is not None and not job.cancelled:
            job.cancelled, job.not_before, job.tries = True, 0.0, 0
            self._tell(job)
            self._round_at = self._look_at = float("-inf")

    def fileno_set(self) -> list[int]:
        """Readable when a courier is back."""
        return [] if self._courier is None else [self._courier.fileno]

    def close(self) -> None:
        """Let go; where nothing is left to adopt, make sure that nothing is left standing, either."""
        if self._courier is not None:
            self._courier.close()
            self._courier = None
        if self._gateway_made is not None:
            if self._launched and not self._jobs:
                self._say_farewell(self._gateway_made)
            self._gateway_made.close()
            self._gateway_made = None
        self._jobs.clear()

    # -- one round over all jobs ----------------------------------------------------------------------------------

    def _round(self, now: float) -> None:
        launching = sum(job.step is Step.LAUNCHING for job in self._jobs.values())
        finding: list[RemoteJob] = []
        reading: list[RemoteJob] = []
        for job in list(self._jobs.values()):
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
                    elif _prints(job) and now >= job.log_at + self._interval_s:
                        reading.append(job)
                case Step.LAST_LINES:
                    self._read_log(job, None)
                case Step.CLEARING:
                    self._clear(job)
        if finding and not self._finding:
            self._find(finding)
        in_flight = sum(job.busy and job.step is Step.OUT for job in self._jobs.values())
        for job in sorted(reading, key=lambda job: job.log_at)[: max(0, LOGS_AT_ONCE - in_flight)]:
            job.log_at = now
            self._read_log(job, LOG_TAIL)
        if now >= self._look_at and not self._looking:
            self._look(now)

    def _take_on(self, spec: JobSpec) -> Started | DispatchError:
        if spec.token in self._jobs:
            return DispatchError(f"{spec.token} runs already")
        path = JobRecord.path(spec.trial_dir, spec.token)
        submission = submission_of(self._config, spec, name_of(self._sweep, spec, self._id))
        record = JobRecord.of(spec, submission, time.time())
        try:
            record.save(path)
        except OSError as error:
            return DispatchError(f"{path} cannot be written: {error.strerror}")
        job = self._jobs[spec.token] = RemoteJob.of(record, path, Step.TO_LAUNCH, self._uri)
        job.told = job.slot()
        self._round_at = float("-inf")
        return Started(handle={"name": job.name}, slot=job.told)

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
                self._later(job, error)
            else:
                job.error = str(error)
                job.step, job.tries = Step.CLEARING, 0

        assert self._courier is not None
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
                self._later(job, error)

        assert self._courier is not None
        self._courier.send("look", lambda: gateway().find_by_name(names), found, failed)

    def _not_there(self, job: RemoteJob) -> None:
        if job.record.remote_id:
            ran = job.record.ran_at is not None
            taken = self._config.mode == "cluster" and ran
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
        jobs = [job for job in self._jobs.values() if job.step in (Step.OUT, Step.LAUNCHING)]
        if not jobs:
            return
        names, gateway = [job.name for job in jobs], self._gateway
        self._looking = True

        def seen(sightings: Mapping[str, Sequence[Sighting]]) -> None:
            self._looking, self._fails = False, 0
            self._look_at = time.monotonic() + self._interval_s * random.uniform(0.9, 1.1)  # noqa: S311
            for job in jobs:
                if job.step in (Step.OUT, Step.LAUNCHING) and sightings.get(job.name):
                    self._see(job, sightings[job.name])
                elif job.step is Step.OUT:
                    self._miss(job, now)

        def failed(error: GatewayError) -> None:
            self._looking, self._fails = False, self._fails + 1
            wait = min(MAX_WAIT_S, self._interval_s * 2**self._fails) * random.uniform(0.8, 1.2)  # noqa: S311
            self._look_at = time.monotonic() + wait
            logger.warning("SkyPilot was not asked about %d jobs, again in %.0f s: %s", len(jobs), wait, error)

        assert self._courier is not None
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
        if job.unwanted or (job.missed >= MISSES and now - job.missed_since >= self._interval_s):
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
            job.wait(5 * self._retry_s)
            self._look_at = float("-inf")

        self._errand(job, "act", stop, stopped)

    def _cancel_copy(self, name: str, remote_id: str) -> None:
        gateway = self._gateway
        logger.warning("%s was launched twice; its copy %s is cancelled", name, remote_id)
        assert self._courier is not None
        self._courier.send(
            "act",
            lambda: gateway().cancel(name, remote_id),
            lambda _: None,
            lambda error: logger.warning("%s", error),
        )

    def _read_log(self, job: RemoteJob, tail: int | None) -> None:
        name, remote_id, gateway = job.name, job.record.remote_id, self._gateway
        last = job.step is Step.LAST_LINES

        def read(lines: Sequence[str]) -> None:
            job.busy, whole = False, tail is None
            try:
                fed = job.transport.feed(lines, whole=whole)
            except OSError as error:
                return self._later(job, error)
            if last:
                return self._read_last(job, lines)
            job.tries = 0
            if fed.gap:
                self._read_log(job, None)
            return None

        def failed(error: GatewayError) -> None:
            job.busy = False
            if last and job.tries >= LAST_LINES_TRIES:
                logger.warning("the end of the log of %s is missing: %s", name, error)
                job.step, job.tries = Step.CLEARING, 0
            else:
                self._later(job, error)

        self._errand(job, "logs", lambda: gateway().logs(name, remote_id, tail), read, failed)

    def _read_last(self, job: RemoteJob, lines: Sequence[str]) -> None:
        """A log may be complete a little later than its job."""
        state = job.sighting.state if job.sighting is not None else RemoteState.LOST
        ran = state in (RemoteState.SUCCEEDED, RemoteState.FAILED)
        if ran and job.transport.end is None and job.tries < LAST_LINES_TRIES:
            job.tries += 1
            job.wait(self._retry_s)
            return
        if not job.transport.seen:
            job.transport.append(lines)
        job.step, job.tries = Step.CLEARING, 0

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
                self._later(job, error)

        self._errand(job, "act", lambda: gateway().down(name), cleared, failed)

    def _gone(self, job: RemoteJob) -> None:
        job.step = Step.GONE
        job.record.exit = job.exit(time.time())
        self._save(job)
        self._tell(job)
        self._updates.append(JobUpdate(job.token, JobPhase.ENDED, job.record.exit))
        del self._jobs[job.token]

    # -- small parts ----------------------------------------------------------------------------------------------

    def _errand(
        self,
        job: RemoteJob,
        lane: str,
        errand: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[GatewayError], None] | None = None,
    ) -> None:
        def later(error: GatewayError) -> None:
            job.busy = False
            self._later(job, error)

        assert self._courier is not None
        job.busy = True
        self._courier.send(lane, errand, done, failed or later)

    def _later(self, job: RemoteJob, error: Exception) -> None:
        """Try again, less and less often."""
        job.tries += 1
        wait = min(MAX_WAIT_S, self._retry_s * 2 ** (job.tries - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
        job.wait(wait)
        logger.warning("%s: %s; again in %.0f s", job.name, error, wait)

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

    def _gateway(self) -> Gateway:
        """Made by the first courier that needs it."""
        with _GATEWAY_LOCK:
            if self._gateway_made is None:
                self._gateway_made = self._make_gateway()
            return self._gateway_made

    @property
    def _uri(self) -> str:
        place = self._config.checkpoints or ""
        return place if "://" in place else MOUNT

    def _say_farewell(self, gateway: Gateway) -> None:
        """Take down what stands of this sweep although no job of it is left; not for longer than it takes a minute."""

        def clear() -> None:
            try:
                for name in gateway.standing(suffix_of(self._id)):
                    logger.warning("%s was left behind and is taken down", name)
                    gateway.down(name)
            except GatewayError as error:
                logger.warning("SkyPilot was not asked for what was left behind: %s", error)

        thread = threading.Thread(target=clear, daemon=True)
        thread.start()
        thread.join(FAREWELL_S)


_GATEWAY_LOCK = threading.Lock()


def _prints(job: RemoteJob) -> bool:
    return job.sighting is not None and job.sighting.state is RemoteState.RUNNING


def _chosen(sightings: Sequence[Sighting], remote_id: str) -> Sighting:
    """The one that is ours: the one we know, else the oldest that is not over, else the oldest."""
    for sighting in sightings:
        if remote_id and sighting.remote_id == remote_id:
            return sighting
    oldest = sorted(sightings, key=lambda each: (each.state.over, len(each.remote_id), each.remote_id))
    return oldest[0]
