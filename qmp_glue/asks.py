"""How QEMU is asked, whoever carries the question: a session, the guard's monitor, or libvirt.

Questions may be put beside each other (:func:`asyncio.gather`): QEMU answers them in order.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from qmp_glue.errors import CommandError, GarbageError

__all__ = ["COMMAND_SECONDS", "Asks", "QemuVersion"]

#: How long the answer to one command may take.
COMMAND_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class QemuVersion:
    """The version of a QEMU, as its greeting and ``query-version`` tell it."""

    major: int
    minor: int
    micro: int
    #: The packager's text, ``Debian 1:7.2+dfsg-7``; may be empty.
    package: str

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"

    @classmethod
    def read(cls, told: Any, name: str) -> QemuVersion:
        """Read what *name* told, JSON data.

        :raise GarbageError: there is no version in it.
        """
        try:
            major, minor, micro = (int(told["qemu"][part]) for part in ("major", "minor", "micro"))
            return cls(major, minor, micro, str(told.get("package", "")))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise GarbageError(f"{name}: did not tell QEMU's version") from None


class Asks(Protocol):
    """Somebody who puts questions to one QEMU; whoever implements it inherits the rest."""

    #: What to call the other side in messages.
    name: str
    version: QemuVersion

    @abstractmethod
    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        seconds: float | None = COMMAND_SECONDS,
    ) -> Any:  # JSON data is whatever QEMU sends
        """Run one command and return its ``return`` value, JSON data.

        :param seconds: how long the answer may take; None to wait for ever.
        :raise CommandError: QEMU refused it.
        :raise GlueError: the connection failed or was too slow.
        """

    async def text(self, line: str) -> str:
        """Run one line of the human monitor and return what it prints.

        :raise GlueError: as :meth:`execute`.
        """
        answer = await self.execute("human-monitor-command", {"command-line": line})
        if not isinstance(answer, str):
            raise GarbageError(f"{self.name}: '{line}' answered {type(answer).__name__}, not text")
        return answer

    async def get(self, path: str, name: str) -> Any:
        """Read a property of an object; None when there is no such object or property.

        :raise GlueError: as :meth:`execute`.
        """
        try:
            return await self.execute("qom-get", {"path": path, "property": name})
        except CommandError:
            return None

    async def once(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Ask what does not change while a VM runs; the answer is asked for once and kept.

        :raise GlueError: as :meth:`execute`.
        """
        kept: dict[tuple[str, str], Any] = self.__dict__.setdefault("_kept", {})
        key = (command, repr(arguments))
        if key not in kept:
            kept[key] = await self.execute(command, arguments)
        return kept[key]

    async def constant(self, path: str, name: str) -> Any:
        """Read a property that does not change; as :meth:`get`, asked until there is a value."""
        try:
            return await self.once("qom-get", {"path": path, "property": name})
        except CommandError:
            return None
