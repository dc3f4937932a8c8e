"""The guest's agent (qemu-ga), asked over the socket of its virtio-serial port.

Stale answers are the rule there: what the agent says goes to whoever is connected next, so nothing
counts before the answer to one's own sync (qga/qapi-schema.json ``guest-sync-delimited``, QEMU
7.2). A socket serves one client; a second one connects and hears nothing.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from qmp_glue.addresses import MonitorAddress, connect
from qmp_glue.errors import CommandError, GarbageError, LostError, SilentError

__all__ = ["AGENT_SECONDS", "Agent", "MemoryBlock"]

#: How long the agent may take for one answer.
AGENT_SECONDS = 5.0
#: More than this before an answer, and it is no agent.
_MAX_BYTES = 16 << 20
_SENTINEL = b"\xff"


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """One memory block of the guest: its address is index times the size of a block."""

    index: int
    online: bool


@dataclass(slots=True)
class Agent:
    """A conversation with an agent; made by :meth:`open`."""

    name: str
    _socket: socket.socket
    _seconds: float
    _buffer: bytearray = field(default_factory=bytearray)

    @classmethod
    def open(cls, address: MonitorAddress, seconds: float = AGENT_SECONDS) -> Self:
        """Connect, and skip what was said to others.

        :raise UnreachableError: there is no such socket.
        :raise GlueError: nobody answers, or no agent.
        """
        made = cls(f"the agent at {address}", connect(address), seconds)
        try:
            made._sync()
        except BaseException:
            made.close()
            raise
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _sync(self) -> None:
        number = secrets.randbelow(1 << 31)
        asked = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        # The byte makes the agent forget half a request of somebody else's.
        self._send(_SENTINEL + json.dumps(asked).encode() + b"\n", "guest-sync-delimited")
        end, read = time.monotonic() + self._seconds, 0
        while read < _MAX_BYTES:
            line = self._line(end, "guest-sync-delimited")
            read += len(line) + 1
            if _json(line.rpartition(_SENTINEL)[2]) == {"return": number}:
                return
        raise GarbageError(f"{self.name}: what answers is no agent")

    def ask(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run one command and return what it answers, JSON data.

        :raise CommandError: the agent refused it.
        :raise GlueError: it did not answer.
        """
        asked: dict[str, Any] = {"execute": command}
        if arguments:
            asked["arguments"] = dict(arguments)
        self._send(json.dumps(asked).encode() + b"\n", command)
        answer = _json(self._line(time.monotonic() + self._seconds, command))
        if isinstance(answer, dict) and "return" in answer:
            return answer["return"]
        try:
            error = answer["error"]
            raise CommandError(command, str(error["class"]), str(error["desc"]))
        except (KeyError, TypeError):
            raise GarbageError(f"{self.name}: {command} answered something else") from None

    def block_bytes(self) -> int:
        """Return the size of a memory block."""
        told = self.ask("guest-get-memory-block-info")
        size = told.get("size") if isinstance(told, dict) else None
        if not isinstance(size, int) or size <= 0:
            raise GarbageError(f"{self.name}: told no size of a memory block")
        return size

    def blocks(self) -> list[MemoryBlock]:
        """Return the memory blocks that the guest has, lowest first."""
        told = self.ask("guest-get-memory-blocks")
        try:
            found = [MemoryBlock(int(each["phys-index"]), bool(each["online"])) for each in told]
        except (KeyError, TypeError, ValueError):
            raise GarbageError(f"{self.name}: told no list of memory blocks") from None
        return sorted(found, key=lambda block: block.index)

    def bring_online(self, indexes: list[int]) -> dict[int, str]:
        """Bring blocks online; return why, for those that would not."""
        wanted = [{"phys-index": index, "online": True} for index in indexes]
        told = self.ask("guest-set-memory-blocks", {"mem-blks": wanted})
        try:
            return {
                int(each["phys-index"]): f"{each['response']}, error {each.get('error-code', 0)}"
                for each in told
                if each["response"] != "success"
            }
        except (KeyError, TypeError, ValueError):
            raise GarbageError(f"{self.name}: did not tell what became of the blocks") from None

    def _send(self, data: bytes, command: str) -> None:
        try:
            self._socket.settimeout(self._seconds)
            self._socket.sendall(data)
        except TimeoutError:
            raise SilentError(f"{self.name}: takes no {command}") from None
        except OSError as error:
            raise LostError(f"{self.name}: the connection ended ({error})") from error

    def _line(self, end: float, command: str) -> bytes:
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            try:
                if left <= 0 or len(self._buffer) > _MAX_BYTES:
                    raise TimeoutError
                self._socket.settimeout(left)
                got = self._socket.recv(1 << 16)
            except TimeoutError:
                raise SilentError(
                    f"{self.name}: no answer to {command} within {self._seconds:g} seconds"
                ) from None
            except OSError as error:
                raise LostError(f"{self.name}: the connection ended ({error})") from error
            if not got:
                raise LostError(f"{self.name}: the connection ended during {command}")
            self._buffer += got
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
