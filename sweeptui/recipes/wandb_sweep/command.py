"""The command of a W&B sweep file as a template of ours.

As W&B's agent does it: a macro is an item of its own, `${envvar:NAME}` may stand anywhere, and all else is as written.
What the agent drops or leaves without a word, an unknown macro or a variable that is not set, is refused here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from sweeptui.core.errors import FieldError, hint, shown
from sweeptui.core.template import literal

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
_VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")
_MACROS = {
    "args": "{wandb_args}",
    "args_no_equals": "{wandb_args_no_equals}",
    "args_no_hyphens": "{wandb_args_no_hyphens}",
    "args_no_boolean_flags": "{wandb_args_no_boolean_flags}",
    "args_append_hydra": "{wandb_args_append_hydra}",
    "args_override_hydra": "{wandb_args_override_hydra}",
    "args_json": "{wandb_args_json}",
    "args_json_file": "{wandb_args_json_file}",
}
_KNOWN = ("env", "interpreter", "program", *_MACROS, "envvar:NAME")


def read_command(command: Any, program: Any, environ: Mapping[str, str]) -> list[str]:
    """The command as a template. Raises `FieldError`, its path leading through the file."""
    if program is not None and (not isinstance(program, str) or not program):
        raise FieldError("program", f"is {shown(program)}; it must be the path of a script")
    if command is None:
        items: Sequence[Any] = DEFAULT
    elif isinstance(command, list) and command:
        items = command
    else:
        raise FieldError("command", f"is {shown(command)}; it must be a list of arguments")
    template: list[str] = []
    for place, item in enumerate(items):
        path = ("command", str(place)) if command is not None else ("program",)
        if isinstance(item, list | Mapping) or item is None:
            raise FieldError(path, f"is {shown(item)}; it must be text or a number")
        template.append(_word(path, str(item), program, environ))
    return template


def _word(path: tuple[str, ...], item: str, program: str | None, environ: Mapping[str, str]) -> str:
    for name in _VARIABLE.findall(item):
        if name not in environ:
            raise FieldError(path, f"is {item!r}, and the environment variable {name} is not set; set it, or remove it")
    text = _VARIABLE.sub(lambda match: environ[match[1]], item)
    if not (text.startswith("${") and text.endswith("}")):
        for name in re.findall(r"\$\{(\w+)\}", text):
            if name in _KNOWN:
                raise FieldError(path, f"is {item!r}; a macro is replaced only as an item of its own; split it")
        return literal(text)
    name = text[2:-1]
    if name in _MACROS:
        return _MACROS[name]
    match name:
        case "env":
            return "/usr/bin/env"
        case "interpreter":
            # As the agent does it; there are systems that have only a python3.
            return "python" if shutil.which("python", path=environ.get("PATH")) else "{python}"
        case "program":
            if program is None:
                raise FieldError("program", "is missing, and the command runs it; name the script")
            return literal(program)
        case "args_dict":
            raise FieldError(path, f"is {item!r}, of which W&B's agent makes bare names; use ${{args_json}}")
    raise FieldError(path, f"is {item!r}, which is no macro; {hint(name, _KNOWN)}")
