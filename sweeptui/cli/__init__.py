"""The command line: which commands there are, and how they are found without importing what they need."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import click

from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("sweeptui.cli.run:run", "Run a recipe's sweep, or go on with it."),
    "continue": ("sweeptui.cli.run:continue_", "Go on with a sweep as it was configured."),
    "attach": ("sweeptui.cli.attach:attach", "Watch a sweep that runs elsewhere, and act on it."),
    "replay": ("sweeptui.cli.attach:replay", "Play a sweep's past in the cockpit."),
    "serve": ("sweeptui.cli.serve:serve", "Show a sweep's cockpit in the browser."),
    "frame": ("sweeptui.cli.frame:frame", "Print or draw one frame of the cockpit."),
    "list": ("sweeptui.cli.listing:list_", "List the sweeps and experiments and their state."),
    "show": ("sweeptui.cli.read:show", "Show a sweep's trials."),
    "logs": ("sweeptui.cli.read:logs", "Print or follow a trial's log."),
    "best": ("sweeptui.cli.best:best", "Print the best configurations, ready to use."),
    "validate": ("sweeptui.cli.validate:validate", "Train the best again over seeds: is the gain real?"),
    "importance": ("sweeptui.cli.importance:importance_", "Print which parameters matter, and whether one can tell."),
    "report": ("sweeptui.cli.report:report", "Write a sweep up: one HTML page, or Markdown."),
    "notify": ("sweeptui.cli.notify:notify", "Say what you are notified by, or try it."),
    "pause": ("sweeptui.cli.act:pause", "Pause trials, or the whole sweep."),
    "resume": ("sweeptui.cli.act:resume", "Resume trials, or the whole sweep."),
    "kill": ("sweeptui.cli.act:kill", "Kill trials."),
    "requeue": ("sweeptui.cli.act:requeue", "Try trials again, as they are or with other parameters."),
    "inject": ("sweeptui.cli.act:inject", "Make a trial by hand."),
    "unqueue": ("sweeptui.cli.act:unqueue", "Take queued trials out of the queue again."),
    "stop": ("sweeptui.cli.act:stop", "End a sweep."),
    "set": ("sweeptui.cli.act:set_", "Change a sweep's limits while it runs."),
    "export": ("sweeptui.cli.exchange:export", "Write a sweep to a file: CSV, JSON lines, Parquet, Optuna, or whole."),
    "import": ("sweeptui.cli.exchange:import_", "Make a sweep of trials from a file, Optuna or W&B; convert a recipe."),
    "sync": ("sweeptui.cli.wandb:sync", "Upload what trials have logged to W&B offline."),
    "recipes": ("sweeptui.cli.about:recipes", "List the recipes that can be run."),
    "schema": ("sweeptui.cli.about:schema", "Print the JSON Schema of a recipe file."),
    "keys": ("sweeptui.cli.about:keys", "Print the cockpit's keys."),
    "doctor": ("sweeptui.cli.about:doctor", "Check this machine and the sweeps on it."),
    "completion": ("sweeptui.cli.complete:completion", "Print shell completion for bash, zsh or fish."),
}
"""Name -> (where it is, its line in the help)."""

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class Commands(click.Group):
    """A group that imports a command when it is run, and takes an unknown first word as a recipe."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {option for param in self.get_params(ctx) for option in param.opts}
        bare = not args and not ctx.resilient_parsing
        if bare or (args and args[0].startswith("-") and args[0] not in own):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            args = ["run", *args]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a completing shell needs these

        from sweeptui.cli.complete import RecipeName  # noqa: PLC0415

        commands = [
            CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)
        ]
        options = [] if commands else click.Command.shell_complete(self, ctx, incomplete)
        return [*commands, *RecipeName().shell_complete(ctx, self, incomplete), *options]


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="'sweeptui RECIPE' is short for 'sweeptui run RECIPE'. Where stdout is no terminal, a sweep runs headless.",
    options_metavar="",
    subcommand_metavar="RECIPE|COMMAND [OPTIONS]",
)
@click.version_option(package_name="sweeptui")
def cli() -> None:
    """The cockpit for hyperparameter sweeps in the terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if sys.platform == "win32":
        return _fail("sweeptui runs on Linux and macOS; on Windows, run it inside WSL (https://aka.ms/wsl)")
    try:
        result: Any = cli.main(args=None if argv is None else list(argv), prog_name="sweeptui", standalone_mode=False)
    except click.ClickException as error:
        return _fail(error.format_message())
    except UserError as error:
        return _fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else 0


def _fail(message: str) -> int:
    click.echo(f"error: {message}", err=True)
    return EXIT_USAGE
