"""The reference of what people write, from the tables that read it."""

from __future__ import annotations

from planner.host.profile_schema import PROFILE
from planner.layout.schema import KINDS, LAYOUT
from planner.text.fields import Field, Record, rows
from planner.text.values import Choice

__all__ = ["layout_reference", "profile_reference"]

_LAYOUT = """\
# Layout fields

A layout is a YAML file of version 1. Every field is below, in the order `guestmap fmt` writes them.
Addresses and sizes are hexadecimal (`0x4000_0000`) or decimal with a binary unit (`512MiB`, `4G`);
a number without unit is bytes. `guestmap schema` prints the same as JSON Schema for editors.
"""


_PROFILE = """\
# Profile fields

A profile is what is known of a host, a YAML file of version 1: `guestmap host -o FILE` writes one,
and it may be written by hand. A device may be its name alone, and lines of `reserved_regions` may
be pasted as they are, below a bar:

```yaml
schema: 1
host: {name: workstation, iommu: amd, address-bits: 48}
reserved: |
  0x00000000fee00000 0x00000000feefffff msi
groups:
  - {ids: "0-27"}
  - {id: "28", devices: ["0000:29:00.0"]}
```

`guestmap lint` and `guestmap fmt` read profiles as they read layouts, and `guestmap schema host`
prints the same as JSON Schema for editors.
"""


def layout_reference() -> str:
    """Return the layouts' reference as Markdown."""
    lines = _table(_LAYOUT, LAYOUT)
    lines += ["", "## Kinds of region", "", "| kind | what answers there |", "|---|---|"]
    lines += [f"| `{kind}` | {what} |" for kind, what in KINDS.items()]
    return "\n".join(lines) + "\n"


def profile_reference() -> str:
    """Return the profiles' reference as Markdown."""
    return "\n".join(_table(_PROFILE, PROFILE)) + "\n"


def _table(intro: str, table: Record) -> list[str]:
    head = [intro, "| field | value | default | meaning |", "|---|---|---|---|"]
    return head + [_row(path, field) for path, field in rows(table)]


def _row(path: str, field: Field) -> str:
    value = field.type.word
    if isinstance(field.type, Choice):
        value = ", ".join(f"`{word}`" for word in field.type.words)
    if field.example:
        value += f", as in `{field.example}`"
    default = "required" if field.required else field.default or "none"
    return f"| `{path}` | {value} | {default} | {field.summary} |"
