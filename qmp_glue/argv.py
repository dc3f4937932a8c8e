"""A command line on this machine: with the facts of its files, and its map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from planner.argv.edit import edited
from planner.argv.line import CommandLine, parse_argv
from planner.machine.asked import Asked, MapRead
from planner.machine.change import Change
from qmp_glue.files import FILES

__all__ = ["ArgvSource"]


@dataclass(frozen=True, slots=True)
class ArgvSource:
    """A command line that tells its map: by a probe, or by the machine tables."""

    line: CommandLine
    #: Take the tables; start no QEMU.
    model: bool = False
    #: With the tables: version of the program; empty takes the newest.
    qemu: str = ""
    #: With a probe: how long the program may take to answer; None takes the usual time.
    seconds: float | None = None

    @classmethod
    def read(cls, words: Sequence[str], *, model: bool = False) -> ArgvSource:
        """Read a command line, program first.

        :raise ArgvError: it cannot be read.
        """
        return cls(parse_argv(words, FILES), model)

    @property
    def asked(self) -> Asked:
        """What it asks for."""
        return self.line.asked(self.qemu)

    def read_map(self) -> MapRead:
        """Return its map.

        :raise ArgvError: a probe can neither keep nor leave out something on it.
        :raise GlueError: the program cannot be asked.
        :raise MachineRefusedError: by the tables QEMU would refuse it.
        :raise NotModelledError: the tables do not know it.
        """
        if self.model:
            return MapRead(self.asked.build())
        from qmp_glue.probe import START_SECONDS, probe_line  # noqa: PLC0415  # brings asyncio along

        return probe_line(self.line, self.seconds or START_SECONDS)

    def changed(self, changes: Iterable[Change]) -> ArgvSource:
        """Return the command line with changes written into it."""
        return replace(self, line=edited(self.line, changes))
