"""QEMU as libvirt starts it, with the guard as its emulator."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kit import ROOT
from kit.guard import HOLE

#: As libvirt 9.0 writes it.
MONITOR = (
    *("-chardev", "socket,id=charmonitor,fd=24,server=on,wait=off"),
    *("-mon", "chardev=charmonitor,id=monitor,mode=control"),
)


@contextlib.contextmanager
def started(
    tmp_path: Path,
    *more: str,
    program: str = "qemu-system-x86_64",
    monitor: Sequence[str] = MONITOR,
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a guarded QEMU as libvirt does: it listens, and passes the descriptor."""
    path, host = tmp_path / "monitor.sock", tmp_path / "host.txt"
    host.write_text(HOLE)
    guard = ["guard", "--libvirt", "--host", host, "--scope", "host", "--log", tmp_path / "log"]
    with socket.socket(socket.AF_UNIX) as sock, (tmp_path / "err").open("w") as err:
        sock.bind(str(path))
        sock.listen(1)
        fd = sock.fileno()
        qemu = [program, "-S", "-display", "none", "-nodefaults", "-M", "q35"]
        qemu += ["-m", "256M,slots=8,maxmem=8G", *more]
        qemu += [word.replace("fd=24", f"fd={fd}") for word in monitor]
        process = subprocess.Popen(
            [sys.executable, "-m", "planner.cli", *map(str, guard), "--", *qemu],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            pass_fds=(fd,),
            text=True,
        )
    try:
        yield process, path
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def guard_of(folder: Path) -> int:
    """Return the pid of the guard that writes the log in *folder*."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if os.fsencode(folder / "log") in words:
                    return int(entry.name)
    return 0
