"""The reference of a layout's fields, from the table that reads them."""

from __future__ import annotations

from planner.layout.schema import KINDS, LAYOUT
from planner.text.fields import Field, rows
from planner.text.values import Choice

__all__ = ["layout_reference"]

_INTRO = """\
# Layout fields

A layout is a YAML file of version 1. Every field is below, in the order `guestmap fmt` writes them.
Addresses and sizes are hexadecimal (`0x4000_0000`) or decimal with a binary unit (`512MiB`, `4G`);
a number without unit is bytes. `guestmap schema` prints the same as JSON Schema for editors.
"""


def layout_reference() -> str:
    """Return the reference as Markdown."""
    lines = [_INTRO, "| field | value | default | meaning |", "|---|---|---|---|"]
    lines += [_row(path, field) for path, field in rows(LAYOUT)]
    lines += ["", "## Kinds of region", "", "| kind | what answers there |", "|---|---|"]
    lines += [f"| `{kind}` | {what} |" for kind, what in KINDS.items()]
    return "\n".join(lines) + "\n"


def _row(path: str, field: Field) -> str:
    value = field.type.word
    if isinstance(field.type, Choice):
        value = ", ".join(f"`{word}`" for word in field.type.words)
    if field.example:
        value += f", as in `{field.example}`"
    default = "required" if field.required else field.default or "none"
    return f"| `{path}` | {value} | {default} | {field.summary} |"
