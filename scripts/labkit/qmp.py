"""A bare QMP client: no judgement, no retries; it says when QEMU is gone."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Client", "GoneError", "Reply"]

#: Adding an assigned device takes seconds under TCG within TCG.
_SECONDS = 60.0

#: What QEMU answered: its return value, or None and the error's words.
Reply = tuple[Any, str]


class GoneError(Exception):
    """The monitor closed: QEMU has ended."""


class Client:
    """One connection to a monitor, or to a guard in its place."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self._read()
        self.execute("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Reply:
        """Run a command.

        :raise GoneError: QEMU ended.
        """
        asked: dict[str, Any] = {"execute": command}
        if arguments is not None:
            asked["arguments"] = arguments
        try:
            self._socket.sendall(json.dumps(asked).encode() + b"\n")
        except OSError as error:
            raise GoneError from error
        while True:
            said = self._read()
            if "return" in said:
                return said["return"], ""
            if "error" in said:
                return None, str(said["error"]["desc"])

    def _read(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except ConnectionError as error:
            raise GoneError from error
        if not line:
            raise GoneError
        said = json.loads(line)
        assert isinstance(said, dict)
        return said
