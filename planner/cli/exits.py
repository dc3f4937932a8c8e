"""How the command line ends: one table from exceptions to exit codes and words.

Kept apart from the rest of the command line, so that ``--help`` loads nothing but click.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import click

__all__ = ["WAYS", "Command", "Exit", "FailedError"]


class Exit(IntEnum):
    """The exit codes, the same for every command."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    UNREACHABLE = 3
    BUG = 70
    INTERRUPTED = 130


class Way(NamedTuple):
    """How a command ends by an exception."""

    exit: Exit
    #: What is said before the exception's own words.
    prefix: str = ""
    #: What to do, where the exception does not say.
    help: str = ""


#: Exception, by module and name so that none is imported for it → its way out; of the nearest base
#: class that stands here. What is not here and reaches the end is a bug.
WAYS: Mapping[str, Way] = {
    "planner.argv.keyval.KeyvalError": Way(Exit.USAGE),
    "planner.argv.split.ArgvError": Way(Exit.USAGE),
    "planner.documents.map.DocumentError": Way(Exit.USAGE),
    "planner.host.sysfs.HostUnreadableError": Way(Exit.USAGE),
    "planner.machine.request.MachineRefusedError": Way(Exit.USAGE, "QEMU would refuse this: "),
    "planner.machine.request.NotModelledError": Way(
        Exit.USAGE, "not modelled: ", "the program itself can be asked: leave --model out"
    ),
    "planner.text.write.FileError": Way(Exit.USAGE),
    "planner.units.UnitError": Way(Exit.USAGE),
    "qmp_glue.errors.GlueError": Way(Exit.UNREACHABLE),
}


class FailedError(click.ClickException):
    """A command cannot do what it was asked to, because of its input unless *code* says else.

    :param help_text: what to do about it.
    """

    def __init__(self, message: str, help_text: str = "", code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.help = help_text
        self.exit_code = code  # type: ignore[misc]  # click's is the class's

    def format_message(self) -> str:
        """Return the message, and the help below it."""
        help_line = f"\n  = help: {_harmless(self.help)}" if self.help else ""
        return _harmless(self.message) + help_line


class Command(click.Command):
    """A command whose exceptions end it as the table says."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
            way = next((WAYS[name] for name in names if name in WAYS), None)
            if way is None:
                raise
            help_text = getattr(error, "help", "") or way.help
            raise FailedError(f"{way.prefix}{error}", help_text, way.exit) from error


def _harmless(text: str) -> str:
    from planner.text.harmless import harmless  # noqa: PLC0415  # not for --help

    return harmless(text)
