"""The command line: one module a command, loaded when it is run."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from planner import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["main"]

#: Command → its line in ``guestmap --help``. Modules are imported only when their command runs, so
#: that ``--help`` stays as fast as Python and click allow.
COMMANDS = {
    "host": "read what this host's IOMMUs forbid",
    "plan": "plan a guest's memory map against one or more hosts",
    "show": "draw a layout, plan, host, map or QEMU: text, SVG, HTML, GraphML, JSON",
    "diff": "compare two layouts, plans, hosts or maps",
    "map": "show the memory map of a QEMU command line, or of a running QEMU",
    "check": "judge an existing QEMU command line, and mend it",
    "args": "print the QEMU command line of a plan",
    "apply": "plug a plan's memory into a paused QEMU, and verify",
    "verify": "compare a plan with the real map of a QEMU",
    "hotplug": "judge one hotplug against a running QEMU, and perform it",
    "guard": "stand before a QEMU's monitor and judge every hotplug",
    "new": "write a layout to start from",
    "lint": "say what is wrong with layouts and host profiles",
    "explain": "explain a finding, or the words of QEMU, libvirt or the kernel",
    "schema": "print the JSON Schema of layouts",
    "fmt": "write layouts and host profiles in their canonical form",
    "completion": "print a shell's completion script",
}

EXIT_CODES = """\b
Exit codes:
  0   fine
  1   findings of severity error
  2   usage, or what cannot be read or written
  3   QEMU or its monitor cannot be reached
  70  a bug in guestmap
"""


class _Lazy(click.Group):
    """A group that knows its commands' names without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"planner.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table instead of importing each for its help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete commands from the table, too."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only at a TAB

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=line)
            for name, line in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415  # only for a mistyped command

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"; the nearest is '{near[0]}'" if near else ""
            ctx.fail(f"no command '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, "--version", prog_name="guestmap")
def group() -> None:
    """Plan a QEMU guest's memory map so that VFIO passthrough works.

    \b
    Example:
      guestmap host                                  what this host forbids
      guestmap plan layout.yaml --host profile.yaml  where the guest's memory goes
    """


def main() -> None:
    """Run the command line; the entry point of ``guestmap``."""
    from planner.cli.program import own_streams, run  # noqa: PLC0415  # keeps the import of this module light

    own_streams()
    if "_GUESTMAP_COMPLETE" in os.environ:
        from planner.cli import completion  # noqa: F401, PLC0415  # teaches click our bash

    sys.exit(run(group))
