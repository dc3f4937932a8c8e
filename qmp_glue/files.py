"""Facts about files on a command line: how large an image is, which pages a path has."""

from __future__ import annotations

import os
from pathlib import Path

from planner.argv.backends import FileFacts

__all__ = ["FILES", "backing_file", "image_size", "page_size"]

_QCOW2_MAGIC = b"QFI\xfb"
_PAGE = 4096


def image_size(path: str) -> int | None:
    """Return the size in bytes that a guest sees of a raw or qcow2 image, None if unreadable.

    qcow2 keeps it big-endian at byte 24 of its header (QEMU docs/interop/qcow2.rst).
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(32)
            if head.startswith(_QCOW2_MAGIC) and len(head) == 32:
                return int.from_bytes(head[24:32], "big")
            return file.seek(0, os.SEEK_END)
    except OSError:
        return None


def page_size(path: str) -> int | None:
    """Return the page size behind a memory backend's path: that of its hugetlbfs, else 4 KiB.

    util/mmap-alloc.c ``qemu_fd_getpagesize()``, QEMU 7.2. None when the mounts cannot be read.
    """
    real = os.path.realpath(path)
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    if kind != "hugetlbfs":
        return _PAGE
    try:
        return os.statvfs(best).f_bsize
    except OSError:
        return None


def backing_file(path: str) -> str:
    """Return the file behind a memory backend's path, links followed; empty for a folder.

    In a folder each backend makes a file of its own (system/physmem.c ``file_ram_open()``, 7.2).
    """
    return "" if Path(path).is_dir() else os.path.realpath(path)


#: This machine's files.
FILES = FileFacts(image_size, page_size, backing_file)
