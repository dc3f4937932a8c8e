"""Guests: a plan's own command line, booted with a real kernel that says what it makes of it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import LabError
from labkit.boot import answer
from labkit.hosts import Host
from labkit.kernels import Kernel, get_kernel

__all__ = ["Booted", "boot_guest"]

_SECONDS = 240
#: What a distribution's initramfs or udev loads.
_MODULES = ("virtio_pci", "virtio_console", "virtio_mem")


@dataclass(frozen=True, slots=True)
class Booted:
    """What a guest said of itself, and what its plan had promised."""

    plan: dict[str, Any]
    said: dict[str, Any]

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """The plan's pieces: first byte and size."""
        return [(int(p["base"], 16), int(p["size"], 16)) for p in self.plan["ram"]["pieces"]]

    def state(self, base: int, size: int) -> str:
        """Return whether all blocks of a range are online, offline or absent, or that they mix."""
        block = self.said["block"]
        states = {
            "online"
            if at in self.said["online"]
            else "offline"
            if at in self.said["offline"]
            else "absent"
            for at in range(base, base + size, block)
        }
        return states.pop() if len(states) == 1 else "mixed"


def _guestmap(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "planner.cli", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"guestmap {shlex.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def boot_guest(layout: Path, hosts: Sequence[str], kernel: str, parameter: str = "") -> Booted:
    """Plan a layout, boot what 'guestmap args' prints, and return what the guest says.

    :param hosts: host profiles; none takes the layout's own.
    :param kernel: a key of :data:`labkit.kernels.KERNELS`.
    :param parameter: for the guest kernel's command line.
    :raise LabError: it cannot be planned, or does not boot.
    """
    with tempfile.TemporaryDirectory() as name:
        plan = f"{name}/plan.json"
        named = [word for host in hosts for word in ("--host", host)]
        _guestmap("plan", str(layout), *named, "-o", plan)
        program, *words = json.loads(_guestmap("args", plan, "--no-reserve", "--json"))["argv"]
        document = json.loads(Path(plan).read_text())
    at = words.index("-m")
    memory = words[at + 1]
    del words[at : at + 2]
    arm = "aarch64" in program
    host = Host(
        document["layout"],
        "arm64" if arm else "amd64",
        tuple(words),
        "a planned guest",
        parameter,
        modules=_MODULES,
        devices=(),
    )
    found: Kernel = get_kernel(kernel, host.architecture)
    job = {"do": "memory"}
    said = answer(host, found, job, seconds=_SECONDS, memory=memory)
    return Booted(document, said)
