"""The QEMUs a test may run on: the installed one, and those that scripts/get-qemu brings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kit import ROOT

__all__ = ["VERSIONS", "program_of"]

#: x.y of a QEMU and the folder its programs are in.
PLACES = {
    "7.2": Path(shutil.which("qemu-system-x86_64") or "/nowhere").parent,
    **{version: ROOT / ".cache" / f"qemu-{version}" for version in ("10.0", "11.1")},
}


def _marks(version: str) -> tuple[pytest.MarkDecorator, ...]:
    # What has to be fetched first is for the long tier, and fails there when it is not there.
    return () if PLACES[version].exists() else (pytest.mark.long,)


#: For ``parametrize``: each version.
VERSIONS = [pytest.param(version, marks=_marks(version)) for version in PLACES]


def program_of(version: str, program: str = "qemu-system-x86_64") -> str:
    """Return the path of a QEMU; the test fails when it is not there."""
    path = PLACES[version] / program
    if not path.exists():
        pytest.fail(f"{path} is not there; scripts/get-qemu brings it")
    return str(path.absolute())
