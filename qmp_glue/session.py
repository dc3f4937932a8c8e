"""One QMP conversation. The only module that imports qemu.qmp.

Every await has a time limit, everything that leaves is a frozen value or plain JSON data, and
every failure is a :class:`~qmp_glue.errors.GlueError`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from qmp_glue.errors import (
    CommandError,
    GarbageError,
    GlueError,
    LostError,
    SilentError,
    UnreachableError,
)

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

__all__ = ["Address", "QemuVersion", "Session", "parse_address", "run"]

#: Seconds to wait for a connection with its greeting, and for the answer to one command.
CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 10.0
_CLOSE_SECONDS = 2.0

_T = TypeVar("_T")
#: A UNIX socket's path, a TCP address, or one end of a socket pair.
Address = str | tuple[str, int] | socket.socket

_HOST_PORT = re.compile(r"(?:tcp:)?(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]]*):(?P<port>\d{1,5})\Z")


@dataclass(frozen=True, slots=True)
class QemuVersion:
    """The version a QEMU greets with."""

    major: int
    minor: int
    micro: int
    #: The packager's text, ``Debian 1:7.2+dfsg-7``; may be empty.
    package: str

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"


def parse_address(text: str) -> str | tuple[str, int]:
    """Read an address as QEMU spells it: ``unix:PATH`` or ``HOST:PORT``.

    :raise ValueError: it is neither; the message says what to write.
    """
    path = text.removeprefix("unix:")
    if path != text or text.startswith("/"):
        path = path.split(",")[0]
        if not path:
            raise ValueError("unix: needs the path of a socket")
        return path
    match = _HOST_PORT.match(text.split(",", maxsplit=1)[0])
    if not match or int(match["port"]) > 65535:
        raise ValueError(f"'{text}' is not unix:PATH or HOST:PORT")
    return match["host"].strip("[]") or "localhost", int(match["port"])


def run(job: Coroutine[Any, Any, _T]) -> _T:
    """Run one coroutine to its end, from code that is not asynchronous."""
    return asyncio.run(job)


class Session:
    """A conversation with one QEMU; made by :meth:`open`, ended by :meth:`close`.

    ``async with await Session.open(address) as session: …`` closes it in any case.
    """

    def __init__(self, client: QMPClient, name: str, version: QemuVersion) -> None:
        self._client = client
        #: What to call the other side in messages.
        self.name = name
        self.version = version

    def __repr__(self) -> str:
        return f"<Session {self.name} QEMU {self.version}>"

    @classmethod
    async def open(
        cls, address: Address, name: str = "", seconds: float = CONNECT_SECONDS
    ) -> Session:
        """Connect and negotiate.

        :param address: where the monitor is; a socket is taken over, also on failure.
        :param name: what to call it in messages; the address when empty.
        :param seconds: how long to wait for the greeting.
        :raise GlueError: one of its kinds, see :mod:`qmp_glue.errors`.
        """
        from qemu.qmp import ConnectError, QMPClient  # noqa: PLC0415  # 60 ms, only when needed

        # The library logs its troubles; ours are exceptions, and stderr belongs to the command.
        logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)
        shown = name or _show(address)
        client = QMPClient("guestmap")
        try:
            async with asyncio.timeout(seconds):
                await client.connect(address)
        except TimeoutError:
            await _hang_up(client)
            raise SilentError(
                f"{shown}: no greeting within {seconds:g} seconds",
                "a monitor serves one client at a time: another one may hold it;"
                " give QEMU a second -qmp socket",
            ) from None
        except ConnectError as error:
            await _hang_up(client)
            raise _connect_error(shown, error.exc) from error
        try:
            return cls(client, shown, _version(shown, client))
        except GarbageError:
            await _hang_up(client)
            raise

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        seconds: float = COMMAND_SECONDS,
    ) -> Any:  # JSON data is whatever QEMU sends
        """Run one command and return its ``return`` value, JSON data.

        :raise CommandError: QEMU refused it.
        :raise GlueError: the connection failed or was too slow.
        """
        from qemu.qmp import ExecuteError, QMPError  # noqa: PLC0415

        try:
            async with asyncio.timeout(seconds):
                return await self._client.execute(command, arguments)
        except TimeoutError:
            raise SilentError(
                f"{self.name}: no answer to {command} within {seconds:g} seconds"
            ) from None
        except ExecuteError as error:
            info = error.error.error
            raise CommandError(command, info.class_, info.desc) from None
        except (QMPError, OSError, EOFError) as error:
            raise LostError(
                f"{self.name}: the connection ended during {command} ({error})"
            ) from error

    async def text(self, line: str) -> str:
        """Run one line of the human monitor and return what it prints.

        :raise GlueError: as :meth:`execute`.
        """
        answer = await self.execute("human-monitor-command", {"command-line": line})
        if not isinstance(answer, str):
            raise GarbageError(f"{self.name}: '{line}' answered {type(answer).__name__}, not text")
        return answer

    async def close(self) -> None:
        """End the conversation; never fails."""
        await _hang_up(self._client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


async def _hang_up(client: QMPClient) -> None:
    """Let go of a connection in whatever state it is."""
    from qemu.qmp import QMPError  # noqa: PLC0415

    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.disconnect()
    except (TimeoutError, QMPError, OSError, EOFError):
        pass  # It is over either way; what mattered was raised before.


def _show(address: Address) -> str:
    if isinstance(address, str):
        return f"unix:{address}"
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "the monitor"


def _connect_error(name: str, cause: BaseException) -> GlueError:
    from qemu.qmp import QMPError  # noqa: PLC0415

    if isinstance(cause, EOFError | ConnectionResetError | BrokenPipeError):
        return LostError(f"{name}: the connection ended before any greeting")
    if isinstance(cause, OSError):
        return UnreachableError(
            f"{name}: {cause.strerror or cause}",
            "is QEMU running with -qmp at this address, and may this user open it?",
        )
    if isinstance(cause, QMPError | ValueError):
        reason = " ".join(str(cause).split())
        return GarbageError(f"{name}: what answered is not a QMP monitor ({reason[:200]})")
    return GarbageError(f"{name}: {cause}")


def _version(name: str, client: QMPClient) -> QemuVersion:
    greeting = client.greeting
    try:
        raw: Mapping[str, Any] = greeting.QMP.version if greeting else {}
        numbers = raw["qemu"]
        return QemuVersion(
            int(numbers["major"]),
            int(numbers["minor"]),
            int(numbers["micro"]),
            str(raw.get("package", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise GarbageError(f"{name}: the greeting has no QEMU version") from None
