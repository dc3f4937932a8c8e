"""A vhost-user backend that agrees to everything and does nothing.

The messages are those of docs/interop/vhost-user.rst, QEMU 10.0.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path

__all__ = ["VhostBackend"]

_REPLY, _WANTS_REPLY = 0x4, 0x8
_GET_FEATURES, _GET_VRING_BASE = 1, 11
_GET_PROTOCOL_FEATURES, _GET_QUEUE_NUM, _GET_CONFIG, _GET_MAX_MEM_SLOTS = 15, 17, 24, 36
#: VHOST_USER_F_PROTOCOL_FEATURES and VIRTIO_F_VERSION_1.
_FEATURES = 1 << 30 | 1 << 32
#: MQ, REPLY_ACK, CONFIG.
_PROTOCOL_FEATURES = 1 << 0 | 1 << 3 | 1 << 9
_NUMBERS = {
    _GET_FEATURES: _FEATURES,
    _GET_PROTOCOL_FEATURES: _PROTOCOL_FEATURES,
    _GET_QUEUE_NUM: 8,
    _GET_MAX_MEM_SLOTS: 8,
}


class VhostBackend:
    """Listens at a path until closed; serves one connection after the other."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        # Wakes accept(), which closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=_talk, args=(peer,), daemon=True).start()


def _talk(peer: socket.socket) -> None:
    with peer, contextlib.suppress(OSError, struct.error):
        while True:
            header, fds, _, _ = socket.recv_fds(peer, 12, 8)
            for fd in fds:
                os.close(fd)
            request, flags, size = struct.unpack("<III", header)
            payload = peer.recv(size, socket.MSG_WAITALL) if size else b""
            if (answer := _answer(request, flags, payload)) is not None:
                peer.sendall(struct.pack("<III", request, 1 | _REPLY, len(answer)) + answer)


def _answer(request: int, flags: int, payload: bytes) -> bytes | None:
    if request in _NUMBERS:
        return struct.pack("<Q", _NUMBERS[request])
    if request in {_GET_VRING_BASE, _GET_CONFIG}:
        return payload
    return struct.pack("<Q", 0) if flags & _WANTS_REPLY else None
