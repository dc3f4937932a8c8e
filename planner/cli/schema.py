"""``guestmap schema``: the JSON Schema of layouts, for editors and other programs."""

from __future__ import annotations

import click

from planner.cli.exits import Command
from planner.cli.output import print_json
from planner.layout.schema import layout_schema

__all__ = ["command"]


@click.command("schema", cls=Command)
def command() -> None:
    """Print the JSON Schema (draft-07) of a layout.

    An editor with a YAML language server checks a layout against it when the layout's first line is

    \b
      # yaml-language-server: $schema=layout-v1.json

    \b
    Example:
      guestmap schema > layout-v1.json
    """
    print_json(layout_schema())
