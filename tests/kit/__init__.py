"""What tests share: where the tree is, golden files, drawn cases, hosts and QEMUs made for them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

__all__ = ["ROOT", "Golden", "any_patch", "cli_runner"]

#: The repository.
ROOT = Path(__file__).resolve().parents[2]

#: Compare a text with a golden file below tests/: ``golden(path, text)``.
Golden = Callable[[str, str], None]


def any_patch(text: str) -> str:
    """Take the patch level out of QEMU's version: Debian raises it, and nothing else changes."""
    return re.sub(
        r"\b(\d+\.\d+)\.\d+(?= \(probe\)|\.$| \(live\))", r"\1.x", text, flags=re.MULTILINE
    )


def cli_runner() -> CliRunner:
    """Return a runner that keeps standard error apart; click before 8.2 does so when asked."""
    asked = "mix_stderr" in inspect.signature(CliRunner).parameters
    options: dict[str, Any] = {"mix_stderr": False} if asked else {}
    return CliRunner(**options)
