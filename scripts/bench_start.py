"""Start-up: ``guestmap --help`` and ``guestmap plan`` beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from clock import best

ROOT = Path(__file__).resolve().parent.parent
GUESTMAP = str(Path(sys.executable).parent / "guestmap")
ROUNDS = 15


def ran(command: list[str]) -> float:
    """Return the seconds of the quickest run of a command."""
    return best(
        lambda: subprocess.run(
            command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ),
        ROUNDS,
    )


def main() -> None:
    bare = ran([sys.executable, "-c", "pass"])
    print(f"python -c pass                 {bare * 1000:7.1f} ms")
    for words in (["--help"], ["plan", str(ROOT / "layouts/arm-guest-on-amd.yaml")]):
        took = ran([GUESTMAP, *words])
        shown = " ".join(["guestmap", *[Path(word).name for word in words]])
        print(f"{shown:<30} {took * 1000:7.1f} ms {took / bare:6.1f} ×")


if __name__ == "__main__":
    main()
