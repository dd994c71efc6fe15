"""`report`: a sweep as one HTML page, or as Markdown."""

from __future__ import annotations

import os
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeptui.cli.options import root_option, sweep_argument, sweep_to_read
from sweeptui.core.errors import UserError
from sweeptui.survey import open_sweep

if TYPE_CHECKING:
    from sweeptui.writeup.content import Content

HEAD_BYTES = 1 << 13
"""What says whose report a file is stands in its first lines."""


@click.command()
@sweep_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; report.html (or report.md) in the sweep's folder where not given.",
)
@click.option("--md", "as_markdown", is_flag=True, help="Markdown, for a pull request: printed, or into --output.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@click.option("--force", is_flag=True, help="Overwrite a file that is no report of this sweep.")
@root_option
def report(*, sweep: str, output: Path | None, as_markdown: bool, open_browser: bool, force: bool, root: Path) -> int:
    """Write a sweep up: one HTML file that opens anywhere, or with --md a Markdown summary.

    The page has everything in it and asks no server for anything. Running the command again renews it.
    """
    if as_markdown and open_browser:
        raise UserError("--open shows the page, and --md makes none; leave one of them out")
    folder = sweep_to_read(root, sweep)
    target = output if output is not None or as_markdown else folder / "report.html"
    if target is not None and not force:
        _check(target, sweep)
    text = _written(folder, as_markdown=as_markdown)
    if target is None:
        click.echo(text, nl=False)
        return 0
    write(target, text)
    click.echo(f"{target} ({len(text.encode()) / 1e6:.1f} MB)" if not as_markdown else str(target))
    if open_browser and not webbrowser.open(target.resolve().as_uri()):
        raise UserError(f"no browser could be opened here; open {target.resolve()} in one")
    return 0


def _written(folder: Path, *, as_markdown: bool) -> str:
    from sweeptui.writeup.content import gather  # noqa: PLC0415 - found out first: may the file be written

    with open_sweep(folder) as store:
        content: Content = gather(folder, store, time.time())
    if as_markdown:
        from sweeptui.writeup.markdown import markdown  # noqa: PLC0415 - needs less than the page

        return markdown(content)
    from sweeptui.writeup.html import html  # noqa: PLC0415

    return html(content)


def _check(target: Path, sweep: str) -> None:
    """Raise `UserError` where a file is there that is no report of the sweep."""
    try:
        with target.open("rb") as file:
            head = file.read(HEAD_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"--output {target} cannot be read: {error.strerror}; choose another file") from None
    if f'<meta name="sweep" content="{sweep}">' not in head and f"<!-- sweeptui report: {sweep} -->" not in head:
        raise UserError(
            f"--output {target} is there and is no report of sweep {sweep}; choose another, or pass --force"
        )


def write(target: Path, text: str) -> None:
    """Write a file, whole or not at all. Raises `UserError`."""
    beside = None
    try:
        mask = os.umask(0)
        os.umask(mask)
        descriptor, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o666 & ~mask)
        Path(beside).replace(target)
        beside = None
    except OSError as error:
        raise UserError(
            f"{target} cannot be written: {error.strerror or error}; choose another with --output"
        ) from None
    finally:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
