"""The house: imports point one way, one importer a library, printing only at the rim."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import ROOT

PACKAGES = ("planner", "qmp_glue")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))

#: Lower floors first; a module may import from its own floor or one below.
FLOORS = (
    ("planner", "planner.span"),
    ("planner.units", "planner.region"),
    ("planner.findings", "planner.graph"),
    ("planner.text", "planner.machine"),
    ("planner.host", "planner.argv"),
    ("planner.layout", "planner.judge"),
    ("planner.place",),
    ("planner.documents", "planner.explain"),
    ("planner.draw",),
    ("qmp_glue",),
    ("planner.cli",),
)
ONE_IMPORTER = {
    "networkx": {"planner/graph.py"},
    "yaml": {"planner/text/source.py"},
    "qemu": {"qmp_glue/session.py"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(name: str) -> int:
    """Return the floor of the longest listed prefix."""
    best, at = "", -1
    for number, names in enumerate(FLOORS):
        for known in names:
            if (name == known or name.startswith(known + ".")) and len(known) > len(best):
                best, at = known, number
    assert at >= 0, f"{name} has no floor: add it to FLOORS"
    return at


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_point_down(path: Path) -> None:
    here = floor(module_name(path))
    above = [
        name
        for name in imported(path)
        if name.partition(".")[0] in PACKAGES and name != "planner.__version__"
        if floor(name) > here
    ]
    assert above == []


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_each_library_has_one_importer(library: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in MODULES
        if any(name.partition(".")[0] == library for name in imported(path))
    }
    assert users == ONE_IMPORTER[library]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_printing_and_exit_codes_live_in_the_cli(path: Path) -> None:
    if module_name(path).startswith("planner.cli"):
        return
    names = set(imported(path))
    assert "click" not in names
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"print", "exit", "input"}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
