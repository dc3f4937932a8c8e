"""Which process is the QEMU that answers: told by its threads, whatever it is called.

The pid a socket knows of its peer is that of who made the socket: a manager, a wrapper, a proxy.
QEMU names the threads of its CPUs (``query-cpus-fast``), and whose they are the kernel says. In
another pid namespace the numbers mean other threads: then nothing but a process that was started
from a QEMU's file counts, and where there is doubt the answer is that it cannot be told.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from qmp_glue.asks import Asks
from qmp_glue.errors import GlueError

__all__ = ["qemu_pid"]

_PROGRAM: Final = re.compile(r"qemu-system-.*|(qemu-)?kvm")
_OWNER: Final = re.compile(r"^Tgid:\s*(\d+)$", re.MULTILINE)
#: Words of a command line that may name the program: a loader's options come before it.
_WORDS: Final = 8


async def qemu_pid(asks: Asks, told: int | None) -> int | None:
    """Return QEMU's process id, None when it cannot be told.

    :param told: what the socket, or who started QEMU, says.
    """
    try:
        cpus = await asks.execute("query-cpus-fast")
        threads = {int(cpu["thread-id"]) for cpu in cpus}
    except (GlueError, KeyError, TypeError, ValueError):
        threads = set()
    if not threads:
        # Before it has CPUs (-preconfig), or it has none.
        return told if told and _is_qemu(told) else None
    owners = {_owner(thread) for thread in threads}
    owner = owners.pop()
    if owners or owner is None:
        return None
    return owner if owner == told or _is_qemu(owner) else None


def _owner(thread: int) -> int | None:
    try:
        found = _OWNER.search(Path(f"/proc/{thread}/status").read_text(encoding="utf-8"))
    except (OSError, UnicodeError):
        return None
    return int(found[1]) if found else None


def _is_qemu(pid: int) -> bool:
    """Say whether a process was started from a file called like a QEMU."""
    folder = Path(f"/proc/{pid}")
    try:
        names = [folder.joinpath("exe").readlink().name]
        words = folder.joinpath("cmdline").read_bytes().split(b"\0")[:_WORDS]
    except OSError:
        return False
    names += [Path(word.decode("utf-8", "replace")).name for word in words]
    return any(_PROGRAM.fullmatch(name) for name in names)
