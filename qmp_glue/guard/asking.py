"""One face for asking QEMU, whether over the guard's connection or a session of one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from qmp_glue.errors import CommandError, GarbageError, LostError
from qmp_glue.guard.monitor import Monitor, MonitorError, RefusedError
from qmp_glue.guard.verdicts import PassedFd
from qmp_glue.guard.verdicts import Session as GuardSession
from qmp_glue.session import QemuVersion, Session

__all__ = ["Asking", "asking"]


class Asking:
    """Has what :class:`qmp_glue.session.Session` has for asking, over the guard's connection."""

    def __init__(self, session: GuardSession, greeting: bytes) -> None:
        self._session = session
        self.name = "the monitor"
        self.version = _version(greeting)

    @property
    def passed(self) -> Mapping[str, PassedFd]:
        """Descriptors the client has passed, by name."""
        return self._session.passed

    @property
    def peer_pid(self) -> int | None:
        """QEMU's process id, where the socket knows it."""
        return self._session.peer_pid

    async def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, seconds: float = 10.0
    ) -> Any:  # JSON data is whatever QEMU sends
        """Run one command and return its ``return`` value.

        :raise GlueError: QEMU refused it, or did not answer.
        """
        try:
            return await self._session.execute(command, arguments, timeout=seconds)
        except RefusedError as exc:
            raise CommandError(command, "GenericError", str(exc)) from None
        except MonitorError as exc:
            raise LostError(str(exc)) from None

    async def text(self, line: str) -> str:
        """Run one line of the human monitor and return what it prints.

        :raise GlueError: as :meth:`execute`.
        """
        answer = await self.execute("human-monitor-command", {"command-line": line})
        if not isinstance(answer, str):
            raise GarbageError(f"'{line}' answered {type(answer).__name__}, not text")
        return answer


def asking(session: GuardSession) -> Session:
    """Return the session in the form the readers of the map take."""
    greeting = session.greeting if isinstance(session, Monitor) else b""
    # Structurally the same; the readers ask and nothing else.
    return cast("Session", Asking(session, greeting))


def _version(greeting: bytes) -> QemuVersion:
    try:
        told = json.loads(greeting)["QMP"]["version"]
        numbers = told["qemu"]
        return QemuVersion(
            int(numbers["major"]),
            int(numbers["minor"]),
            int(numbers["micro"]),
            str(told.get("package", "")),
        )
    except (ValueError, KeyError, TypeError):
        return QemuVersion(0, 0, 0, "")
