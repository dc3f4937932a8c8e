"""Memory backends on a command line: ``-object memory-backend-*``."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from planner.argv.split import Option
from planner.machine.options import qemu_bool, qemu_size
from planner.machine.request import RAM_BACKEND_ALIGN, Backend, MachineRefusedError
from planner.span import MIB

__all__ = ["NO_FILES", "FileFacts", "read_backends"]

_PAGE = 4096


def _unknown(path: str) -> int | None:
    del path
    return None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """How to ask about files, which this room does not open; None is what is not known."""

    #: Bytes of a firmware image as the guest sees it.
    image: Callable[[str], int | None] = _unknown
    #: Page size in bytes behind a memory backend's path.
    page: Callable[[str], int | None] = _unknown
    #: The file behind such a path; empty for a folder, where each backend gets a file of its own.
    file: Callable[[str], str] = posixpath.normpath


#: What is known of files without looking.
NO_FILES = FileFacts()


def read_backends(options: Iterable[Option], files: FileFacts) -> dict[str, Backend]:
    """Return the backends by id.

    :raise MachineRefusedError: one has no id or no size, or a size QEMU would refuse.
    """
    found: dict[str, Backend] = {}
    for option in options:
        name, size = option.keys.get("id", ""), option.keys.get("size", "")
        if not name or not size:
            raise MachineRefusedError(f"'{option}' has no id or no size", "give it both")
        align = _backend_align(option.keys["qom-type"], option.keys, files)
        shared = qemu_bool("share", option.keys.get("share", "off"))
        path = option.keys.get("mem-path", "")
        found[name] = Backend(
            name,
            qemu_size("size", size),
            align,
            files.file(path) if shared and path else "",
            qemu_size("offset", option.keys.get("offset", "0")),
        )
    return found


def _backend_align(kind: str, keys: Mapping[str, str], files: FileFacts) -> int | None:
    """Return a backend's alignment in bytes, None when it depends on a file that is not known.

    system/physmem.c: ``qemu_ram_alloc_internal()`` takes the host's 2 MiB, ``file_ram_alloc()`` the
    page size of the file or ``align=``, whichever is larger.
    """
    if kind == "memory-backend-ram":
        return RAM_BACKEND_ALIGN
    if kind == "memory-backend-memfd":
        if keys.get("hugetlb", "off") not in {"on", "yes", "true"}:
            return _PAGE
        return qemu_size("hugetlbsize", keys["hugetlbsize"]) if "hugetlbsize" in keys else 2 * MIB
    if kind == "memory-backend-shm":
        return _PAGE
    if kind != "memory-backend-file":
        return None
    page = files.page(keys.get("mem-path", ""))
    return None if page is None else max(page, qemu_size("align", keys.get("align", "0")))
