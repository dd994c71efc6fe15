"""Jobs as processes on this machine.

    dispatcher (in the orchestrator) --- asks ---> launcher --- forks ---> keeper, one per job --- forks ---> the job
                                   \\____ watches the end of, and signals ____/

Keepers outlive the orchestrator. What they know is in the trial's folder: who runs a job, and how it ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeptui.dispatchers.local.dispatcher import LocalDispatcher

__all__ = ["LocalDispatcher"]


def __getattr__(name: str) -> Any:
    # Loaded on demand: the launcher imports this package too, and has to stay small.
    if name == "LocalDispatcher":
        from sweeptui.dispatchers.local.dispatcher import LocalDispatcher  # noqa: PLC0415

        return LocalDispatcher
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
