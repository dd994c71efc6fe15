"""With `warm`, the one that knows the SkyPilot package. Only `worker` imports it: that takes seconds and much memory.

Written against 0.12 to 0.14; what these do not agree on is marked. The package has no types of its own worth checking
against, so everything of it is `Any` here.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sky
from sky import exceptions
from sky.client import sdk as client

from sweeptui.dispatchers.skypilot.gateway import GatewayError, Place, RemoteState, Sighting, Submission
from sweeptui.dispatchers.skypilot.stream import hand_on
from sweeptui.dispatchers.skypilot.task import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MANAGED_STATES = {
    "PENDING": RemoteState.QUEUED,
    "SUBMITTED": RemoteState.QUEUED,
    "DEPRECATED_SUBMITTED": RemoteState.QUEUED,
    "STARTING": RemoteState.PROVISIONING,
    "RUNNING": RemoteState.RUNNING,
    "WINDING_DOWN": RemoteState.ENDING,
    "RECOVERING": RemoteState.RECOVERING,
    "CANCELLING": RemoteState.ENDING,
    "SUCCEEDED": RemoteState.SUCCEEDED,
    "CANCELLED": RemoteState.CANCELLED,
    "FAILED": RemoteState.FAILED,
    "FAILED_SETUP": RemoteState.FAILED_SETUP,
    "FAILED_PRECHECKS": RemoteState.NO_RESOURCES,
    "FAILED_NO_RESOURCE": RemoteState.NO_RESOURCES,
    "FAILED_CONTROLLER": RemoteState.LOST,
}
CLUSTER_JOB_STATES = {
    "INIT": RemoteState.PROVISIONING,
    "PENDING": RemoteState.PROVISIONING,
    "SETTING_UP": RemoteState.SETUP,
    "RUNNING": RemoteState.RUNNING,
    "SUCCEEDED": RemoteState.SUCCEEDED,
    "FAILED": RemoteState.FAILED,
    "FAILED_SETUP": RemoteState.FAILED_SETUP,
    # What watched over the job died: with its machine, as a rule.
    "FAILED_DRIVER": RemoteState.PREEMPTED,
    "CANCELLED": RemoteState.CANCELLED,
}
FIELDS = [
    *("job_id", "task_id", "job_name", "status", "recovery_count", "infra", "cloud", "region", "zone"),
    *("cluster_resources", "cluster_resources_full", "failure_reason", "end_at"),
]
LAUNCHES = ("sky.launch", "sky.exec", "sky.jobs.launch")
_AGAIN = tuple(
    getattr(exceptions, name)
    for name in (
        *("ApiServerConnectionError", "ServerTemporarilyUnavailableError", "RequestInterruptedError"),
        *("ExecutionRetryableError", "ConcurrentWorkerExhaustedError", "NetworkError", "ClusterStatusFetchingError"),
    )
    if hasattr(exceptions, name)
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CLUSTER_LOOKS = 8
TAKEN = "its machine was taken away"
MAX_REASON = 500


def translated(call: Callable[[], Any]) -> Any:
    """What `call` returns. Raises `GatewayError` for whatever SkyPilot raises."""
    try:
        return call()
    except GatewayError:
        raise
    except _AGAIN as error:
        raise GatewayError(_sentence(error), again=True) from None
    except (OSError, TimeoutError) as error:
        # Network libraries' errors are OSErrors.
        raise GatewayError(_sentence(error), again=True) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, only its sentence leaves this process
        raise GatewayError(_sentence(error)) from None


class SkyGateway:
    """Does in this process what `gateway.Gateway` asks for."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ids: dict[str, str] = {}
        """Of managed jobs, by name."""
        self._last: dict[str, Sighting] = {}
        """Of clusters, by name."""
        self._prices: dict[tuple[str, ...], float | None] = {}
        self._no_autodown = False
        self._followed: dict[str, threading.Event] = {}
        """By name: set where its log is not wanted any more."""
        self._lock = threading.Lock()
        self._looks = ThreadPoolExecutor(CLUSTER_LOOKS)

    @property
    def _clusters(self) -> bool:
        return self._place.mode == "cluster"

    # -- launching ------------------------------------------------------------------------------------------------

    def submit(self, submission: Submission) -> str:
        task = task_of(submission)
        if self._clusters:
            return self._launch_cluster(submission.name, task)
        pool = {"pool": self._place.pool} if self._place.pool else {}
        ids, _ = sky.get(sky.jobs.launch(task, name=submission.name, **pool))
        # A list since 0.14.
        found = str(ids[0] if isinstance(ids, list) else ids)
        with self._lock:
            self._ids[submission.name] = found
        return found

    def _launch_cluster(self, name: str, task: Any) -> str:
        minutes = self._place.autodown_min
        if minutes is not None and not self._no_autodown and not _on_slurm(task):
            try:
                job, _ = sky.get(sky.launch(task, cluster_name=name, idle_minutes_to_autostop=minutes, down=True))
            except exceptions.NotSupportedError:
                self._no_autodown = True
            else:
                return str(job)
        job, _ = sky.get(sky.launch(task, cluster_name=name))
        return str(job)

    # -- looking --------------------------------------------------------------------------------------------------

    def poll_many(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        if self._clusters:
            return self._poll_clusters(names)
        with self._lock:
            known = [self._ids[name] for name in names if name in self._ids]
        ids = [int(each) for each in known] if len(known) == len(names) else None
        return self._managed(names, ids)

    def find_by_name(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        wait_for_launches(names)
        return self._poll_clusters(names) if self._clusters else self._managed(names, None)

    def standing(self, suffix: str) -> list[str]:
        return [name for name, _ in self.ours() if name.endswith(suffix)]

    def ours(self) -> list[tuple[str, str]]:
        """Names of jobs of sweeps that are not over, each with what it is: "cluster" or "managed job"."""
        managed = [record.job_name for record in _managed_records(None) if _managed_state(record) not in _OVER_NAMES]
        found = {(str(name), "managed job") for name in managed}
        found |= {(str(record.name), "cluster") for record in sky.get(sky.status())}
        return sorted(each for each in found if OURS.fullmatch(each[0]))

    def _managed(self, names: Iterable[str], ids: list[int] | None) -> dict[str, list[Sighting]]:
        wanted = set(names)
        found: dict[str, list[Sighting]] = {}
        for record in _managed_records(ids):
            if record.job_name in wanted and not record.task_id:
                found.setdefault(record.job_name, []).append(self._managed_sighting(record))
        with self._lock:
            self._ids |= {name: seen[0].remote_id for name, seen in found.items() if len(seen) == 1}
        return found

    def _managed_sighting(self, record: Any) -> Sighting:
        return Sighting(
            remote_id=str(record.job_id),
            state=MANAGED_STATES.get(_managed_state(record), RemoteState.RUNNING),
            reason=_clean(record.failure_reason or ""),
            infra=_infra(record.infra or "", record.cloud, record.region),
            price_usd_h=self._price(record.cloud, record.region, record.zone, record.cluster_resources_full or ""),
            recoveries=int(record.recovery_count or 0),
        )

    def _poll_clusters(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        found = {record.name: record for record in sky.get(sky.status(cluster_names=list(names)))}
        seen = self._looks.map(self._cluster_sighting, found.values())
        return {name: [sighting] for name, sighting in zip(found, seen, strict=True) if sighting is not None}

    def _cluster_sighting(self, record: Any) -> Sighting | None:
        infra, price = place_of(record)
        state, job, reason = RemoteState.PROVISIONING, "", ""
        if is_up(record):
            try:
                statuses = sky.get(sky.job_status(record.name))
                for number, status in statuses.items():
                    job = "" if number is None else str(number)
                    state = (
                        RemoteState.PROVISIONING
                        if status is None
                        else CLUSTER_JOB_STATES.get(status.name, RemoteState.RUNNING)
                    )
            except Exception:  # noqa: BLE001 - of a cluster that does not answer, its cloud is asked
                return self._refreshed(record.name, infra, price)
        seen = self._last[record.name] = Sighting(job, state, reason, infra, price)
        return seen

    def _refreshed(self, name: str, infra: str, price: float | None) -> Sighting | None:
        """What the cloud says of a cluster that does not answer; as it was last seen, where that is nothing new."""
        last = self._last.get(name, Sighting("", RemoteState.PROVISIONING, "", infra, price))
        match cloud_says(name):
            case "gone":
                return None
            case "down":
                return replace(last, state=RemoteState.PREEMPTED, reason=TAKEN)
        return last

    # -- logs and ends --------------------------------------------------------------------------------------------

    def logs(self, name: str, remote_id: str, tail: int | None) -> list[str]:
        out = io.StringIO()
        self._tail(name, remote_id, tail, follow=False, output_stream=out)
        return out.getvalue().split("\n")

    def follow(self, name: str, remote_id: str, tail: int | None, take: Callable[[Sequence[str]], None]) -> None:
        stopped = threading.Event()
        with self._lock:
            self._followed[name] = stopped
        hand_on(self._tail(name, remote_id, tail, follow=True, preload_content=False), take, stopped)

    def unfollow(self, name: str) -> None:
        with self._lock:
            stopped = self._followed.pop(name, None)
        if stopped is not None:
            stopped.set()

    def _tail(self, name: str, remote_id: str, tail: int | None, **how: Any) -> Any:
        if self._clusters:
            return sky.tail_logs(name, int(remote_id) if remote_id else None, tail=tail or 0, **how)
        return sky.jobs.tail_logs(job_id=int(remote_id), tail=tail, **how)

    def cancel(self, name: str, remote_id: str) -> None:
        if self._clusters or not remote_id:
            self.down(name)
        else:
            sky.get(sky.jobs.cancel(job_ids=[int(remote_id)]))

    def down(self, name: str) -> None:
        cancel_launches(name)
        if self._clusters:
            if sky.get(sky.status(cluster_names=[name])):
                with contextlib.suppress(exceptions.ClusterDoesNotExist):
                    sky.get(sky.down(name))
            return
        sightings = self._managed([name], None).get(name, [])
        left = [int(each.remote_id) for each in sightings if not each.state.over]
        if left:
            sky.get(sky.jobs.cancel(job_ids=left))

    # -- before a sweep -------------------------------------------------------------------------------------------

    def clouds(self) -> list[str]:
        """The clouds that SkyPilot may use."""
        return [str(cloud) for cloud in sky.get(client.enabled_clouds())]

    def estimate(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """What SkyPilot's optimizer chooses for a task, and its price."""
        config = copy.deepcopy(dict(task))
        config["file_mounts"] = {}
        with sky.Dag() as dag:
            dag.add(sky.Task.from_yaml_config(config))
        [chosen] = sky.get(client.optimize(dag)).tasks
        best = chosen.best_resources
        price = None
        with contextlib.suppress(Exception):
            price = float(best.get_cost(3600)) * int(chosen.num_nodes or 1)
        return {"resources": _clean(str(best)), "price_usd_h": price}

    def close(self) -> None:
        self._looks.shutdown(wait=False, cancel_futures=True)

    # -- small parts ----------------------------------------------------------------------------------------------

    def _price(self, cloud: str | None, region: str | None, zone: str | None, resources: str) -> float | None:
        """The catalogue's price of a machine that SkyPilot describes as `1x[spot](gpus=..., m5.large, ...)`."""
        if not cloud or not resources:
            return None
        key = (cloud, region or "", zone or "", resources)
        if key not in self._prices:
            self._prices[key] = _catalogue_price(cloud, region, zone, resources)
        return self._prices[key]


def task_of(submission: Submission) -> Any:
    """SkyPilot's task, with the values of its secrets."""
    task = sky.Task.from_yaml_config(copy.deepcopy(dict(submission.task)))
    if submission.secrets:
        task.update_secrets({name: os.environ[name] for name in submission.secrets if name in os.environ})
    return task


def launches_of(*names: str) -> list[Any]:
    """The requests to launch any of these jobs that are under way."""
    under_way = [request for request in sky.api_status() if request.name in LAUNCHES]
    return [each for each in under_way if any(name in (each.request_body or "") for name in names)]


def wait_for_launches(names: Sequence[str]) -> None:
    """Wait until no launch of any of them is under way. What came of them is to be looked at."""
    for request in launches_of(*names):
        with contextlib.suppress(Exception):
            sky.get(request.request_id)


def cancel_launches(name: str) -> None:
    if flying := [request.request_id for request in launches_of(name)]:
        sky.get(sky.api_cancel(flying))


def place_of(record: Any) -> tuple[str, float | None]:
    """Where a cluster is, and its price per hour."""
    handle: Any = getattr(record, "handle", None)
    resources: Any = getattr(handle, "launched_resources", None)
    infra, price = "", None
    with contextlib.suppress(Exception):
        infra = _clean(str(resources.infra.formatted_str()))
    with contextlib.suppress(Exception):
        price = float(resources.get_cost(3600)) * int(handle.launched_nodes or 1) or None
    return infra, price


def is_up(record: Any) -> bool:
    return record.status is not None and str(record.status.name) == "UP"


def cloud_says(cluster: str) -> str:
    """Of a cluster that does not answer: "up", "down", "gone", or "" where its cloud does not answer either."""
    try:
        records = sky.get(sky.status(cluster_names=[cluster], refresh=sky.StatusRefreshMode.FORCE))
    except Exception:  # noqa: BLE001 - one cluster must not keep the others from being seen
        return ""
    if not records:
        return "gone"
    return "up" if is_up(records[0]) else "down"


_OVER_NAMES = {name for name, state in MANAGED_STATES.items() if state.over}


def _managed_records(ids: list[int] | None) -> list[Any]:
    try:
        given = {} if ids is None else {"job_ids": ids}
        records, *_ = sky.get(sky.jobs.queue_v2(refresh=False, fields=FIELDS, **given))
    except exceptions.ClusterNotUpError:
        # There is no jobs controller, so there are no jobs.
        return []
    return list(records)


def _managed_state(record: Any) -> str:
    return str(getattr(record.status, "name", record.status))


def _catalogue_price(cloud: str, region: str | None, zone: str | None, resources: str) -> float | None:
    nodes = re.match(r"\s*(\d+)x", resources)
    inside = resources[resources.find("(") + 1 : resources.rfind(")")]
    for word in (each.strip() for each in inside.split(",")):
        if word and "=" not in word and word != "...":
            with contextlib.suppress(Exception):
                place = None if zone in (None, "-") else zone
                spot = "[spot]" in resources.lower()
                hourly = sky.catalog.get_hourly_cost(word, spot, region, place, clouds=cloud.lower())
                return float(hourly) * (int(nodes[1]) if nodes else 1)
    return None


def _on_slurm(task: Any) -> bool:
    return any("slurm" in str(getattr(each, "cloud", "")).lower() for each in task.resources)


def _infra(infra: str, cloud: str | None, region: str | None) -> str:
    if infra and infra != "-":
        return _clean(infra)
    return "/".join(each.lower() for each in (cloud, region) if each and each != "-")


def _clean(text: str) -> str:
    return " ".join(_COLOUR.sub("", text).split())[:MAX_REASON]


def _sentence(error: BaseException) -> str:
    return _clean(str(error)) or type(error).__name__
