"""How the command line ends: exit codes, and what each way out says.

Kept apart from the rest of the command line, so that ``--help`` loads nothing but click.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum

import click

__all__ = ["Exit", "ReachError", "UnreadableError", "run"]


class Exit(IntEnum):
    """The exit codes, the same for every command."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    UNREACHABLE = 3
    BUG = 70
    INTERRUPTED = 130


class UnreadableError(click.ClickException):
    """Input that cannot be read at all; exit code 2."""

    exit_code = Exit.USAGE


class ReachError(click.ClickException):
    """QEMU or its monitor cannot be reached; exit code 3."""

    exit_code = Exit.UNREACHABLE


def run(group: click.Group) -> int:
    """Run the group; every way out becomes an exit code, a bug becomes 70 with a short word."""
    try:
        result = group.main(prog_name="guestmap", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader went away (a pager, head): that is its right. Nothing more may be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:  # the last line of defence
        if os.environ.get("GUESTMAP_DEBUG"):
            raise
        click.echo(
            f"guestmap: internal error: {type(error).__name__}: {error}\n"
            "this is a bug; run again with GUESTMAP_DEBUG=1 for the traceback",
            err=True,
        )
        return Exit.BUG
    return result if isinstance(result, int) else Exit.OK
