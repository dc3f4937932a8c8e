"""The guard in front of an inner QEMU, as its user starts it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit import LabError
from labkit.inner import Bench

__all__ = ["guard", "guard_command"]

_START_SECONDS = 20.0


def guard_command(qmp: Path, listen: Path, facts: Path | None) -> list[str]:
    """Return the words a person would type; without *facts* the guard is where QEMU is.

    With them it is outside the machine that QEMU runs in, whose processes it does not see.
    """
    command = ["guestmap", "guard", "--qmp", f"unix:{qmp}", "--listen", f"unix:{listen}"]
    return [*command, *(("--host", str(facts), "--elsewhere") if facts else ())]


@contextmanager
def guard(bench: Bench, facts: Path) -> Iterator[Path]:
    """Run ``guestmap guard`` before the inner QEMU; yield the socket to connect to.

    :raise LabError: it does not come up.
    """
    listen = bench.guest.folder / "guarded"
    log = bench.guest.folder / "guard.log"
    command = guard_command(bench.socket, listen, facts)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "planner.cli", *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
    try:
        limit = time.monotonic() + _START_SECONDS
        while not listen.exists():
            if process.poll() is not None or time.monotonic() > limit:
                raise LabError(f"guestmap guard did not come up: {log.read_text().strip()}")
            time.sleep(0.02)
        yield listen
    finally:
        process.terminate()
        process.wait(timeout=_START_SECONDS)
        listen.unlink(missing_ok=True)
