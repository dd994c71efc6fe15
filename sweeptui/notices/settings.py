"""What is wanted: the user's configuration file, and over it the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from sweeptui.core.errors import UserError, explain
from sweeptui.core.notifying import NotifyConfig
from sweeptui.folders import config_path

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "notify"


def settings(recipe: NotifyConfig | None, path: Path | None = None) -> NotifyConfig:
    """What holds for a sweep: each field as the recipe gives it, else as the file does. Raises `UserError`."""
    path = path or config_path()
    table: object = {}
    if path.exists():
        import tomllib  # noqa: PLC0415 - most have no such file

        try:
            table = tomllib.loads(path.read_text(encoding="utf-8")).get(TABLE, {})
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {str(error) or type(error).__name__}") from None
    if not isinstance(table, dict):
        raise UserError(f"{path}: {TABLE} is {table!r}; it must be a table: [{TABLE}]")
    given = recipe.model_dump(exclude_unset=True) if recipe is not None else {}
    try:
        NotifyConfig.model_validate(table)
        return NotifyConfig.model_validate({**table, **given})
    except ValidationError as error:
        raise UserError(f"{path}: {TABLE}.{explain(error)}") from None
