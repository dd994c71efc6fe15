"""What several commands share: the root, sweeps, trials, and options that take key=value."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from sweeptui.cli.complete import SweepName, TrialName
from sweeptui.core.errors import UserError
from sweeptui.folders import DATABASE, by_path, existing_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    NumberType = click.ParamType[int]
else:
    # Older clicks have no type of what a word becomes.
    NumberType = click.ParamType

Decorator: TypeAlias = "Callable[[Callable[..., Any]], Callable[..., Any]]"

_TRIAL = re.compile(r"(?:trial_)?0*([1-9][0-9]*)")

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=Path(),
    help="The project's folder: sweeps lie in ROOT/train_dir/sweeps. The current folder where not given.",
)
at_option = click.option("--at", metavar="TIME|TRIAL", help="As it was: an ISO time, HH:MM, -10m, or a trial's end.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; the shapes are in docs/cli.md.")
sweep_argument = click.argument("sweep", type=SweepName())


def sweep_to_read(root: Path, sweep: str) -> Path:
    """The folder of a sweep that a command only reads: of that name, or lying at that path. Raises `UserError`."""
    if not by_path(sweep):
        return existing_sweep(root, sweep)
    from sweeptui.exchange.opened import to_read  # noqa: PLC0415 - most are given by name

    return click.get_current_context().with_resource(to_read(root, sweep))


def moment_at(folder: Path, at: str) -> int:
    """The row of the journal of the sweep in `folder` that `--at` means. Raises `UserError`."""
    from sweeptui.core.moments import moment_of  # noqa: PLC0415 - few ask for the past
    from sweeptui.core.stores.past import Past  # noqa: PLC0415
    from sweeptui.core.stores.sqlite import SqliteStore  # noqa: PLC0415

    with closing(SqliteStore.open(folder / DATABASE, readonly=True)) as store:
        return moment_of(Past(store), at)


def trials_argument(*, required: bool) -> Decorator:
    return click.argument("trials", nargs=-1, required=required, type=TrialName(), metavar="TRIAL...")


def parse_trials(words: Iterable[str]) -> list[int]:
    """Read trials given as 3, 0003 or trial_0003. Raises `UserError`."""
    numbers: list[int] = []
    for word in words:
        match = _TRIAL.fullmatch(word)
        if match is None:
            raise UserError(f"{word!r} is no trial; write its number (3) or its id (trial_0003)")
        numbers.append(int(match[1]))
    return numbers


class WholeNumber(NumberType):
    """A whole number, `least` or more where that is given. Raises `UserError`."""

    name = "integer"

    def __init__(self, least: int | None = None) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ARG002
        number = value if isinstance(value, int) else _whole(value)
        if number is None or (self._least is not None and number < self._least):
            field = param.opts[0] if param is not None else "it"
            wanted = "a whole number" + ("" if self._least is None else f", {self._least} or more")
            raise UserError(f"{field} is {value!r}: give {wanted}")
        return number


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


class PairsCommand(click.Command):
    """Lets an option that takes key=value take several in a row: `--overrides a=1 b=2`."""

    pair_options = frozenset({"--args", "--overrides", "--set", "--train-override", "--eval-override"})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.spread(args))

    def spread(self, args: list[str]) -> list[str]:
        """Return the words with the option before each of its values."""
        spread: list[str] = []
        option, first = "", True
        for word in args:
            if word in self.pair_options:
                option, first = word, True
            elif option and "=" in word and not word.startswith("-"):
                if not first:
                    spread.append(option)
                first = False
            else:
                option = ""
            spread.append(word)
        return spread
