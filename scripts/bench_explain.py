"""``guestmap explain`` of journals of 1, 4 and 16 MB.

Four times the journal is to take four times the time, and no more memory. One journal is a host's,
where a line in a hundred is of VFIO; in the worst every line is, and none is known.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CALM = "Nov 24 14:24:{0:02} host systemd[1]: Started session {1} of user root, without trouble.\n"
VFIO = "Nov 24 14:24:{0:02} host kernel: vfio-pci 0000:{1:02x}:00.0: enabling device (0 -> 3)\n"


def write(path: Path, megabytes: int, one_in: int) -> None:
    """Write a journal in which one line in so many is VFIO's."""
    with path.open("w") as file:
        size = number = 0
        while size < megabytes << 20:
            line = VFIO if number % one_in == 0 else CALM
            size += file.write(line.format(number % 60, number % 256))
            number += 1


def explain(path: Path) -> tuple[float, int]:
    """Return the seconds that explain takes, and the most KiB that it has."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "planner.cli", "explain", str(path)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 1:
        raise SystemExit(f"explain ended with {process.returncode}, not with nothing known")
    return time.perf_counter() - start, used.ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 4, 16])
    sizes = parser.parse_args().megabytes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        for name, one_in in (("a host's", 100), ("the worst", 1)):
            first: tuple[float, int] | None = None
            for megabytes in sizes:
                write(path, megabytes, one_in)
                seconds, kib = explain(path)
                first = first or (seconds, kib)
                print(
                    f"{name} journal of {megabytes:3} MB: {seconds:6.2f} s"
                    f" ({seconds / first[0]:5.1f} x), {kib >> 10} MiB ({kib / first[1]:.2f} x)"
                )


if __name__ == "__main__":
    main()
