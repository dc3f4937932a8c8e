"""Start-up: ``guestmap --help`` and ``guestmap plan`` beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUESTMAP = str(Path(sys.executable).parent / "guestmap")
ROUNDS = 15


def best(command: list[str]) -> float:
    """Return the quickest of some runs; the quickest is the one least disturbed."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    bare = best([sys.executable, "-c", "pass"])
    print(f"python -c pass                 {bare * 1000:7.1f} ms")
    for words in (["--help"], ["plan", str(ROOT / "layouts/arm-guest-on-amd.yaml")]):
        took = best([GUESTMAP, *words])
        shown = " ".join(["guestmap", *[Path(word).name for word in words]])
        print(f"{shown:<30} {took * 1000:7.1f} ms {took / bare:6.1f} ×")


if __name__ == "__main__":
    main()
