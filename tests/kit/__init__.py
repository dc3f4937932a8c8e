"""What tests share: where the tree is, golden files, drawn cases, hosts and QEMUs made for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

__all__ = ["ROOT", "Golden", "any_patch"]

#: The repository.
ROOT = Path(__file__).resolve().parents[2]

#: Compare a text with a golden file below tests/: ``golden(path, text)``.
Golden = Callable[[str, str], None]


def any_patch(text: str) -> str:
    """Take the patch level out of QEMU's version: Debian raises it, and nothing else changes."""
    return re.sub(
        r"\b(\d+\.\d+)\.\d+(?= \(probe\)|\.$| \(live\))", r"\1.x", text, flags=re.MULTILINE
    )
