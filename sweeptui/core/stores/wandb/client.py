"""The one place that speaks to W&B: whole runs put and read with the public API's own connection.

Repeated requests, their back-off, and waiting as `Retry-After` says are the client's own (in wandb-core); what comes
out here is the last word on a request.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sweeptui.core.stores.wandb.errors import AwayError, DeletedError, RefusedError

PAGE = 500
KNOCK_S = 3.0
"""How long a server may take to accept a connection before it counts as away."""
UNAUTHORIZED = frozenset({401, 403})
PASSING = frozenset({408, 429})

_RUN = "id name displayName group jobType state config summaryMetrics"
_UPSERT = """
mutation SweeptuiPut($entity: String, $project: String!, $name: String!, $group: String, $jobType: String,
                     $displayName: String, $tags: [String!], $config: JSONString, $summary: JSONString,
                     $state: String) {
  upsertBucket(input: {entityName: $entity, modelName: $project, name: $name, groupName: $group, jobType: $jobType,
                       displayName: $displayName, tags: $tags, config: $config, summaryMetrics: $summary,
                       state: $state}) {
    bucket { id name }
    inserted
  }
}
"""
_POINT = f"""
query SweeptuiRun($entity: String!, $project: String!, $name: String!) {{
  project(name: $project, entityName: $entity) {{ run(name: $name) {{ {_RUN} }} }}
}}
"""
_LIST = f"""
query SweeptuiRuns($entity: String!, $project: String!, $filters: JSONString, $cursor: String, $perPage: Int) {{
  project(name: $project, entityName: $entity) {{
    runs(filters: $filters, after: $cursor, first: $perPage, order: "+created_at") {{
      edges {{ node {{ {_RUN} }} cursor }}
      pageInfo {{ endCursor hasNextPage }}
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class CloudRun:
    """A run as W&B has it, as far as the mirror writes it."""

    name: str
    """Its id."""
    group: str = ""
    job_type: str = ""
    display_name: str = ""
    state: str = "finished"
    tags: Sequence[str] = ()
    config: Mapping[str, Any] | None = None
    """Parameter -> value. None leaves what is there, here and in `summary`."""
    summary: Mapping[str, Any] | None = None


class Cloud:
    """One project on a W&B server. Any number of threads may use it.

    Every method raises `AwayError` or `RefusedError`.
    """

    def __init__(self, project: str, entity: str | None, timeout_s: float) -> None:
        self.project = project
        self._timeout_s = timeout_s
        self._base_url = os.environ.get("WANDB_BASE_URL", "")
        self._knock()
        try:
            import wandb  # noqa: PLC0415 - takes a second, and is not installed everywhere

            overrides = {"project": project} | ({"entity": entity} if entity else {})
            self._api = wandb.Api(overrides=overrides, timeout=max(1, round(timeout_s)))
            self.entity = entity or self._api.default_entity or ""
            self._base_url = str(self._api.settings.get("base_url") or self._base_url)
        except Exception as error:  # whatever the client raises is one of ours
            raise self._explained(error) from error

    def put(self, run: CloudRun) -> bool:
        """Write a run, whole, whether it is there or not; whether it was made by this.

        Doing it again changes nothing. False is no proof that somebody else has made it: the answer to a first try
        may have been lost, and the client repeats it silently. Raises `DeletedError`, too.
        """
        variables = {
            "entity": self.entity,
            "project": self.project,
            "name": run.name,
            "group": run.group,
            "jobType": run.job_type,
            "displayName": run.display_name or run.name,
            "tags": list(run.tags),
            "state": run.state,
            "config": None if run.config is None else _dumps({key: {"value": v} for key, v in run.config.items()}),
            "summary": None if run.summary is None else _dumps(run.summary),
        }
        answer = self._ask(_UPSERT, variables)["upsertBucket"]
        return bool(answer["inserted"])

    def get(self, name: str) -> CloudRun | None:
        """One run as it is now; None where there is none."""
        found = self._ask(_POINT, {"entity": self.entity, "project": self.project, "name": name})["project"]
        return None if found is None or found["run"] is None else _run(found["run"])

    def list(self, group: str, job_type: str) -> Iterator[CloudRun]:
        """The runs of a group, as far as W&B's index knows of them: it may be minutes behind."""
        variables = {
            "entity": self.entity,
            "project": self.project,
            "filters": json.dumps({"group": group, "jobType": job_type}),
            "perPage": PAGE,
            "cursor": None,
        }
        while True:
            found = self._ask(_LIST, variables)["project"]
            if found is None:
                return
            for edge in found["runs"]["edges"]:
                yield _run(edge["node"])
            page = found["runs"]["pageInfo"]
            if not page["hasNextPage"]:
                return
            variables["cursor"] = page["endCursor"]

    # -- inside

    def _ask(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return _execute(self._api, document, variables)
        except Exception as error:
            raise self._explained(error) from error

    def _knock(self) -> None:
        """A server that is not there is noticed at once; the client would go on trying until its time is up."""
        url = urlsplit(self._base_url)
        if not url.hostname or any(name.lower().endswith("_proxy") and "no" not in name.lower() for name in os.environ):
            return
        try:
            port = url.port or (443 if url.scheme == "https" else 80)
            socket.create_connection((url.hostname, port), KNOCK_S).close()
        except OSError as error:
            text = f"{self._base_url} cannot be reached: {error.strerror or error}"
            raise AwayError(text, unreachable=True) from error

    def _explained(self, error: Exception) -> Exception:
        status, body = _answered(error)
        text = " ".join(str(error).split())[:300]
        where = self._base_url or "W&B"
        if "previously created and deleted" in text + body:
            return DeletedError(text)
        if isinstance(error, ImportError):
            return RefusedError("the W&B client is not installed: pip install 'sweeptui[wandb]'")
        if status in UNAUTHORIZED or _no_key(error, text):
            return RefusedError(
                f"{where} does not accept the key: set WANDB_API_KEY, or run `wandb login`, with one that may write to "
                f"{self.project!r}"
            )
        if status == 404:
            return RefusedError(
                f"{where} has no project {self.project!r} for this key: make it there, or name another with "
                f"--wandb-project and --wandb-entity"
            )
        if status is not None and 400 <= status < 500 and status not in PASSING:
            return RefusedError(f"{where} refuses what is sent ({status}): {text}")
        slow = "did not respond in time" in text or "timed out" in text.lower()
        return AwayError(f"{where} does not answer" + (" in time" if slow else f" as it should: {text}"))


_dumps = json.JSONEncoder(allow_nan=False).encode


def _execute(api: Any, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Send a GraphQL document over the public API's connection, which has moved between the supported versions."""
    execute = getattr(getattr(api, "_service_api", None), "execute_graphql", None)
    if execute is not None:
        answer = execute(document, dict(variables))
    else:
        from wandb_gql import gql  # noqa: PLC0415 - shipped with the client up to 0.26

        answer = api.client.execute(gql(document), variable_values=dict(variables))
    if not isinstance(answer, dict):
        raise TypeError(f"an answer without data: {answer!r}")
    return answer


def _run(node: Mapping[str, Any]) -> CloudRun:
    config = json.loads(node["config"] or "{}")
    return CloudRun(
        name=node["name"],
        group=node["group"] or "",
        job_type=node["jobType"] or "",
        display_name=node["displayName"] or "",
        state=node["state"] or "",
        config={key: held["value"] for key, held in config.items() if isinstance(held, dict) and "value" in held},
        summary=json.loads(node["summaryMetrics"] or "{}"),
    )


def _answered(error: BaseException) -> tuple[int | None, str]:
    """The HTTP status and the answer's text that are somewhere inside of what the client raised."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        response = getattr(one, "response", None)
        for name in ("http_status", "http_status_code", "status_code"):
            if isinstance(found := getattr(response, name, None), int) and found:
                text = getattr(response, "text", "")
                return found, text if isinstance(text, str) else ""
        waiting += [getattr(one, "exc", None), one.__cause__, one.__context__]
    return None, ""


def _no_key(error: Exception, text: str) -> bool:
    lowered = text.lower()
    return type(error).__name__ == "UsageError" and "api" in lowered and "key" in lowered
