"""Talks to systemd: sd_notify(3), its watchdog and its store, in a few lines of our own."""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Sequence

__all__ = ["has_store", "notify", "store", "unstore", "watchdog_seconds"]


def has_store() -> bool:
    """Say whether systemd keeps descriptors for this service (FileDescriptorStoreMax=)."""
    return os.environ.get("FDSTORE", "0") not in {"", "0"}


def store(name: str, fd: int) -> None:
    """Have systemd keep a descriptor; a restarted service gets it back by its name."""
    # FDPOLL=0: kept when the other end is gone, too; who is served next has to see that.
    notify((fd,), FDSTORE="1", FDNAME=name, FDPOLL="0")


def unstore(name: str) -> None:
    """Have systemd let go of a descriptor."""
    notify(FDSTOREREMOVE="1", FDNAME=name)


def notify(fds: Sequence[int] = (), **variables: str) -> None:
    """Send ``READY="1"`` and the like to systemd; nothing happens without it."""
    target = os.environ.get("NOTIFY_SOCKET", "")
    if not target.startswith(("/", "@")):
        return
    if target.startswith("@"):
        target = "\0" + target[1:]
    text = "\n".join(f"{name}={value}" for name, value in variables.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sock.sendmsg([text.encode()], rights, 0, target)


def watchdog_seconds() -> float | None:
    """Return how often systemd wants to hear from this process; None when it does not."""
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if pid != str(os.getpid()) or not microseconds.isdigit() or microseconds == "0":
        return None
    return int(microseconds) / 1_000_000
