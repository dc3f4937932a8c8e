"""Capture: what the kernel of a host kind says of its IOMMUs, as one archive for the tests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from labkit.boot import answer
from labkit.hosts import Host
from labkit.kernels import Kernel
from labkit.tables import tables_for
from labkit.tarball import SUFFIX, pack

__all__ = ["capture", "capture_name", "write_tree"]

_SECONDS = 180


def capture_name(host: Host, release: str) -> str:
    """Return the archive's name without its ending: ``intel-39-6.12``."""
    return f"{host.name}-{'.'.join(release.split('.')[:2])}"


def capture(host: Host, kernel: Kernel, into: Path) -> Path:
    """Boot, and write the archive below *into*; return its path.

    It holds ``sys/`` and ``proc/`` as the kernel showed them, and ``about`` with how the host was
    made and what the kernel logged of its IOMMUs.

    :raise LabError: the boot fails.
    """
    tables = tables_for(host, kernel)
    job = {"do": "take", "hostname": host.name}
    said = answer(host, kernel, job, seconds=_SECONDS, tables=tables)
    lines = [
        f"host: {host.name}, {host.about}",
        f"kernel: {said['release']}",
        f"command line: {said['files']['proc/cmdline'].strip()}",
        f"machine: {host.qemu} {' '.join(host.machine)}",
        "devices:",
        *(f"  {part}" for part in host.devices if part != "-device"),
        "log:",
        *(f"  {line}" for line in said["log"]),
    ]
    into.mkdir(parents=True, exist_ok=True)
    archive = into / f"{capture_name(host, said['release'])}{SUFFIX}"
    with tempfile.TemporaryDirectory() as name:
        write_tree(Path(name), said)
        (Path(name) / "about").write_text("\n".join(lines) + "\n")
        pack(Path(name), archive)
    return archive


def write_tree(folder: Path, said: dict[str, Any]) -> None:
    """Write files and links as the guest took them."""
    for name, text in said["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, target in said["links"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        # A link's target may have nothing the lab takes; it is still there to be listed.
        if not (path.parent / target).exists():
            (path.parent / target).resolve().mkdir(parents=True, exist_ok=True)
