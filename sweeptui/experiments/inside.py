"""One trial of a `MetaExperiment`: whole sweeps with the settings that are tried.

    python -m sweeptui.experiments.inside BASE.json --repeats 3 --settings method=bayes num_random_samples=2

The sweeps are named after the trial, so that one that was cut off goes on with its own trials. Told to end (SIGTERM),
it stops the trials of its sweep first.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.budgets import release, reserve
from sweeptui.core.analysis.summary import best_trial
from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.experiments.scope import current
from sweeptui.launch import prepare
from sweeptui.recipes.settings import parse_settings
from sweeptui.reporting import report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.launch import Session

EXIT_ENDED = 128 + signal.SIGTERM
LOOK_S = 0.5
"""Between two looks at whether a paused experiment goes on."""


class Sweeps:
    """The sweeps of one configuration, one after the other."""

    def __init__(self, base: Mapping[str, Any], settings: Mapping[str, Any], *, chained: bool) -> None:
        scope = current()
        if scope is None or "SWEEPTUI_TRIAL_DIR" not in os.environ:
            raise UserError("this is run by a MetaExperiment, as one of its trials")
        self._scope = scope
        self._trial_dir = Path(os.environ["SWEEPTUI_TRIAL_DIR"])
        self._name = f"{os.environ['SWEEPTUI_SWEEP']}.{self._trial_dir.name}"
        self._tool = {**base, "protein_config": configured(base["protein_config"], settings)}
        self._chained = chained
        self._session: Session | None = None
        self.asked_to_end = False
        self.scores: list[float] = []
        self._last: str | None = None

    def end(self, *_: object) -> None:
        self.asked_to_end = True
        if self._session is not None:
            self._session.interrupt()

    def run(self, repeats: int) -> None:
        """Raises `UserError` where a sweep gives no score."""
        self._recall()
        if len(self.scores) >= repeats:
            self._report(repeats)
        while len(self.scores) < repeats and not self.asked_to_end:
            if self._scope.paused():
                time.sleep(LOOK_S)
                continue
            number = len(self.scores) + 1
            name = f"{self._name}-{number}"
            fields = {**self._tool, "sweep_name": name, "seed": self._tool.get("seed", 0) + number}
            fields["max_trials"] = reserve(self._scope.budgets, name, fields["max_trials"])
            if self._chained and self._last is not None:
                fields["warm_start"] = self._last
            self._session = prepare(None, SweepTool.from_json(fields), self._scope.root, label="experiment")
            if self.asked_to_end or self._session.run().status is SweepStatus.INTERRUPTED:
                return
            release(self._scope.budgets, name)
            self.scores.append(self._best(self._session))
            self._last = name
            self._report(repeats)

    def _report(self, repeats: int) -> None:
        choose = min if self._tool["protein_config"].get("goal") == "minimize" else max
        report(
            step=len(self.scores),
            total_steps=repeats,
            performance=choose(self.scores) if self._chained else statistics.mean(self.scores),
            checkpoint=self._keep(len(self.scores)),
        )

    def _best(self, session: Session) -> float:
        with closing(SqliteStore.open(session.database, readonly=True)) as store:
            best = best_trial(store.state)
        if best is None or best.score is None:
            raise UserError(f"no trial of sweep {session.name} gave a score; look at its trials")
        return best.score

    def _keep(self, number: int) -> Path:
        file = self._trial_dir / "checkpoints" / f"sweep_{number}.json"
        partial = file.with_suffix(".part")
        partial.write_text(json.dumps({"scores": self.scores, "last": self._last}))
        partial.replace(file)
        return file

    def _recall(self) -> None:
        if begun_from := os.environ.get("SWEEPTUI_CHECKPOINT"):
            kept = json.loads(Path(begun_from).read_text())
            self.scores, self._last = kept["scores"], kept["last"]


def configured(protein: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """`protein_config` with the settings that are tried: `method` is its own, all others are Protein's."""
    given = dict(settings)
    method = given.pop("method", protein.get("method", "bayes"))
    known = protein.get("settings") or {}
    return {**protein, "method": method, "settings": {**known, **given} if method == "bayes" else {}}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeptui.experiments.inside")
    parser.add_argument("base", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--chained", action="store_true", help="each sweep is warm-started from the one before")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(argv)
    try:
        sweeps = Sweeps(json.loads(options.base.read_text()), parse_settings(options.settings), chained=options.chained)
        signal.signal(signal.SIGTERM, sweeps.end)
        sweeps.run(options.repeats)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return EXIT_ENDED if sweeps.asked_to_end else 0


if __name__ == "__main__":
    sys.exit(main())
