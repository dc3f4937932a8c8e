"""``guestmap schema``: the JSON Schema of what people write, for editors and other programs."""

from __future__ import annotations

import click

from planner.cli.exits import Command
from planner.cli.output import print_json
from planner.host.profile_schema import profile_schema
from planner.layout.schema import layout_schema

__all__ = ["command"]

_SCHEMAS = {"layout": layout_schema, "host": profile_schema}


@click.command("schema", cls=Command)
@click.argument("kind", type=click.Choice([*_SCHEMAS]), default="layout", metavar="[layout|host]")
def command(kind: str) -> None:
    """Print the JSON Schema (draft-07) of a layout, or of a host profile.

    An editor with a YAML language server checks a file against it when the file's first line is

    \b
      # yaml-language-server: $schema=layout-v1.json

    \b
    Example:
      guestmap schema > layout-v1.json
      guestmap schema host > host-v1.json
    """
    print_json(_SCHEMAS[kind]())
