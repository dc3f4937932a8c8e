"""The guard's side of the holder: what it is given, and the little it asks."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from qmp_glue.errors import LostError
from qmp_glue.guard.ledger import Ledger

__all__ = ["Held", "hold"]

_VARIABLE: Final = "GUESTMAP_GUARD_HELD"
_HOLDER: Final = Path(__file__).with_name("holder.py")
#: How long the holder may take to answer.
_SECONDS: Final = 10.0


class Held:
    """Descriptors that live as long as the holder does."""

    def __init__(self, fds: Mapping[str, int], qemu: int, *, started: bool) -> None:
        self.listener = socket.socket(fileno=fds["listen"])
        self.qmp = socket.socket(fileno=fds["qmp"])
        #: The client that the guard before this one had.
        self.client = socket.socket(fileno=fds["client"]) if "client" in fds else None
        self.ledger = Ledger(
            fds["memory"],
            (fds["client_read"], fds["client_write"]),
            (fds["qemu_read"], fds["qemu_write"]),
        )
        #: QEMU's process id.
        self.qemu = qemu
        #: Whether it was started for the guard, and ends with it.
        self.started = started
        #: Whether the holder is gone; another guard may be at its place already.
        self.orphaned = False
        self._control = socket.socket(fileno=fds["control"])
        self._status: asyncio.Future[int] | None = None

    @classmethod
    def inherited(cls) -> Held | None:
        """Return what a holder gave this process; None when there is none."""
        text = os.environ.pop(_VARIABLE, "")
        if not text:
            return None
        fds = json.loads(text)
        qemu, started = fds.pop("qemu"), fds.pop("started")
        for fd in fds.values():
            os.set_inheritable(fd, False)
        return cls(fds, qemu, started=started)

    def watch(self, lost: asyncio.Task[object]) -> None:
        """Listen to the holder; cancel *lost* should it go."""
        self._status = asyncio.get_running_loop().create_future()
        self._control.setblocking(False)

        def read() -> None:
            with contextlib.suppress(BlockingIOError):
                try:
                    word = self._control.recv(64)
                except ConnectionError:
                    word = b""
                if not word:
                    loop.remove_reader(self._control)
                    # As when a guard without a holder dies: QEMU runs on.
                    self.started = False
                    self.orphaned = True
                    lost.cancel()
                self._take(word)

        loop = asyncio.get_running_loop()
        loop.add_reader(self._control, read)

    def _take(self, word: bytes) -> None:
        if word.startswith(b"status ") and self._status and not self._status.done():
            self._status.set_result(int(word[7:]))

    async def status(self) -> int:
        """Wait for QEMU's end; return its exit status, negative for a signal."""
        assert self._status
        return await asyncio.shield(self._status)

    def accept(self) -> socket.socket | None:
        """Take the next client, which the holder then has, too; None when it went again.

        :raise LostError: the holder is gone.
        """
        self.ledger.forget_client()
        self._control.settimeout(_SECONDS)
        try:
            self._control.send(b"accept")
            while True:
                word, control, _, _ = self._control.recvmsg(64, socket.CMSG_SPACE(4))
                if word in {b"", b"none"}:
                    return None
                if word == b"client":
                    (fd,) = array.array("i", control[0][2])
                    os.set_inheritable(fd, False)
                    return socket.socket(fileno=fd)
                self._take(word)
        except OSError as error:
            raise LostError(f"the guard's holder does not answer: {error}") from error
        finally:
            self._control.setblocking(False)

    def gone(self) -> None:
        """Have the holder let go of the client."""
        with contextlib.suppress(OSError):
            self._control.send(b"gone")


def hold(listen: int, qmp: int, qemu: int, *, started: bool) -> Held:  # noqa: RET503  # execv() does not return
    """Become a holder, and return in a new process, which is the guard.

    :param qemu: QEMU's process id.
    :param started: whether it is a child of this process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    memory, to_client, to_qemu = Ledger.make()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fds = {
        "listen": listen,
        "qmp": qmp,
        "memory": memory,
        **dict(zip(("client_read", "client_write"), to_client, strict=True)),
        **dict(zip(("qemu_read", "qemu_write"), to_qemu, strict=True)),
    }
    guard = os.fork()
    if not guard:
        ours.close()
        return Held({**fds, "control": theirs.detach()}, qemu, started=started)
    theirs.close()
    told = {**fds, "control": ours.detach(), "qemu": qemu, "started": started}
    for fd in (*fds.values(), told["control"]):
        os.set_inheritable(fd, True)
    command = [sys.executable, *sys.orig_argv[1:]]
    words = ["-I", "-S", str(_HOLDER), json.dumps({**told, "guard": guard, "command": command})]
    os.execv(sys.executable, [sys.executable, *words])
