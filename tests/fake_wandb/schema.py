"""The part of W&B's schema that its client asks for. Whoever asks for more finds an unknown operation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fake_wandb.runs import AbsentError, Run, Runs, iso

ENTITY = "test-entity"


def root(runs: Runs, base_url: str) -> dict[str, Callable[..., Any]]:
    """The top-level fields, of queries and mutations alike."""

    def viewer() -> dict[str, Any]:
        teams = {"edges": [{"node": {"id": "team", "name": ENTITY, "photoUrl": None}}]}
        return {
            "id": "VXNlcjox",
            "entity": ENTITY,
            "username": "tester",
            "name": "Tester",
            "email": "t@example.test",
            "flags": "{}",
            "admin": False,
            "apiKeys": {"edges": []},
            "deletedAt": None,
            "teams": teams,
        }

    def server_info() -> dict[str, Any]:
        return {"features": [], "cliVersionInfo": {"max_cli_version": "99.0.0"}, "latestLocalVersionInfo": None}

    def entity(name: str) -> dict[str, Any]:
        return {"id": name, "name": name, "organization": {"coreWeaveOrganizationId": None, "name": name}}

    def project(name: str, entityName: str | None = None) -> dict[str, Any] | None:
        owner = entityName or ENTITY
        return _project(runs, owner, name) if runs.has_project(owner, name) else None

    def upsert_bucket(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        if input.get("id"):
            key = runs.by_storage_id(input["id"])
        else:
            key = (input.get("entityName") or ENTITY, input.get("modelName") or "uncategorized", input["name"])
        run, inserted = runs.upsert(key, input)
        return {"bucket": _run(runs, run), "inserted": inserted, "projectInternalId": "1"}

    def update_run_state(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        def alter(run: Run) -> None:
            run.state = input["state"]

        runs.change(runs.by_storage_id(input["id"]), alter)
        return {"success": True}

    def stop_run(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        def alter(run: Run) -> None:
            run.stop_asked = True

        runs.change(runs.by_storage_id(input["id"]), alter)
        return {"success": True, "clientMutationId": None}

    def delete_run(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        runs.delete(runs.by_storage_id(input["id"]))
        return {"success": True, "clientMutationId": None}

    def create_run_files(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        owner, project_name, name = input["entityName"], input["projectName"], input["runName"]
        run = runs.now(owner, project_name, name)
        if run is None:
            raise AbsentError(name)
        files = [
            {"name": file, "uploadUrl": f"{base_url}/upload/{owner}/{project_name}/{name}/{file}"}
            for file in input["files"]
        ]
        return {"runID": run.storage_id, "uploadHeaders": [], "files": files}

    return {
        "viewer": viewer,
        "serverInfo": server_info,
        "entity": entity,
        "project": project,
        "model": project,
        "upsertBucket": upsert_bucket,
        "updateRunState": update_run_state,
        "stopRun": stop_run,
        "deleteRun": delete_run,
        "createRunFiles": create_run_files,
        "__type": _type,
    }


def _type(name: str) -> dict[str, Any]:
    """What old clients ask a server of its abilities: everything that this one understands is there."""
    known = {
        "UpsertBucketInput": ["id", "name", "state", "config", "summaryMetrics"],
        "ProjectType": ["internalId", "runCount", "readOnly"],
        "RunType": ["stopped", "config", "projectId"],
    }.get(name, [])
    names = [{"name": field} for field in known]
    return {"name": name, "fields": names, "inputFields": names}


def _project(runs: Runs, owner: str, name: str) -> dict[str, Any]:
    def one(name: str, **_: Any) -> dict[str, Any] | None:
        found = runs.point(owner, project_name, name)
        return None if found is None else _run(runs, found)

    def many(
        filters: str | None = None,
        after: str | None = None,
        first: int = 50,
        order: str | None = None,
    ) -> dict[str, Any]:
        found = runs.listed(owner, project_name, json.loads(filters or "{}"), order or "")
        start = int(after) if after else 0
        page = found[start : start + first]
        edges = [{"node": _run(runs, run), "cursor": str(start + at + 1)} for at, run in enumerate(page)]
        end = str(start + len(page))
        return {"edges": edges, "pageInfo": {"endCursor": end, "hasNextPage": start + len(page) < len(found)}}

    def count(filters: str | None = None) -> int:
        return len(runs.listed(owner, project_name, json.loads(filters or "{}"), ""))

    project_name = name
    return {
        "id": f"UHJvamVjdDo={name}",
        "internalId": "1",
        "name": name,
        "readOnly": False,
        "entity": {"id": owner, "name": owner},
        "entityName": owner,
        "createdAt": iso(0),
        "isBenchmark": False,
        "run": one,
        "bucket": one,
        "runs": many,
        "runCount": count,
        "sweep": lambda **_: None,
    }


def _run(runs: Runs, run: Run) -> dict[str, Any]:
    """One run with all its fields; the functions are only called where they are asked for."""

    def sampled(specs: list[str]) -> list[list[dict[str, Any]]]:
        rows = [json.loads(line) for line in run.history]
        wanted = [json.loads(spec).get("keys", []) for spec in specs]
        return [[row for row in rows if all(key in row for key in keys)] for keys in wanted]

    def history(minStep: int = 0, maxStep: int | None = None, **_: Any) -> list[str]:
        rows = [(json.loads(line).get("_step", at), line) for at, line in enumerate(run.history)]
        return [line for step, line in rows if step >= minStep and (maxStep is None or step < maxStep)]

    def parquet(**_: Any) -> dict[str, Any]:
        return {"parquetUrls": [], "liveData": [json.loads(line) for line in run.history]}

    def history_keys(**_: Any) -> dict[str, Any]:
        rows = [json.loads(line) for line in run.history]
        keys = {key: {"typeCounts": [{"type": "number"}]} for row in rows for key in row}
        return {"lastStep": max((row.get("_step", 0) for row in rows), default=-1), "sets": [], "keys": keys}

    owner = {"id": run.entity, "name": run.entity}
    project = {"id": run.project, "name": run.project, "entity": owner, "internalId": "1"}
    user = {"id": "VXNlcjox", "name": "Tester", "username": "tester"}
    return {
        "id": run.storage_id,
        "name": run.name,
        "displayName": run.display_name,
        "description": run.description,
        "notes": run.notes,
        "group": run.group,
        "groupName": run.group,
        "jobType": run.job_type,
        "tags": run.tags,
        "state": run.state,
        "commit": run.commit,
        "readOnly": False,
        "sweepName": run.sweep,
        "createdAt": iso(run.created_at),
        "heartbeatAt": iso(run.created_at),
        "projectId": "1",
        "config": json.dumps(run.config),
        "wandbConfig": _wandb_config(run),
        "summaryMetrics": json.dumps(run.summary),
        "systemMetrics": run.events[-1] if run.events else "{}",
        "historyKeys": history_keys,
        # Old clients ask here where to upload files to: nowhere.
        "files": lambda **_: {"uploadHeaders": [], "edges": []},
        "historyLineCount": len(run.history),
        "eventsLineCount": len(run.events),
        "logLineCount": len(run.output),
        "historyTail": json.dumps(run.history[-1:]),
        "eventsTail": json.dumps(run.events[-1:]),
        "sampledHistory": sampled,
        "history": history,
        "parquetHistory": parquet,
        "user": user,
        "project": project,
        "stopped": run.stop_asked,
        "host": run.host,
        "program": run.program,
    }


def _wandb_config(run: Run) -> Callable[..., str]:
    """What the client wrote about itself: a run without the key `t` was never started."""

    def config(keys: list[str] | None = None) -> str:
        own = run.config.get("_wandb", {}).get("value", {})
        return json.dumps({key: value for key, value in own.items() if keys is None or key in keys})

    return config
