"""What systemd keeps for a guard that is a service: the same as a holder does elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final, Self

from qmp_glue.guard.ledger import Ledger
from qmp_glue.guard.systemd import store, unstore

__all__ = ["PREFIX", "Stored"]

#: Of the descriptors' names, so that they are told from sockets systemd listens at.
PREFIX: Final = "guestmap-"
_LISTEN, _CLIENT, _QMP = "guestmap-listen", "guestmap-client", "guestmap-qmp"
_LEDGER: Final = tuple(f"guestmap-{n}" for n in ("memory", "out-r", "out-w", "in-r", "in-w"))


class Stored:
    """Descriptors in systemd's store, for one connection to QEMU."""

    def __init__(self, listener: socket.socket, qmp: socket.socket, fds: Mapping[str, int]) -> None:
        self.qmp = qmp
        self._listener = listener
        self._fds = tuple(fds[name] for name in _LEDGER)
        memory, *pipes = self._fds
        self.ledger = Ledger(memory, (pipes[0], pipes[1]), (pipes[2], pipes[3]))
        #: The client that the guard before this one had.
        self.client = socket.socket(fileno=fds[_CLIENT]) if _CLIENT in fds else None

    @classmethod
    def begin(cls, listener: socket.socket, qmp: socket.socket) -> Self:
        """Have systemd keep a new connection to QEMU, and where clients connect."""
        memory, to_client, to_qemu = Ledger.make()
        fds = dict(zip(_LEDGER, (memory, *to_client, *to_qemu), strict=True))
        for name, fd in {_LISTEN: listener.fileno(), _QMP: qmp.fileno(), **fds}.items():
            store(name, fd)
        return cls(listener, qmp, fds)

    @classmethod
    def again(cls, listener: socket.socket, fds: Mapping[str, int]) -> Self | None:
        """Take up what systemd kept; None when that is not enough."""
        if not {_QMP, *_LEDGER} <= fds.keys():
            return None
        return cls(listener, socket.socket(fileno=fds[_QMP]), fds)

    @staticmethod
    def listener(fds: Mapping[str, int]) -> socket.socket | None:
        """Return the socket at which the guard before this one listened."""
        return socket.socket(fileno=fds[_LISTEN]) if _LISTEN in fds else None

    def accept(self) -> socket.socket | None:
        """Take the next client."""
        self.ledger.forget_client()
        sock, _ = self._listener.accept()
        store(_CLIENT, sock.fileno())
        return sock

    def gone(self) -> None:
        """Let go of the client."""
        unstore(_CLIENT)

    def end(self) -> None:
        """Let go of everything but the listening socket: QEMU is gone."""
        for name in (_CLIENT, _QMP, *_LEDGER):
            unstore(name)
        self.ledger.memory.close()
        for fd in self._fds:
            with contextlib.suppress(OSError):
                os.close(fd)
