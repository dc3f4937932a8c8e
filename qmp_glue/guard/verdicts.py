"""What a judge is asked, what it may answer, and who keeps the record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from planner.findings import Finding, Severity
from qmp_glue.asks import Asks
from qmp_glue.guard.values import Json

__all__ = [
    "NO_DEVICE",
    "CannotJudgeError",
    "Journal",
    "Judge",
    "NotAllowedError",
    "Pass",
    "PassedFd",
    "Peer",
    "Refuse",
    "Rewrite",
    "Verdict",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    findings: tuple[Finding, ...] = ()
    #: Hash of the live map the verdict rests on; empty when none was read.
    map_hash: str = ""


@dataclass(frozen=True, slots=True)
class Pass(_Judged):
    """The command may go to QEMU as it is."""

    #: What the record and the commands call it.
    word: ClassVar[str] = "pass"
    #: Why, when it is worth a word.
    words: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite(_Judged):
    """The command goes to QEMU changed; the caller sees the reply to the changed one."""

    word: ClassVar[str] = "steer"
    command: dict[str, Json]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Refuse(_Judged):
    """The command does not reach QEMU; *words* are what the caller is told."""

    word: ClassVar[str] = "refuse"
    words: str
    #: True when the command could not be judged, as opposed to judged and found wrong.
    unjudged: bool = False
    #: The class of the QMP error.
    kind: str = "GenericError"

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Refuse:
        """Refuse for *findings*; the worst gives the words of the QMP error."""
        errors = [each for each in findings if each.severity is Severity.ERROR] or findings
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        words = f"guestmap {errors[0].code}: {errors[0].message}{more}"
        return cls(words, findings=tuple(findings))


Verdict = Pass | Rewrite | Refuse

NO_DEVICE = Pass("no device is assigned")


class CannotJudgeError(Exception):
    """The facts for a judgement cannot be had; the message says which and why."""


class NotAllowedError(Exception):
    """Nothing has to be judged: it may not go through the guard; the message says why."""


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


@dataclass(frozen=True, slots=True)
class Peer:
    """QEMU's process, as far as it is known beside what QEMU says of itself."""

    #: None over TCP, and where the socket knows somebody else's.
    pid: int | None = None
    #: Descriptors that were passed to it, by the name given to getfd.
    passed: dict[str, PassedFd] = field(default_factory=dict)


class Judge(Protocol):
    """Decides about commands."""

    def concerns(self, command: Mapping[str, Json]) -> bool:
        """Say at once whether the command needs a judgement; called for every command."""
        ...

    async def judge(self, command: dict[str, Json], asks: Asks, peer: Peer) -> Verdict:
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
