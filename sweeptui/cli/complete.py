"""Shell completion of recipes, sweeps and trials, and the command that sets it up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:
    from collections.abc import Iterable

    TextType = click.ParamType[str]
else:
    # Older clicks have no type of what a word becomes.
    TextType = click.ParamType

SET_UP = {
    "bash": '# In ~/.bashrc:  eval "$(sweeptui completion bash)"',
    "zsh": '# In ~/.zshrc:  eval "$(sweeptui completion zsh)"',
    "fish": "# Once:  sweeptui completion fish > ~/.config/fish/completions/sweeptui.fish",
}


class RecipeName(TextType):
    name = "recipe"

    def shell_complete(self, ctx: click.Context, param: Any, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        from sweeptui.recipes.find import list_recipes  # noqa: PLC0415 - only this completion needs it

        known = [recipe for recipe in list_recipes() if recipe.name.startswith(incomplete)]
        return [CompletionItem(recipe.name, help=recipe.line) for recipe in known]


class SweepName(TextType):
    name = "sweep"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        return _matching((folder.name for folder in _sweeps(ctx)), incomplete)


class TrialName(TextType):
    name = "trial"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        folders = (folder for folder in _sweeps(ctx) if folder.name == ctx.params.get("sweep"))
        return _matching(
            (trial.name for folder in folders for trial in (folder / "trials").glob("trial_*")), incomplete
        )


def _sweeps(ctx: click.Context) -> Iterable[Path]:
    sweeps = Path(ctx.params.get("root") or ".") / "train_dir" / "sweeps"
    return sweeps.iterdir() if sweeps.is_dir() else ()


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


@click.command()
@click.argument("shell", type=click.Choice(list(SET_UP)))
@click.pass_context
def completion(ctx: click.Context, /, *, shell: str) -> int:
    """Print shell completion for bash, zsh or fish.

    \b
    bash: add to ~/.bashrc:  eval "$(sweeptui completion bash)"
    zsh:  add to ~/.zshrc:   eval "$(sweeptui completion zsh)"
    fish: sweeptui completion fish > ~/.config/fish/completions/sweeptui.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(SET_UP[shell])
    click.echo(script(ctx.find_root().command, {}, "sweeptui", "_SWEEPTUI_COMPLETE").source())
    return 0
