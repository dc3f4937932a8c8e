"""One end of a connection: bytes and file descriptors, in order.

asyncio's streams and transports lose descriptors, so the socket is driven directly: ``recvmsg``
and ``sendmsg`` under the event loop's readiness callbacks. A descriptor set belongs to the bytes
it was sent with: it is handed over with the chunk it ends, and sent with the first byte of the
message it goes with.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from qmp_glue.guard.ledger import Lane, Marks, Outlet

__all__ = ["Link", "close_all"]

#: Below the allocator's mmap threshold: larger reads cost page faults on every call.
_READ_BYTES: Final = 64 << 10
#: SCM_MAX_FD of Linux, the most one message can carry.
_MOST_FDS: Final = 253
_FD_SPACE: Final = socket.CMSG_SPACE(_MOST_FDS * array.array("i").itemsize)


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors, whatever state they are in."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


class Link:
    """A connected, non-blocking stream socket."""

    def __init__(
        self,
        sock: socket.socket,
        on_bytes: Callable[[bytes, list[int]], None],
        on_end: Callable[[OSError | None], None],
        lane: Lane | None = None,
        outlet: Outlet | None = None,
    ) -> None:
        """Take a connected socket.

        :param lane: where what is received is kept for the next guard.
        :param outlet: by which what is sent outlives this guard.
        """
        sock.setblocking(False)
        self._lane = lane
        self._outlet = outlet
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._on_bytes = on_bytes
        self._on_end = on_end
        self._unix = sock.family == socket.AF_UNIX
        self._queue: deque[tuple[memoryview, tuple[int, ...], Marks]] = deque()
        self._reading = False
        self._writing = False
        self._closing = False
        self._ended = False
        #: Bytes accepted by :meth:`send` and not yet taken by the kernel.
        self.backlog = 0
        #: Bytes the kernel has taken; a peer that reads makes this grow.
        self.sent = 0
        #: Called when the backlog has gone.
        self.on_drained: Callable[[], None] | None = None
        if outlet and outlet.waiting:
            self.backlog = outlet.waiting
            self._loop.call_soon(self._write)

    def __repr__(self) -> str:
        return f"<Link fd={self._sock.fileno()} backlog={self.backlog}>"

    @property
    def closed(self) -> bool:
        """Whether the connection is over."""
        return self._ended

    def peer_pid(self) -> int | None:
        """Return the peer's process id, None where the socket does not know it."""
        if not self._unix:
            return None
        try:
            raw = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return None
        return int.from_bytes(raw[:4], "little") or None

    def resume(self) -> None:
        """Start reading, or go on after :meth:`pause`."""
        if not (self._reading or self._ended or self._closing):
            self._reading = True
            self._loop.add_reader(self._sock, self._read)

    def pause(self) -> None:
        """Stop reading; the kernel's buffer then holds the peer back."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)

    @property
    def committed(self) -> bool:
        """Whether everything sent is on its way, whatever becomes of this guard."""
        return not self._queue

    def send(self, data: bytes, fds: Sequence[int] = (), marks: Marks = (0, 0)) -> None:
        """Send *data*, and *fds* with its first byte; the link closes them once they are sent.

        :param marks: what is done with once *data* is on its way.
        """
        if self._ended or self._closing or not data:
            close_all(fds)
            return
        self._queue.append((memoryview(data), tuple(fds), marks))
        self.backlog += len(data)
        if not self._writing:
            self._write()

    def close_when_sent(self) -> None:
        """Close after what is queued has gone; takes and sends nothing more."""
        self.pause()
        if self._outlet:
            # The next client needs it.
            rest, self._outlet = self._outlet.empty(), None
            self._queue.appendleft((memoryview(rest), (), (0, 0)))
        if self.backlog and not self._ended:
            self._closing = True
        else:
            self.close()

    def close(self) -> None:
        """Close at once. ``on_end`` is not called."""
        if self._ended:
            return
        self.pause()
        self._stop_writing()
        self._ended = True
        for _, fds, _ in self._queue:
            close_all(fds)
        self._queue.clear()
        self.backlog = 0
        with contextlib.suppress(OSError):
            # Closing alone does not end it while a holder has it, too.
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _end(self, error: OSError | None) -> None:
        if not self._ended:
            self.close()
            # Never from inside send(): the caller is in the middle of something.
            self._loop.call_soon(self._on_end, error)

    def _read(self) -> None:
        fds: list[int] = []
        try:
            if self._unix or self._lane:
                if self._lane:
                    data, control = self._lane.receive(self._sock, _FD_SPACE)
                else:
                    data, control, _, _ = self._sock.recvmsg(
                        _READ_BYTES, _FD_SPACE, socket.MSG_CMSG_CLOEXEC
                    )
                for level, kind, payload in control:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        whole = len(payload) - len(payload) % 4
                        fds += array.array("i", payload[:whole])
            else:
                data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._end(exc)
            return
        if data:
            self._on_bytes(data, fds)
            return
        close_all(fds)
        # The peer may only have stopped writing (socat, nc) and still read: the owner decides
        # when to close.
        self.pause()
        self._loop.call_soon(self._on_end, None)

    def _write(self) -> None:
        try:
            if self._outlet:
                self._write_through(self._outlet)
            while self._queue:
                data, fds, marks = self._queue[0]
                count = self._transmit(data, fds)
                self.backlog -= count
                self.sent += count
                if count < len(data):
                    self._queue[0] = (data[count:], (), marks)
                    raise BlockingIOError
                self._queue.popleft()
        except (BlockingIOError, InterruptedError):
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._sock, self._write)
            return
        except OSError as exc:
            self._end(exc)
            return
        self._stop_writing()
        if self._closing:
            self.close()
        elif self.on_drained:
            self.on_drained()

    def _write_through(self, outlet: Outlet) -> None:
        while self._queue or outlet.waiting:
            if not outlet.waiting:
                data, fds, marks = self._queue[0]
                if fds:
                    # A blank carries them; splice() cannot.
                    self._transmit(memoryview(b" "), fds)
                if len(data) > outlet.most:
                    outlet.put(data[: outlet.most], None)
                    self._queue[0] = (data[outlet.most :], (), marks)
                else:
                    outlet.put(data, marks)
                    self._queue.popleft()
            count = outlet.move(self._sock)
            self.backlog -= count
            self.sent += count

    def _transmit(self, data: memoryview, fds: tuple[int, ...]) -> int:
        if not (fds and self._unix):
            close_all(fds)
            return self._sock.send(data)
        rights = array.array("i", fds).tobytes()
        count = self._sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        close_all(fds)
        return count

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock)
