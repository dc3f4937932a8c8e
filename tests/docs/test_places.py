"""The places that the documents for developers name are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from kit import ROOT

PAGES = [
    *("docs/architecture.md", "docs/howto/extend.md"),
    *("CONTRIBUTING.md", "scripts/labkit/README.md"),
]
#: ``planner/span.py`` or ``planner/span.py:Span``, whatever is around it.
PLACE = re.compile(
    r"(?<![\w./-])((?:planner|qmp_glue|tests|scripts|docs|layouts|\.ci)(?:/[\w.@-]+)+)(?::(\w+))?"
)


def names(path: Path) -> set[str]:
    """Return what a module has on its top level."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def missing(text: str) -> list[str]:
    """Return the places a text names that are not there."""
    return [
        f"{path}:{name}" if name else path
        for path, name in ((match[0].rstrip("."), match[1]) for match in PLACE.findall(text))
        if not (ROOT / path).exists() or (name and name not in names(ROOT / path))
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_place_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert PLACE.search(text)
    assert missing(text) == []


def test_a_place_that_is_gone_is_noticed() -> None:
    text = "`planner/span.py:Span`, `planner/span.py:Spam`, planner/nowhere.py. See `scripts/test`."
    assert missing(text) == ["planner/span.py:Spam", "planner/nowhere.py"]


@pytest.mark.parametrize(
    "change",
    [
        *("QEMU version", "machine family", "reserved word", "finding code", "picture format"),
        *("judged command", "kind of input", "field of a layout"),
    ],
)
def test_each_change_has_its_places(change: str) -> None:
    text = (ROOT / "docs/howto/extend.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## A new {change}.*\n((?:(?!## ).*\n)+)", text, re.MULTILINE)
    assert len(set(PLACE.findall(section))) >= 4
    assert re.search(r"tests/|scripts/fidelity", section)
