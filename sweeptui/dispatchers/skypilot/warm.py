"""A few clusters that are kept for a whole sweep: the first job on each brings it up, those after it are sent there.

Which job is where is in the clusters' own queues, by the jobs' names, so that it is known again after a crash.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import sky
from sky import exceptions

from sweeptui.dispatchers.skypilot.gateway import GatewayError, Place, RemoteState, Sighting, Submission
from sweeptui.dispatchers.skypilot.sdk import (
    CLUSTER_JOB_STATES,
    TAKEN,
    SkyGateway,
    cancel_launches,
    cloud_says,
    is_up,
    place_of,
    task_of,
    wait_for_launches,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_GONE = (exceptions.ClusterDoesNotExist, exceptions.ClusterNotUpError)


class WarmGateway(SkyGateway):
    """Does what `gateway.Gateway` asks for, on the clusters that `place.clusters` names.

    The id of a job is its cluster and its number there: `st-lr-warm1-0a1b2c/3`.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._at: dict[str, str] = {}
        """The cluster of each job that is not over, by the job's name."""
        self._launching: set[str] = set()
        self._over: set[str] = set()
        self._making = {name: threading.Lock() for name in place.clusters}
        """A cluster is brought up by one launch at a time."""

    def submit(self, submission: Submission) -> str:
        task = task_of(submission)
        cluster = self._reserve(submission.name)
        try:
            with self._making[cluster]:
                if _stands(cluster):
                    job, _ = sky.get(sky.exec(task, cluster_name=cluster))
                else:
                    job = self._launch_cluster(cluster, task)
        except BaseException:
            with self._lock:
                self._at.pop(submission.name, None)
            raise
        finally:
            with self._lock:
                self._launching.discard(submission.name)
        return f"{cluster}/{job}"

    def poll_many(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        return self._look(names)[0]

    def find_by_name(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        wait_for_launches(names)
        found, silent = self._look(names)
        if silent and len(found) < len(names):
            raise GatewayError(f"cluster {silent[0]} does not say which jobs it has", again=True)
        return found

    def _look(self, names: Sequence[str]) -> tuple[dict[str, list[Sighting]], list[str]]:
        """What is known of these jobs, and the clusters that are up and do not answer."""
        records = {record.name: record for record in sky.get(sky.status(cluster_names=list(self._place.clusters)))}
        queues = dict(zip(records, self._looks.map(self._queue, records.values()), strict=True))
        found: dict[str, list[Sighting]] = {name: [] for name in names}
        for queue in queues.values():
            for name, sighting in queue or ():
                if name in found:
                    found[name].append(sighting)
        with self._lock:
            for name in names:
                cluster = self._at.get(name, "")
                # A queue that does not have it is that of another cluster, which came after the one that it was on.
                waits = name in self._launching or queues.get(cluster) is None
                if not found[name] and cluster in records and waits:
                    found[name] = [Sighting("", RemoteState.PROVISIONING, "", *place_of(records[cluster]))]
                for sighting in found[name]:
                    self._remember(name, sighting)
        silent = [name for name, queue in queues.items() if queue is None and is_up(records[name])]
        return {name: sightings for name, sightings in found.items() if sightings}, silent

    def _tail(self, name: str, remote_id: str, tail: int | None, **how: Any) -> Any:  # noqa: ARG002 - the id says where
        cluster, _, job = remote_id.partition("/")
        return sky.tail_logs(cluster, int(job), tail=tail or 0, **how) if job else iter(())

    def cancel(self, name: str, remote_id: str) -> None:
        cluster, _, job = remote_id.partition("/")
        if not job:
            self.down(name)
        elif any(seen.remote_id == remote_id and not seen.state.over for seen in self.poll_many([name]).get(name, [])):
            # Looked for by its name, too: a cluster that was made anew numbers its jobs anew.
            with contextlib.suppress(*_GONE):
                sky.get(sky.cancel(cluster, job_ids=[int(job)]))

    def down(self, name: str) -> None:
        """Of a job, end it and keep its cluster; of a cluster, take it down."""
        if name in self._over:
            return
        cancel_launches(name)
        if name in self._place.clusters:
            with contextlib.suppress(exceptions.ClusterDoesNotExist):
                sky.get(sky.down(name))
            return
        for sighting in self.poll_many([name]).get(name, []):
            if sighting.remote_id and not sighting.state.over:
                self.cancel(name, sighting.remote_id)
        with self._lock:
            self._at.pop(name, None)

    def _reserve(self, name: str) -> str:
        """The cluster with the fewest jobs; the first of them, for it is likelier to be up."""
        with self._lock:
            self._launching.add(name)
            taken = [cluster for job, cluster in self._at.items() if job != name]
            self._at[name] = min(self._place.clusters, key=taken.count)
            return self._at[name]

    def _remember(self, name: str, sighting: Sighting) -> None:
        if sighting.state.over:
            self._over.add(name)
            self._at.pop(name, None)
        elif sighting.remote_id:
            self._at[name] = sighting.remote_id.partition("/")[0]

    def _queue(self, record: Any) -> list[tuple[str, Sighting]] | None:
        """Every job that a cluster knows, with its name. None: it does not answer, or not yet."""
        if not is_up(record):
            return None
        infra, price = place_of(record)
        try:
            jobs = sky.get(sky.queue(record.name))
        except Exception:  # noqa: BLE001 - of a cluster that does not answer, its cloud is asked
            if cloud_says(record.name) != "down":
                return None
            with self._lock:
                here = [name for name, cluster in self._at.items() if cluster == record.name]
            return [(name, Sighting("", RemoteState.PREEMPTED, TAKEN, infra, price)) for name in here]
        return [
            (job.job_name, Sighting(f"{record.name}/{job.job_id}", _state_of(job.status.name), "", infra, price))
            for job in jobs
        ]


def _state_of(status: str) -> RemoteState:
    """As of a job on a cluster of its own, but here PENDING means that another one runs."""
    return RemoteState.QUEUED if status == "PENDING" else CLUSTER_JOB_STATES.get(status, RemoteState.RUNNING)


def _stands(cluster: str) -> bool:
    return any(is_up(record) for record in sky.get(sky.status(cluster_names=[cluster])))
