"""What a judge is asked, what it may answer, and who keeps the record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from planner.findings import Finding
from qmp_glue.guard.values import Json

__all__ = [
    "Everything",
    "Journal",
    "Judge",
    "Pass",
    "PassedFd",
    "Refuse",
    "Rewrite",
    "Session",
    "Silence",
    "Verdict",
]


@dataclass(frozen=True, slots=True)
class Pass:
    """The command may go to QEMU as it is."""

    #: Why, when it is worth a word.
    note: str = ""
    findings: tuple[Finding, ...] = ()
    #: Hash of the live map the verdict rests on; empty when none was read.
    map_hash: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The command goes to QEMU changed; the caller sees the reply to the changed one."""

    command: dict[str, Json]
    note: str = ""
    findings: tuple[Finding, ...] = ()
    map_hash: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The command does not reach QEMU; *desc* is what the caller is told."""

    desc: str
    findings: tuple[Finding, ...] = ()
    map_hash: str = ""
    #: True when the command could not be judged, as opposed to judged and found wrong.
    unjudged: bool = False


Verdict = Pass | Rewrite | Refuse


@dataclass(frozen=True, slots=True)
class PassedFd:
    """What was seen of a file descriptor when the client handed it over with getfd or add-fd."""

    #: Where /proc/self/fd pointed: ``/dev/vfio/3``, ``anon_inode:...``.
    path: str
    #: Device number of a character device, 0 otherwise.
    rdev: int

    @classmethod
    def of(cls, fd: int) -> PassedFd:
        """Look at an open descriptor."""
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115  # Path would resolve it
        except OSError:
            path = ""
        return cls(path, os.fstat(fd).st_rdev)


class Session(Protocol):
    """The guard's own way to QEMU, while a command is judged."""

    @property
    def passed(self) -> Mapping[str, PassedFd]:
        """Descriptors the client has passed, by the name given to getfd."""
        ...

    @property
    def peer_pid(self) -> int | None:
        """Process id of QEMU as the socket knows it; None over TCP."""
        ...

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Json] | None = None,
        *,
        timeout: float | None = ...,
    ) -> Any:
        """Run a command of the guard's own and return QEMU's answer.

        :raise MonitorError: QEMU refused, did not answer in time, or is gone.
        """
        ...


class Judge(Protocol):
    """Decides about commands."""

    def concerns(self, command: Mapping[str, Json]) -> bool:
        """Say at once whether the command needs a judgement; called for every command."""
        ...

    async def judge(self, command: dict[str, Json], session: Session) -> Verdict:
        """Judge one command; every earlier command of the client is already done or will be."""
        ...


class Journal(Protocol):
    """Keeps the record."""

    def judged(self, command: Mapping[str, Json], verdict: Verdict, seconds: float) -> None:
        """Take down a judgement."""
        ...

    def event(self, name: str, **facts: object) -> None:
        """Take down something that happened to the guard: a client came, QEMU went."""
        ...

    def error(self, name: str, **facts: object) -> None:
        """Take down something that should not have happened."""
        ...


@dataclass(slots=True)
class Everything:
    """A judge that passes everything, for measuring and for tests of the middlebox alone."""

    #: Commands that are sent through :meth:`judge` all the same.
    names: frozenset[str] = field(default=frozenset())

    def concerns(self, command: Mapping[str, Json]) -> bool:
        """Concern itself with the listed names only."""
        return command.get("execute") in self.names

    async def judge(self, command: dict[str, Json], session: Session) -> Verdict:
        """Pass."""
        return Pass()


class Silence:
    """A journal that keeps nothing."""

    def judged(self, command: Mapping[str, Json], verdict: Verdict, seconds: float) -> None:
        """Drop it."""

    def event(self, name: str, **facts: object) -> None:
        """Drop it."""

    def error(self, name: str, **facts: object) -> None:
        """Drop it."""
