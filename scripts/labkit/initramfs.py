"""The guest's file system: busybox to begin, Python and the agent to work, modules in order."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from labkit import CACHE
from labkit.archive import Archive
from labkit.hosts import VFIO_MODULES, Host
from labkit.kernels import Kernel
from labkit.packages import fetch, unpack

__all__ = ["add_tree", "build"]

_PROGRAMS = (
    *("busybox-static", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libc6", "libexpat1", "zlib1g", "libffi8"),
)
#: Parts of Python's library that the agent never imports.
_UNUSED = ("/test", "/lib2to3", "/pydoc", "/ensurepip", "/distutils", "/unittest", "/tkinter")
_GUEST = Path(__file__).parent / "guest"


def build(host: Host, kernel: Kernel, job: dict[str, Any], extra: Archive | None = None) -> bytes:
    """Return the compressed initramfs that does *job* on *host*.

    :param extra: archive to go on with, for jobs that bring programs of their own.
    :raise LabError: a package cannot be had.
    """
    archive = extra or Archive()
    programs = unpack(
        fetch(_PROGRAMS, "bookworm", host.architecture), CACHE / "programs" / host.architecture
    )
    for name in ("proc", "sys", "dev", "tmp", "lab/modules"):
        archive.directory(name)
    archive.file("bin/busybox", (programs / "bin/busybox").read_bytes(), executable=True)
    for folder in ("lib", "lib64", "usr/lib", "usr/bin"):
        add_tree(archive, programs, folder)
    archive.link("usr/bin/python3", "python3.11")
    for number, (name, data) in enumerate(kernel.load_order((*host.modules, *VFIO_MODULES))):
        archive.file(f"lab/modules/{number:02}-{name}.ko", data)
    archive.file("init", (_GUEST / "init").read_bytes(), executable=True)
    for path in sorted(_GUEST.glob("*.py")):
        archive.file(f"lab/{path.name}", path.read_bytes())
    archive.file("lab/job.json", json.dumps(job).encode())
    return gzip.compress(archive.finish(), compresslevel=1, mtime=0)


def add_tree(archive: Archive, root: Path, folder: str) -> None:
    """Add what is below *folder*, leaving out what no guest needs."""
    top = root / folder
    if top.is_symlink() or not top.exists():
        return
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(root))
        if any(part in f"/{name}" for part in _UNUSED) or "gconv" in name or "/doc/" in name:
            continue
        if path.is_symlink():
            archive.link(name, str(path.readlink()))
        elif path.is_file():
            archive.file(name, path.read_bytes(), executable=bool(path.stat().st_mode & 0o111))
