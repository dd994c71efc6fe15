"""The directive `settings`: every field of a recipe file, from the JSON Schema that `sweeptui schema` prints.

And `schedulers`: every scheduler's options. Both are tables in Markdown, which MyST reads.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from sweeptui.core.config import SweepTool
from sweeptui.core.schedulers import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sphinx.application import Sphinx

HIDDEN = ("SweepConfig",)
"""What only the code of a recipe uses."""


class Settings(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        schema = SweepTool.model_json_schema()
        text = "\n\n".join(_pages("The recipe", schema, schema.get("$defs", {}), ()))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Schedulers(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        parts = []
        for name, kind in BUILT_IN.items():
            schema = kind.model_json_schema()
            parts.append("\n\n".join(_pages(f"`{name}`", schema, {}, ())))
        return self.parse_text_to_nodes("\n\n".join(parts), allow_section_headings=True)


def _pages(title: str, model: Mapping[str, Any], others: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """A section for a model, then one for each model that its fields hold."""
    yield f"## {title}"
    if model.get("description"):
        yield str(model["description"])
    rows = ["| field | type | default | what it is |", "|---|---|---|---|"]
    held = []
    required = model.get("required", ())
    for name, field in model.get("properties", {}).items():
        kind, names = _type(field, others)
        held += [(name, each) for each in names if others[each].get("properties") and each not in HIDDEN]
        default = "required" if name in required else _default(field)
        what = str(field.get("description", "")).replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{name}` | {kind} | {default} | {what} |")
    if len(rows) > 2:
        yield "\n".join(rows)
    for name, other in held:
        if name not in path:
            yield from _pages(f"`{'.'.join((*path, name))}`", others[other], others, (*path, name))


def _type(field: Mapping[str, Any], others: Mapping[str, Any]) -> tuple[str, list[str]]:
    """In words, and the models that are in it."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        if "enum" in others[name]:
            return _type(others[name], others)
        return "section", [name]
    if "anyOf" in field or "allOf" in field:
        parts = [_type(each, others) for each in field.get("anyOf", field.get("allOf"))]
        words = list(dict.fromkeys(word for word, _ in parts if word != "null"))
        return " or ".join(words), [name for _, names in parts for name in names]
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"]), []
    if "const" in field:
        return f"`{field['const']}`", []
    kind = field.get("type", "anything")
    if kind == "array":
        inner, names = _type(field.get("items", {}), others)
        return f"list of {inner}", names
    if kind == "object":
        inner = field.get("additionalProperties")
        word, names = _type(inner, others) if isinstance(inner, dict) else ("anything", [])
        return f"mapping to {word}", names
    return str(kind), []


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field or field["default"] in (None, {}, []):
        return ""
    if isinstance(field["default"], dict):
        return "see there"
    return f"`{json.dumps(field['default'])}`"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("settings", Settings)
    app.add_directive("schedulers", Schedulers)
    return {"parallel_read_safe": True}
