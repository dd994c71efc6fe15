"""What is on disk about a remote job, written before each deed, so that a crash leaves nothing unknown."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sweeptui.core.dispatch import JobExit
from sweeptui.dispatchers.skypilot.gateway import Submission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.dispatch import JobSpec

IDENTITY = "skypilot.json"


@dataclass(slots=True)
class JobRecord:
    """Of one job. Its file is there before anything is launched: no file, nothing launched."""

    token: str
    submission: Submission
    log: str
    reports: str
    queue_timeout_s: float | None = None
    queued_at: float = 0.0
    remote_id: str = ""
    ran_at: float | None = None
    """When it was first seen running."""
    cost_usd: float = 0.0
    """Of its machine, up to `priced_at`."""
    priced_at: float | None = None
    exit: JobExit | None = None

    @classmethod
    def of(cls, spec: JobSpec, submission: Submission, now: float) -> Self:
        return cls(
            spec.token, submission, str(spec.log_path), str(spec.report_path), spec.queue_timeout_s, queued_at=now
        )

    @staticmethod
    def path(trial_dir: Path, token: str) -> Path:
        """`train.1.skypilot.json` beside the log."""
        return trial_dir / f"{token.partition('.')[2]}.skypilot.json"

    def save(self, path: Path) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        data = {name: getattr(self, name) for name in self.__slots__}
        data["submission"] = self.submission.to_json()
        data["exit"] = None if self.exit is None else asdict(self.exit)
        partial.write_text(json.dumps(data))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """None where there is none. Raises ValueError for one that is damaged."""
        try:
            data: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        try:
            exit_: Mapping[str, Any] | None = data.pop("exit")
            submission = Submission.from_json(data.pop("submission"))
            return cls(**data, submission=submission, exit=None if exit_ is None else JobExit(**exit_))
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from None


def known_id(sweep_dir: Path) -> str | None:
    """What the names of a sweep's remote jobs end with; None where it never had any."""
    try:
        return str(json.loads((sweep_dir / IDENTITY).read_text())["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sweep_id(sweep_dir: Path) -> str:
    """Six hexadecimal digits that no other sweep has; made up once, and kept in the sweep's folder."""
    found = known_id(sweep_dir)
    if found is None:
        found, path = secrets.token_hex(3), sweep_dir / IDENTITY
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps({"id": found}))
        partial.replace(path)
    return found
