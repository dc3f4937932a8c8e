"""The lab: real kernels with emulated IOMMUs, booted in QEMU, decide whether guestmap is right.

Everything runs under TCG, one machine at a time, each boot with a time limit. Nothing of the system
is changed: packages are unpacked into a cache of the lab's own.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CACHE", "ROOT", "LabError", "MissingError"]

#: The repository.
ROOT = Path(__file__).resolve().parents[2]
#: Packages, unpacked kernels, initramfs files and logs; ``GUESTMAP_LAB_CACHE`` moves it.
CACHE = Path(os.environ.get("GUESTMAP_LAB_CACHE") or ROOT / ".cache" / "lab")


class LabError(Exception):
    """The lab cannot do what was asked; the text says what is missing and what to do."""


class MissingError(LabError):
    """QEMU or a package cannot be had here: nothing was tried, so nothing was found wrong."""
