"""A /dev of one's own, in which host devices are plain files: who opens one is seen.

No machine needs to have VFIO for that, and none of its devices is touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["HOST_DEVICES", "in_private_dev"]

#: What vfio-pci opens for a group, or with an iommufd; and a vDPA device.
HOST_DEVICES = tuple(
    Path("/dev", name)
    for name in ("vfio/vfio", "vfio/5", "vfio/devices/vfio0", "iommu", "vhost-vdpa-0")
)
_KEPT = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "net", "kvm")
_MARK = "GUARD_EFFECTS_DEV"


def in_private_dev() -> None:
    """Go on in a mount namespace of its own with such a /dev.

    :raise SystemExit: this machine lets nobody have one.
    """
    if os.environ.get(_MARK) != "1":
        flags = ["-m"] if os.geteuid() == 0 else ["-U", "-r", "-m"]
        if subprocess.run(["unshare", *flags, "true"], check=False, capture_output=True).returncode:
            sys.exit("guard-effects: needs a mount namespace of its own (unshare -m)")
        os.environ[_MARK] = "1"
        os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])
    folder = Path(tempfile.mkdtemp(prefix="guard-effects-dev-"))
    _mount("-t", "tmpfs", "tmpfs", str(folder))
    for name in _KEPT:
        old, new = Path("/dev", name), folder / name
        if not old.exists():
            continue
        if old.is_dir():
            new.mkdir()
        else:
            new.touch()
        _mount("--rbind", str(old), str(new))
    (folder / "fd").symlink_to("/proc/self/fd")
    for device in HOST_DEVICES:
        path = folder / device.relative_to("/dev")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _mount("--rbind", str(folder), "/dev")


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)
