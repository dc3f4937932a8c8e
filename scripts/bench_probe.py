"""A probe of a board against the same QEMU started with -S and quit by hand."""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

from clock import best

ROOT = Path(__file__).resolve().parent.parent
LINES = (
    "qemu-system-aarch64 -M virt -cpu max -m 4G",
    "qemu-system-x86_64 -M q35 -m 4G",
    "qemu-system-x86_64 -M pc -m 4G",
)


def by_hand(words: list[str]) -> None:
    """Start it paused, greet its monitor, and quit: the least that anybody has to do."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = [*words, "-S", "-display", "none", "-nodefaults"]
        argv += ["-chardev", f"socket,id=c,fd={theirs.fileno()}", "-mon", "chardev=c,mode=control"]
        process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        with ours.makefile("rwb") as monitor:
            for command in ("qmp_capabilities", "quit"):
                monitor.readline()
                monitor.write(json.dumps({"execute": command}).encode())
                monitor.flush()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    sys.path.insert(0, str(ROOT))
    from qmp_glue.probe import probe

    for line in LINES:
        words = line.split()
        if shutil.which(words[0]) is None:
            print(f"{words[0]} is not installed")
            continue
        hand = best(partial(by_hand, words), rounds)
        took = best(partial(probe, words), rounds)
        command = [sys.executable, "-m", "planner.cli", "map", "--", *words]
        whole = best(
            partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL),
            rounds,
        )
        print(line)
        print(f"  by hand: start -S, greet, quit   {hand * 1000:7.1f} ms")
        print(f"  probe                            {took * 1000:7.1f} ms {took / hand:6.2f} ×")
        print(f"  guestmap map, whole process      {whole * 1000:7.1f} ms {whole / hand:6.2f} ×")


if __name__ == "__main__":
    main()
