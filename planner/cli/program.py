"""The program around the commands: its standard streams, and how it ends.

Kept apart from what the commands print with, so that ``--help`` loads nothing but click.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from planner.cli.exits import Exit

__all__ = ["own_streams", "run"]


class OutputLostError(Exception):
    """Standard output cannot be written."""


class ReaderGoneError(Exception):
    """Whoever read standard output has gone: a pager, head. That is its right."""


class _Output(io.FileIO):
    """Standard output, whose failures are told apart from all others."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderGoneError from error
        except OSError as error:
            raise OutputLostError(error.strerror) from error


class _Whole(io.StringIO):
    """What is said, of which click strips nothing because it takes this for a terminal."""

    def isatty(self) -> bool:
        return True


def own_streams() -> None:
    """Take over the standard streams.

    A closed one is taken by a descriptor that nothing can be written to, or read from, lest the
    next file opened gets its number.
    """
    for number, way in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_RDWR)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, way)
    # None where the descriptor was closed when Python started.
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding=sys.stdout.encoding if sys.stdout else "utf-8",
        line_buffering=os.isatty(1),
    )


def run(group: click.Group) -> int:
    """Run the group; every way out becomes an exit code, a bug becomes 70 with a short word."""

    def tell(*lines: str) -> None:
        from planner.cli import output  # noqa: PLC0415  # not for --help

        output.tell(*lines)

    try:
        result = group.main(prog_name="guestmap", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        from planner.text.harmless import harmless  # noqa: PLC0415  # only when it ends so

        said = _Whole()
        error.show(said)
        # A line break in the message is somebody else's.
        tell(*said.getvalue().replace(error.message, harmless(error.message)).splitlines())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted")
        return Exit.INTERRUPTED
    except (ReaderGoneError, OutputLostError) as error:
        # What is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, ReaderGoneError):
            return Exit.OK
        tell(f"Error: standard output cannot be written: {error}")
        return Exit.USAGE
    except Exception as error:  # the last line of defence
        if os.environ.get("GUESTMAP_DEBUG"):
            raise
        tell(
            f"guestmap: internal error: {type(error).__name__}: {error}",
            "this is a bug; run again with GUESTMAP_DEBUG=1 for the traceback",
        )
        return Exit.BUG
    return result if isinstance(result, int) else Exit.OK
