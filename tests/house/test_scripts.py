"""The scripts are held to what the packages are held to."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from kit import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def programs(first_line: bytes) -> list[str]:
    """Return the scripts that begin so, as the settings name them."""
    return [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "scripts").rglob("*"))
        if path.is_file() and path.suffix == "" and path.read_bytes().startswith(first_line)
    ]


def test_python_without_an_ending_is_typed_and_linted_too() -> None:
    python = programs(b"#!/usr/bin/env python3\n")
    assert "scripts/fidelity" in python
    assert set(python) <= set(SETTINGS["mypy"]["files"])
    assert set(python) <= set(SETTINGS["ruff"]["extend-include"])


@pytest.mark.parametrize("key", ["pythonpath", "mypy_path"])
def test_imports_come_from_few_roots(key: str) -> None:
    table = SETTINGS["pytest"]["ini_options"] if key == "pythonpath" else SETTINGS["mypy"]
    assert len(table[key]) <= 4
    assert all((ROOT / Path(root)).is_dir() for root in table[key])
