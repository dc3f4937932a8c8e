"""What a guard that is killed leaves to the next one: memory and pipes that a holder keeps open.

Nothing a guard has read is lost, and nothing it has sent is sent twice, at whatever instruction it
dies:

- What arrives is received straight into shared memory (:class:`Lane`), in one system call. The
  memory behind it is zero and no JSON holds a zero byte, so how much arrived need not be noted.
- What leaves is written whole into an empty pipe and moved on by splice(2) (:class:`Outlet`). A
  pipe that is not empty holds the rest, so how much has gone need not be noted either.

Messages are counted, not marked: a *mark* is how many of a peer's messages are done with. The next
guard reads the lanes again, skips those, and goes on with the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import socket
import struct
import termios
from dataclasses import asdict
from typing import Any, Final

from qmp_glue.guard.verdicts import PassedFd

__all__ = ["Lane", "Ledger", "Marks", "Outlet"]

#: Of one lane. Past it (a huge message in pieces) the client is let go when the guard is killed.
_LANE_BYTES: Final = 4 << 20
_READ_BYTES: Final = 64 << 10
_PIPE_BYTES: Final = 1 << 20
_WORD: Final = struct.Struct("<Q")
_PAIR: Final = struct.Struct("<QQ")
#: Words of the head: what is done (client's, QEMU's), then by outlet what its content does.
_CLIENT, _QEMU, _NEGOTIATED, _OPENED = 0, 8, 16, 24
_INTENT: Final = 32
_LANES: Final = 64
_NOTES: Final = 128
_NOTES_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 128 + _NOTES_BYTES

Marks = tuple[int, int]


class Lane:
    """What one peer has sent, from the first message that is not done with."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self._memory = ledger.memory
        self._word = _LANES + number * 8
        self._done = (_CLIENT, _QEMU)[number]
        self._base = _HEAD_BYTES + number * _LANE_BYTES
        last = self._base + _LANE_BYTES - 1
        found = self._memory.find(b"\0", self._base + self._start, last)
        self._end = found if found >= 0 else last
        #: Messages read since the peer came, those of the guard before this one included.
        self.count = self.first

    @property
    def _start(self) -> int:
        return self._get(self._word) & 0xFFFFFF

    @property
    def first(self) -> int:
        """The number of the first message in the lane."""
        return self._get(self._word) >> 24

    @property
    def done(self) -> int:
        """How many messages are done with."""
        return self._get(self._done)

    def _get(self, at: int) -> int:
        word: int = _WORD.unpack_from(self._memory, at)[0]
        return word

    @property
    def spoilt(self) -> bool:
        """Whether bytes were read that the lane does not hold: the next guard cannot go on."""
        return self._memory[self._base + _LANE_BYTES - 1] != 0

    def spoil(self) -> None:
        """Note that the next guard cannot go on with this peer."""
        self._memory[self._base + _LANE_BYTES - 1] = 1

    def content(self) -> bytes:
        """Return what has been sent and is not yet forgotten."""
        return self._memory[self._base + self._start : self._end]

    def receive(self, sock: socket.socket, control: int) -> tuple[bytes, list[Any]]:
        """Receive, as ``recvmsg`` does."""
        room = self._base + _LANE_BYTES - 1 - self._end
        if room < _READ_BYTES:
            self.spoil()
            data, more, _, _ = sock.recvmsg(_READ_BYTES, control, socket.MSG_CMSG_CLOEXEC)
            return data, more
        with memoryview(self._memory) as view, view[self._end : self._end + _READ_BYTES] as part:
            size, more, _, _ = sock.recvmsg_into([part], control, socket.MSG_CMSG_CLOEXEC)
            data = bytes(part[:size])
        if b"\0" in data:
            # No message of anybody's; but from here on the end cannot be seen.
            self.spoil()
        self._end += size
        return data, more

    def pass_all(self) -> None:
        """Note that every message read is done with."""
        _WORD.pack_into(self._memory, self._done, self.count)

    def tidy(self, pending: int) -> None:
        """Forget what is done with, when everything is but the beginning of a message.

        :param pending: bytes of that beginning; negative when it is not known.
        """
        if pending < 0 or self.done < self.count:
            return
        if self.spoilt:
            if pending:
                return
            self._clear(self._end + _READ_BYTES)
            self._memory[self._base + _LANE_BYTES - 1] = 0
        elif self._end - self._base < _LANE_BYTES // 2:
            # One store, so that both are changed or none.
            self._set(self._end - self._base - pending)
        elif pending < _LANE_BYTES // 4:
            tail = self._memory[self._end - pending : self._end]
            dead, old = self._end - pending - self._base, self._end
            self._set(dead)
            self._memory[self._base : self._base + dead] = tail.ljust(dead, b"\0")
            self._set(0)
            self._memory[self._base + dead : old] = bytes(pending)
            self._end = self._base + pending

    def _set(self, start: int) -> None:
        _WORD.pack_into(self._memory, self._word, self.count << 24 | start)

    def _clear(self, end: int) -> None:
        end = min(end, self._base + _LANE_BYTES - 1)
        self._memory[self._base : end] = bytes(end - self._base)
        self._set(0)
        self._end = self._base

    def restart(self) -> None:
        """Begin anew, for another peer; the first message is the greeting to it."""
        _WORD.pack_into(self._memory, self._done, 0)
        self.count = 1
        self._clear(self._base + _LANE_BYTES - 1 if self.spoilt else self._end)
        self._memory[self._base + _LANE_BYTES - 1] = 0


class Outlet:
    """A pipe on the way to one peer."""

    def __init__(self, ledger: Ledger, number: int, pipe: tuple[int, int]) -> None:
        self._memory = ledger.memory
        self._spoil = ledger.from_client.spoil
        self._intent = _INTENT + number * 16
        self._read, self._write = pipe
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        #: The most that may be put at once.
        self.most = fcntl.fcntl(self._write, fcntl.F_GETPIPE_SZ)
        waiting = fcntl.ioctl(self._read, termios.FIONREAD, bytes(4))
        #: Bytes in the pipe.
        self.waiting = int.from_bytes(waiting, "little")
        if self.waiting:
            self._commit()

    def put(self, data: bytes | memoryview, marks: Marks | None) -> None:
        """Put *data* into the empty pipe; *marks* hold from then on.

        :param marks: None for a piece of what is longer than :attr:`most`. A guard that dies in the
            midst of that leaves a client that cannot be served on.
        """
        if marks is None:
            self._spoil()
        _PAIR.pack_into(self._memory, self._intent, *(marks or (0, 0)))
        self.waiting = os.write(self._write, data)
        self._commit()

    def _commit(self) -> None:
        for at, mark in zip(
            (_CLIENT, _QEMU), _PAIR.unpack_from(self._memory, self._intent), strict=True
        ):
            if mark > _WORD.unpack_from(self._memory, at)[0]:
                _WORD.pack_into(self._memory, at, mark)

    def move(self, sock: socket.socket) -> int:
        """Move on what the peer takes; return how many bytes.

        :raise OSError: the peer takes nothing now, or is gone.
        """
        count = os.splice(self._read, sock.fileno(), self.waiting, flags=os.SPLICE_F_NONBLOCK)
        self.waiting -= count
        return count

    def empty(self) -> bytes:
        """Return what the peer has not taken, and forget it."""
        size, self.waiting = self.waiting, 0
        return os.read(self._read, size) if size else b""


class Ledger:
    """The memory and the pipes, and a few facts."""

    def __init__(self, fd: int, to_client: tuple[int, int], to_qemu: tuple[int, int]) -> None:
        self.memory = mmap.mmap(fd, _HEAD_BYTES + 2 * _LANE_BYTES)
        self.from_client = Lane(self, 0)
        self.from_qemu = Lane(self, 1)
        self.to_client = Outlet(self, 0, to_client)
        self.to_qemu = Outlet(self, 1, to_qemu)

    @staticmethod
    def make() -> tuple[int, tuple[int, int], tuple[int, int]]:
        """Return descriptors for a new one."""
        fd = os.memfd_create("guestmap-guard")
        os.ftruncate(fd, _HEAD_BYTES + 2 * _LANE_BYTES)
        return fd, os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC), os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def forget_client(self) -> None:
        """Be ready for the next client."""
        self.to_client.empty()
        _WORD.pack_into(self.memory, _NEGOTIATED, 0)
        self.from_client.restart()

    @property
    def negotiated(self) -> int:
        """Twice the mark at which the client had negotiated, and 1 with oob; 0 before."""
        word: int = _WORD.unpack_from(self.memory, _NEGOTIATED)[0]
        return word

    @negotiated.setter
    def negotiated(self, word: int) -> None:
        _WORD.pack_into(self.memory, _NEGOTIATED, word)

    def note(self, **facts: Any) -> None:
        """Keep small facts for the next guard."""
        known = self.notes()
        text = json.dumps({**known, **facts}).encode()
        if len(text) < _NOTES_BYTES // 2:
            # Into the half that is not valid; then the word that says which is.
            half = 1 - (_WORD.unpack_from(self.memory, _OPENED)[0] & 1)
            at = _NOTES + half * (_NOTES_BYTES // 2)
            self.memory[at : at + len(text)] = text
            _WORD.pack_into(self.memory, _OPENED, len(text) << 1 | half)

    def notes(self) -> dict[str, Any]:
        """Return the facts kept."""
        word: int = _WORD.unpack_from(self.memory, _OPENED)[0]
        at = _NOTES + (word & 1) * (_NOTES_BYTES // 2)
        told: dict[str, Any] = json.loads(self.memory[at : at + (word >> 1)] or b"{}")
        return told

    def note_passed(self, passed: dict[str, PassedFd]) -> None:
        """Keep what the descriptors are that QEMU knows by name."""
        self.note(passed={name: asdict(each) for name, each in passed.items()})

    def passed(self) -> dict[str, PassedFd]:
        """Return them."""
        return {name: PassedFd(**each) for name, each in self.notes().get("passed", {}).items()}
