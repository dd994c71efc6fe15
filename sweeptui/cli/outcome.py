"""What a headless run leaves behind for CI: a Markdown summary, JUnit XML, JSON, and an exit code by the score."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as Xml

import click

from sweeptui.cli.report import write
from sweeptui.core.analysis.summary import json_line
from sweeptui.core.ansi import sanitize
from sweeptui.core.errors import UserError
from sweeptui.core.limits import Ending, ExitCode, better
from sweeptui.core.objectives import objectives_of
from sweeptui.core.trial import TrialStatus
from sweeptui.headless import summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import SweepState
    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.core.trial import Trial

FAIL_UNDER = "fail_under"


def outcome_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `Outcome`."""
    path = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option("--summary-md", type=path, help="Headless: append a summary in Markdown, as for a CI step."),
        click.option("--junit", type=path, help="Headless: write the trials as JUnit XML."),
        click.option("--result-json", type=path, help="Headless: write the last object of --json."),
        click.option(
            "--fail-under",
            type=float,
            metavar="SCORE",
            help="Headless: exit with 6 where the best score is worse: below SCORE, or above where it is minimized.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is wanted at the end of a run."""

    summary_md: Path | None = None
    junit: Path | None = None
    result_json: Path | None = None
    fail_under: float | None = None

    def check(self, tool: SweepTool, *, is_headless: bool) -> None:
        """Raise `UserError` for what would only be found out at the end of the sweep."""
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        if given and not is_headless:
            raise UserError(f"--{given[0].replace('_', '-')} is for runs without a screen; pass --headless, too")
        for name in given:
            path = getattr(self, name)
            if isinstance(path, Path) and not path.absolute().parent.is_dir():
                raise UserError(f"--{name.replace('_', '-')} {path}: there is no folder {path.parent}; make it first")
        if self.fail_under is not None and tool.protein_config.metrics is not None:
            raise UserError(
                f"--fail-under is {self.fail_under:g}, and there are several metrics, none of which is the score; "
                "leave it out"
            )

    def conclude(self, store: SqliteStore, end: Ending) -> Ending:
        """Write what is wanted; the ending with the exit code that the score asks for."""
        state = store.state
        missed = self._missed(state) if end.exit_code in (ExitCode.DONE, ExitCode.BUDGET) else ""
        if missed:
            click.echo(f"error: {missed}", err=True)
            end = Ending(end.status, f"{end.reason}; {missed}" if end.reason else missed, int(ExitCode.UNDER))
        try:
            self._write(store, end, missed)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            return Ending(end.status, end.reason, end.exit_code or int(ExitCode.USAGE))
        return end

    def _missed(self, state: SweepState) -> str:
        goal = objectives_of(state.config)[0].goal
        best = state.best(goal)
        if self.fail_under is None or best is None or best.score is None:
            return ""
        if not better(goal, self.fail_under, best.score):
            return ""
        return f"the best score, {best.score!r} of {best.id}, is worse than --fail-under {self.fail_under!r} ({goal})"

    def _write(self, store: SqliteStore, end: Ending, missed: str) -> None:
        folder = store.path.parent
        if self.result_json is not None:
            write(self.result_json, json_line(summary(store.state, folder, end)) + "\n")
        if self.junit is not None:
            write(self.junit, junit(store.state, end, missed if self.fail_under is not None else None))
        if self.summary_md is not None:
            from sweeptui.writeup.content import gather  # noqa: PLC0415 - only who wants it pays for it
            from sweeptui.writeup.markdown import markdown  # noqa: PLC0415

            text = markdown(gather(folder, store, time.time()))
            if missed:
                text += f"**Failed:** {missed}\n"
            try:
                with self.summary_md.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(f"{text}\n")
            except OSError as error:
                raise UserError(f"--summary-md {self.summary_md} cannot be written: {error.strerror}") from None


def junit(state: SweepState, end: Ending, missed: str | None) -> str:
    """The trials as JUnit XML: a failed one is a failure, one without an end is skipped.

    `missed`: why the score is worse than it was to be, "" where it is not, None where nothing was asked of it.
    """
    suite = Xml.Element("testsuite", name=_safe(f"sweeptui.{state.name}"))
    failures = skipped = 0
    for _, trial in sorted(state.trials.items()):
        case = Xml.SubElement(suite, "testcase", classname=_safe(state.name), name=trial.id, time=_seconds(trial))
        if trial.status is TrialStatus.FAILED:
            failures += 1
            kind = "failed" if trial.failure is None else trial.failure.value
            Xml.SubElement(case, "failure", type=kind, message=_safe(trial.reason))
        elif trial.status not in (TrialStatus.COMPLETED, TrialStatus.STOPPED):
            skipped += 1
            Xml.SubElement(case, "skipped", message=_safe(f"{trial.status.value} {trial.reason}".strip()))
        elif trial.score is not None:
            Xml.SubElement(case, "system-out").text = f"score {trial.score!r}"
    if missed is not None:
        case = Xml.SubElement(suite, "testcase", classname=_safe(state.name), name=FAIL_UNDER, time="0")
        if missed:
            failures += 1
            Xml.SubElement(case, "failure", type=FAIL_UNDER, message=_safe(missed))
    count = len(state.trials) + (missed is not None)
    suite.attrib |= {"tests": str(count), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    suite.set("time", f"{state.run_s:.3f}")
    properties = Xml.Element("properties")
    for name, value in (("status", end.status.value), ("reason", end.reason), ("exit_code", str(end.exit_code))):
        Xml.SubElement(properties, "property", name=name, value=_safe(value))
    suite.insert(0, properties)
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=False) + "\n"


def _seconds(trial: Trial) -> str:
    known = trial.started_at is not None and trial.ended_at is not None
    return f"{trial.ended_at - trial.started_at:.3f}" if known else "0"  # type: ignore[operator]


def _safe(text: str) -> str:
    """Foreign text with nothing in it that XML cannot hold."""
    return sanitize(text, colour=False).translate({0xFFFE: None, 0xFFFF: None})
