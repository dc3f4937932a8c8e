"""Reading what lies outside: never more than a limit, never waiting for what does not come."""

from __future__ import annotations

import errno
import os
import select
import stat

__all__ = ["MOST_BYTES", "checked_length", "read_file"]

#: Larger than anything this program is given to judge: a profile of 10 000 groups has 3 MiB.
MOST_BYTES = 64 << 20

#: Most of what is read is smaller; a larger buffer would cost more to make than the file to read.
_FIRST_READ = 4096
#: How often, and for how long each time, a FIFO that nobody has open to write is looked at.
_LOOKS, _LOOK_MS = 100, 50


def read_file(path: str, most: int = MOST_BYTES, *, waiting: bool = True) -> bytes:
    """Return a file's bytes.

    Regular files, pipes, FIFOs and devices are read alike, so ``<(program)`` and ``/dev/stdin``
    work and ``/dev/zero`` ends.

    :param waiting: whether a pipe may be waited for; a file in a copied tree has its text ready.
    :raise OSError: it cannot be opened or read, has more than *most* bytes, or is a FIFO that
        nobody writes to.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode if waiting else stat.S_IFREG
        if not stat.S_ISREG(mode):
            return _read_stream(descriptor, most, fifo=stat.S_ISFIFO(mode))
        parts = [os.read(descriptor, _FIRST_READ)]
        if len(parts[0]) == _FIRST_READ:
            size = _FIRST_READ
            while size <= most and (more := os.read(descriptor, 1 << 20)):
                parts.append(more)
                size += len(more)
        return checked_length(b"".join(parts), most)
    finally:
        os.close(descriptor)


def checked_length(data: bytes, most: int = MOST_BYTES) -> bytes:
    """Return what was read.

    :raise OSError: it has more than *most* bytes.
    """
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB")
    return data


def _read_stream(descriptor: int, most: int, *, fifo: bool) -> bytes:
    """Read what comes in pieces to its end; a writer that is there may take its time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    data = bytearray()
    looks = _LOOKS if fifo else 0
    while len(data) <= most:
        try:
            more = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            looks = 0
            poll.poll()
            continue
        data += more
        if more:
            looks = 0
        elif not looks:
            break
        elif poll.poll(_LOOK_MS):
            looks = 0
        else:
            looks -= 1
            if not looks:
                raise OSError(errno.ENXIO, "it is a FIFO that nobody writes to")
    return checked_length(bytes(data), most)
