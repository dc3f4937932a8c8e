"""One QMP conversation. The only module that imports qemu.qmp.

Every await has a time limit, everything that leaves is a frozen value or plain JSON data, and
every failure is a :class:`~qmp_glue.errors.GlueError`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qmp_glue.addresses import MonitorAddress, connect
from qmp_glue.asks import COMMAND_SECONDS, Asks, QemuVersion
from qmp_glue.errors import CommandError, GarbageError, GlueError, LostError, SilentError

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

__all__ = ["Session"]

#: Seconds to wait for the greeting.
CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 2.0


class Session(Asks):
    """A conversation with one QEMU; made by :meth:`open`, ended by :meth:`close`.

    ``async with await Session.open(address) as session: …`` closes it in any case.
    """

    def __init__(self, client: QMPClient, name: str, version: QemuVersion) -> None:
        self._client = client
        self.name = name
        self.version = version

    def __repr__(self) -> str:
        return f"<Session {self.name} QEMU {self.version}>"

    @classmethod
    async def open(
        cls,
        place: MonitorAddress | socket.socket,
        name: str = "",
        seconds: float = CONNECT_SECONDS,
    ) -> Session:
        """Connect and negotiate.

        :param place: where the monitor is, or one end of a socket pair, which is taken over, also
            on failure.
        :param name: what to call it in messages; the address when empty.
        :param seconds: how long to wait for the greeting.
        :raise GlueError: one of its kinds, see :mod:`qmp_glue.errors`.
        """
        from qemu.qmp import ConnectError, QMPClient  # noqa: PLC0415  # 60 ms, only when needed

        # The library logs its troubles; ours are exceptions, and stderr belongs to the command.
        logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)
        shown = name or (str(place) if isinstance(place, MonitorAddress) else "the monitor")
        sock = connect(place) if isinstance(place, MonitorAddress) else place
        client = QMPClient("guestmap")
        try:
            async with asyncio.timeout(seconds):
                await client.connect(sock)
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
            told = client.greeting.QMP.version if client.greeting else None
            return cls(client, shown, QemuVersion.read(told, shown))
        except GarbageError:
            await _hang_up(client)
            raise

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        seconds: float | None = COMMAND_SECONDS,
    ) -> Any:
        """Run one command; see :meth:`qmp_glue.asks.Asks.execute`."""
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


def _connect_error(name: str, cause: BaseException) -> GlueError:
    from qemu.qmp import QMPError  # noqa: PLC0415

    if isinstance(cause, EOFError | ConnectionResetError | BrokenPipeError):
        return LostError(f"{name}: the connection ended before any greeting")
    if isinstance(cause, OSError):
        return LostError(f"{name}: {cause.strerror or cause}")
    if isinstance(cause, QMPError | ValueError):
        reason = " ".join(str(cause).split())
        return GarbageError(f"{name}: what answered is not a QMP monitor ({reason[:200]})")
    return GarbageError(f"{name}: {cause}")
