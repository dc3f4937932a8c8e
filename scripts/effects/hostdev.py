"""A /dev of one's own, in which host devices are plain files: who opens one is seen.

No machine needs to have VFIO for that, and none of its devices is touched.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

__all__ = ["HOST_DEVICES", "NoNamespaceError", "private_dev"]

#: What vfio-pci opens for a group, or with an iommufd; and a vDPA device.
HOST_DEVICES = tuple(
    Path("/dev", name)
    for name in ("vfio/vfio", "vfio/5", "vfio/devices/vfio0", "iommu", "vhost-vdpa-0")
)
_KEPT = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "net", "kvm")
#: From sched.h.
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000


class NoNamespaceError(Exception):
    """This machine lets nobody have a mount namespace."""


def private_dev() -> None:
    """Give this process a mount namespace with such a /dev; it has one thread only.

    :raise NoNamespaceError: it cannot have one.
    """
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS if user == 0 else _CLONE_NEWUSER | _CLONE_NEWNS):
        raise NoNamespaceError(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    _mount("--make-rprivate", "/")
    with tempfile.TemporaryDirectory(prefix="guard-effects-dev-") as name:
        folder = Path(name)
        _mount("-t", "tmpfs", "tmpfs", name)
        for kept in _KEPT:
            old, new = Path("/dev", kept), folder / kept
            if old.exists():
                new.mkdir() if old.is_dir() else new.touch()
                _mount("--rbind", str(old), str(new))
        (folder / "fd").symlink_to("/proc/self/fd")
        for device in HOST_DEVICES:
            path = folder / device.relative_to("/dev")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        _mount("--rbind", name, "/dev")
        _mount("--lazy", name, program="umount")


def _mount(*words: str, program: str = "mount") -> None:
    subprocess.run([program, *words], check=True)
