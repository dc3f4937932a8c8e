"""The blocking QMP client of the lab, the benches and the tests: no judgement, no retries.

It sees bytes, says when QEMU is gone, and shares nothing with what is measured or tested.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Self

__all__ = ["Client", "GoneError", "Reply"]

#: Adding an assigned device takes seconds under TCG within TCG.
_SECONDS = 60.0

#: What QEMU answered: its return value, or None and the error's words.
Reply = tuple[Any, str]


class GoneError(ConnectionError):
    """The monitor closed: QEMU has ended."""


class Client:
    """One connection to a monitor, or to a guard in its place."""

    def __init__(
        self, path: Path | str, *, caps: bool = True, oob: bool = False, seconds: float = _SECONDS
    ) -> None:
        """Connect and, with *caps*, negotiate."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)
        self._rest = b""
        self._count = 0
        #: Events that came before a reply that was waited for.
        self.events: list[dict[str, Any]] = []
        try:
            self.sock.connect(str(path))
            if caps:
                self.greeting = self.message()
                enable = {"enable": ["oob"]} if oob else {}
                assert self.command("qmp_capabilities", **enable) == {"return": {}}
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are.

        :raise GoneError: QEMU ended.
        """
        try:
            self.sock.sendall(data)
        except ConnectionError as error:
            raise GoneError from error

    def line(self) -> bytes:
        """Return the next message as bytes; empty at the end."""
        while b"\n" not in self._rest:
            data = self.sock.recv(1 << 20)
            if not data:
                rest, self._rest = self._rest, b""
                return rest
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    def message(self) -> dict[str, Any]:
        """Return the next message.

        :raise GoneError: there is none.
        """
        try:
            data = self.line()
        except ConnectionError as error:
            raise GoneError from error
        if not data:
            raise GoneError
        found: dict[str, Any] = json.loads(data)
        return found

    def reply(self) -> dict[str, Any]:
        """Return the next message that is no event."""
        while "event" in (found := self.message()):
            self.events.append(found)
        return found

    def ask(self, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a command; return the reply without its id.

        :raise GoneError: QEMU ended.
        """
        self._count += 1
        told: dict[str, Any] = {"execute": command, "id": self._count}
        if arguments:
            told["arguments"] = arguments
        self.send(json.dumps(told).encode())
        found = self.reply()
        assert found.pop("id") == self._count
        return found

    def command(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Run a command as :meth:`ask` does; ``_`` in a key stands for ``-``."""
        return self.ask(name, {key.replace("_", "-"): each for key, each in arguments.items()})

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Reply:
        """Run a command as :meth:`ask` does, and take the reply apart."""
        found = self.ask(command, arguments)
        return found.get("return"), str(found["error"]["desc"]) if "error" in found else ""

    def ended(self) -> bool:
        """Wait for the peer to close; say whether it did."""
        try:
            while self.line():
                pass
        except ConnectionError:
            pass
        return True
