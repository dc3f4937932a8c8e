"""Talks to systemd: sd_notify(3) and the watchdog, in a few lines of our own."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["notify", "watchdog_seconds"]


def notify(**variables: str) -> None:
    """Send ``READY="1"`` and the like to systemd; nothing happens without it."""
    target = os.environ.get("NOTIFY_SOCKET", "")
    if not target.startswith(("/", "@")):
        return
    if target.startswith("@"):
        target = "\0" + target[1:]
    text = "\n".join(f"{name}={value}" for name, value in variables.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.sendto(text.encode(), target)


def watchdog_seconds() -> float | None:
    """Return how often systemd wants to hear from this process; None when it does not."""
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if pid != str(os.getpid()) or not microseconds.isdigit() or microseconds == "0":
        return None
    return int(microseconds) / 1_000_000
