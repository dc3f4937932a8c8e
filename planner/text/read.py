"""Reading what lies outside: never more than a limit, never waiting for what does not come."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator

__all__ = ["MOST_BYTES", "checked_length", "read_file", "read_pieces"]

#: Larger than anything this program is given to judge: a profile of 10 000 groups has 3 MiB.
MOST_BYTES = 64 << 20

#: Most of what is read is smaller; a larger buffer would cost more to make than the file to read.
_FIRST_BYTES, _PIECE_BYTES = 4096, 1 << 20
#: How often, and for how long each time, a FIFO that nobody has open to write is looked at.
_LOOKS, _LOOK_MS = 100, 50


def read_file(path: str, most: int = MOST_BYTES, *, waiting: bool = True) -> bytes:
    """Return a file's bytes.

    :param waiting: as for :func:`read_pieces`.
    :raise OSError: it cannot be opened or read, has more than *most* bytes, or is a FIFO that
        nobody writes to.
    """
    data = bytearray()
    for piece in read_pieces(path, waiting=waiting):
        data += checked_length(piece, most - len(data), most)
    return bytes(data)


def checked_length(data: bytes, left: int = MOST_BYTES, most: int = MOST_BYTES) -> bytes:
    """Return what was read.

    :param left: how many bytes of *most* it may have.
    :raise OSError: it has more.
    """
    if len(data) > left:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB")
    return data


def read_pieces(path: str, *, waiting: bool = True) -> Iterator[bytes]:
    """Yield a file's bytes as they come, up to a mebibyte at a time.

    Regular files, pipes, FIFOs and devices are read alike, so ``<(program)`` and ``/dev/stdin``
    work. A writer that is there may take its time.

    :param waiting: whether a pipe may be waited for; a file in a copied tree has its text ready.
    :raise OSError: it cannot be opened or read, or is a FIFO that nobody writes to.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        fifo = waiting and stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        looks, size = _LOOKS if fifo else 0, _FIRST_BYTES
        # A short piece is not the last: files of /proc tell what fits into a page.
        while (piece := _piece(descriptor, size, waiting=waiting)) or looks:
            if piece:
                yield piece
                looks, size = 0, _PIECE_BYTES
            elif _ready(descriptor, _LOOK_MS):
                looks = 0
            elif looks == 1:
                raise OSError(errno.ENXIO, "it is a FIFO that nobody writes to")
            else:
                looks -= 1
    finally:
        os.close(descriptor)


def _piece(descriptor: int, size: int, *, waiting: bool) -> bytes:
    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            if not waiting:
                raise
            _ready(descriptor, None)


def _ready(descriptor: int, milliseconds: int | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(milliseconds))
