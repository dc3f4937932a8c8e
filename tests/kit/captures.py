"""Trees that real kernels showed (``scripts/lab capture``), one archive each in tests/captures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from labkit.tarball import SUFFIX, unpack

from kit import ROOT

__all__ = ["CAPTURES", "Captured", "tree_below"]

FOLDER = ROOT / "tests" / "captures"

#: Their names: ``amd-6.12``.
CAPTURES = sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))

#: Give the folder with ``sys/``, ``proc/`` and ``about`` of one capture, by name.
Captured = Callable[[str], Path]


def tree_below(shared: Path, name: str) -> Path:
    """Unpack a capture below *shared*, unless another process of this session did."""
    tree = shared / "captures" / name
    if not tree.exists():
        mine = tree.with_name(f"{name}.{os.getpid()}")
        unpack(FOLDER / f"{name}{SUFFIX}", mine)
        try:
            mine.rename(tree)
        except OSError:  # another process was first, and its tree is whole
            shutil.rmtree(mine)
    return tree
