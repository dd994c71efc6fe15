"""The score of a trial from its W&B run: what the client left on this machine, else what W&B has."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.reports import ParsedReport, Rejected
from sweeptui.core.wandb_log import LogFile, flat, log_of, run_folders, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.tracking import WandbConfig

LOOK_S = 1.0
"""Between two looks for what a running script has logged."""
ASK_S = 3.0
"""Between two questions to W&B about one run."""
AWAY = ("offline", "disabled", "dryrun")


class WandbReader:
    """Reads a job's runs from their logs: a report for each step of the history, at the end one of the summary.

    The run with the id that the job was given counts; where the script chose ids of its own, all of its runs do, one
    after the other. Names that W&B itself logs, such as `_runtime`, are left out unless one is the metric.
    """

    def __init__(self, folder: Path, run_id: str, metric: str, offset: int = 0) -> None:
        self.folder = folder
        self.offset = offset
        """How many reports were returned."""
        self.more = False
        self.rejected = Rejected()
        self.project: tuple[str, str] | None = None
        """Entity and project of the last run, as the client wrote them; either may be empty."""
        self.finished = False
        """The last run wrote its end."""
        self._run_id = run_id
        self._metric = metric
        self._skip = offset
        self._logs: dict[Path, LogFile] = {}
        self._summary: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._due = float("-inf")

    def read(self, final: bool = False) -> list[ParsedReport]:
        """The reports since the last call."""
        now = time.monotonic()
        if now < self._due and not (final or self.more):
            return []
        self._due = now + LOOK_S
        self.more = False
        found: list[ParsedReport] = []
        for folder in run_folders(self.folder, self._run_id):
            found += self._of(folder)
        skipped = min(self._skip, len(found))
        self._skip -= skipped
        fresh = found[skipped:]
        if final and not self.more:
            fresh += self._closing()
        self.offset += len(fresh)
        return fresh

    def _of(self, folder: Path) -> list[ParsedReport]:
        log = self._logs.get(folder)
        if log is None:
            path = log_of(folder)
            if path is None:
                return []
            log = self._logs[folder] = LogFile(path)
        reports: list[ParsedReport] = []
        for record in log.read():
            match record.WhichOneof("record_type"):
                case "run":
                    self.project, self.finished = (record.run.entity, record.run.project), False
                case "history":
                    reports.append(self._report(values_of(record.history.item)))
                case "summary":
                    self._summary |= values_of(record.summary.update)
                case "exit":
                    self.finished = True
        self.more |= log.more
        if log.damaged and not self.rejected.count:
            self.rejected = Rejected(1, f"{log.path.name} is damaged")
        return reports

    def _report(self, values: Mapping[str, Any]) -> ParsedReport:
        step = values.get("_step")
        metrics = self._own(values)
        self._last |= metrics
        return ParsedReport(
            step=float(step) if isinstance(step, int | float) else None,
            score=number(values.get(self._metric)),
            metrics=metrics,
        )

    def _own(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not name.startswith("_") or name == self._metric}

    def _closing(self) -> list[ParsedReport]:
        """The summary, where it says something that the history did not: it may hold the best, and not the last."""
        summary = self._summary or self._summary_file()
        metrics = self._own(summary)
        if all(self._last.get(name) == value for name, value in metrics.items()):
            return []
        return [ParsedReport(score=number(summary.get(self._metric)), metrics=metrics)]

    def _summary_file(self) -> dict[str, Any]:
        for folder in reversed(run_folders(self.folder, self._run_id)):
            try:
                found = json.loads((folder / "files" / "wandb-summary.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(found, dict):
                return flat(found)
        return {}


def number(value: Any) -> float | None:
    """A logged value as a score; NaN and infinities are kept, texts and booleans are none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    words = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
    return words.get(value.lower()) if isinstance(value, str) else None


def is_online(wandb: WandbConfig, env: Mapping[str, str]) -> bool:
    """Whether a script's runs go to W&B, as far as can be told: `env` is what the job was given."""
    mode = env.get("WANDB_MODE") or wandb.mode or os.environ.get("WANDB_MODE") or "online"
    return mode not in AWAY


class Question:
    """Asks W&B for the summary of one run, in a thread, until it has the metric or the time is up."""

    def __init__(self, entity: str, project: str, run_id: str, metric: str, timeout_s: float) -> None:
        self.path = "/".join(part for part in (entity, project, run_id) if part)
        self.answer: ParsedReport | None = None
        self.said = f"no answer within {timeout_s:g} s"
        """What became of it, for a message."""
        self._metric = metric
        self._until = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name=f"wandb-{run_id}", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """There is an answer, or there will be none."""
        return not self._thread.is_alive() or time.monotonic() > self._until

    def give_up(self) -> None:
        self._stop.set()

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                if self._answered():
                    return
            except Exception as error:  # noqa: BLE001 - whatever the client raises, it is no answer
                self.said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if self._stop.wait(ASK_S) or time.monotonic() > self._until:
                return

    def _answered(self) -> bool:
        import wandb  # noqa: PLC0415 - heavy, and only asked where nothing lies on this machine

        run = wandb.Api(timeout=max(1, int(min(10.0, self._timeout_s / 3)))).run(self.path)
        summary = flat(dict(run.summary_metrics))
        score = number(summary.get(self._metric))
        if score is not None:
            own = {name: value for name, value in summary.items() if not name.startswith("_")}
            self.answer = ParsedReport(score=score, metrics=own)
            return True
        self.said = f"its summary has {', '.join(sorted(summary)[:8]) or 'nothing'}"
        return bool(run.state == "finished")
