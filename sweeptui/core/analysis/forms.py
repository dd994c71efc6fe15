"""A configuration in the forms in which other programs take it: `sweeptui best --format`."""

from __future__ import annotations

import json
import pprint
import re
import shlex
from typing import TYPE_CHECKING

from sweeptui.core.analysis.best import as_overrides, as_patch, as_yaml, nested
from sweeptui.core.errors import UserError
from sweeptui.core.values import format_value

if TYPE_CHECKING:
    from sweeptui.core.trial import Params, Trial

FORMS = ("yaml", "json", "patch", "overrides", "python", "env")


def as_form(form: str, sweep: str, trial: Trial, said: str = "") -> str:
    """The parameters as one of `FORMS`, with a newline at the end; numbers keep every digit that they have.

    `said`: its scores, where it has several. Raises `UserError` where two parameters would be one variable.
    """
    params = trial.params
    match form:
        case "yaml":
            return as_yaml(params)
        case "json":
            return json.dumps(nested(params), indent=2, ensure_ascii=False) + "\n"
        case "patch":
            return as_patch(sweep, trial, said=said)
        case "overrides":
            return shlex.join(as_overrides(params)) + "\n"
        case "python":
            return f"params = {pprint.pformat(dict(params), sort_dicts=False, width=120)}\n"
    return as_environment(params)


def as_environment(params: Params) -> str:
    """`TRAINER_LR=0.01` lines that a shell reads (`set -a; . FILE`), and Docker where no value needs quotes."""
    names: dict[str, str] = {}
    for path in params:
        name = re.sub(r"\W", "_", path, flags=re.ASCII).upper()
        name = f"_{name}" if name[:1].isdigit() else name
        if name in names:
            raise UserError(f"{names[name]} and {path} would both be the variable {name}; use another --format")
        names[name] = path
    return "".join(f"{name}={shlex.quote(str(format_value(params[path])))}\n" for name, path in names.items())
