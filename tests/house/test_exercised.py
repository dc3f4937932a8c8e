"""What nobody exercised is not known to work: codes, options and fields, each by a test of its own.

An option counts when a test really runs the command with it (tests/kit/exercised.py), a finding
code when a test or a golden file insists on it (tests/kit/asserted.py), a field of a layout when a
layout with it is loaded.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from kit import ROOT
from kit.asserted import asserted, shown
from kit.exercised import broken_promise, exercised, options, started, witnesses
from kit.real import guestmap
from kit.traps import WHOLE

from planner.findings import CODES
from planner.layout.load import load
from planner.layout.reference import layout_reference

TESTS = ROOT / "tests"
PUCHATEK = "layouts/hosts/amd-desktop.yaml"


def every_asserted_code() -> set[str]:
    found: set[str] = set()
    for path in TESTS.rglob("*"):
        if path.suffix == ".py":
            found |= asserted(path.read_text(encoding="utf-8"))
        elif path.suffix in (".txt", ".json", ".html"):
            found |= shown(path.read_text(encoding="utf-8"))
    return found


def test_every_code_is_asserted_by_a_test() -> None:
    assert sorted(set(CODES) - every_asserted_code()) == []


def test_a_code_that_is_only_mentioned_is_not_asserted() -> None:
    source = '''
"""MM901 in words."""
ROWS = [("MM902", 1)]
@pytest.mark.parametrize(("text", "code"), [("MM903", "MM904")])
def test_some(text, code):
    found = judge(text, "MM905")  # MM906
    assert "MM907" not in found
    assert not "MM908" in found
    assert [f.code for f in found] == ["MM909", code]
    with pytest.raises(X, match="MM910"):
        pass
@pytest.mark.parametrize("row", ROWS)
def test_table(row):
    assert row[0] in judge()
'''
    assert asserted(source) == {"MM904", "MM909", "MM910", "MM902"}
    assert shown('MM911 error[MM912]: x\n  "code": "MM913",\n') == {"MM912", "MM913"}


def test_every_option_has_a_witness() -> None:
    assert sorted(set(options()) - witnesses().keys()) == [], (
        "no test runs these: write one, then pytest --regenerate-output THE-TEST names it"
    )
    assert sorted(witnesses().keys() - set(options())) == []


@pytest.mark.parametrize("witness", sorted(set(witnesses().values())))
def test_a_witness_is_a_test(witness: str) -> None:
    path, _, name = witness.partition("[")[0].rpartition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_runs_is_seen_and_what_is_mentioned_is_not(tmp_path: Path) -> None:
    exercised.clear()
    guestmap("host", PUCHATEK, "--json")
    assert exercised == {"host --json"}
    with pytest.raises(Exception, match="No such option"):
        guestmap("host", PUCHATEK, "--scope", "host", "--no-such")
    assert exercised == {"host --json"}
    assert list(started(["python", "-m", "planner.cli", "map", "--qmp", "unix:/x"])) == [
        "map --qmp"
    ]
    assert list(started(["bash", "-c", "true && guestmap map \\\n  --qmp=unix:/x | cat"])) == [
        "map --qmp"
    ]
    assert list(started(["echo", "map", "--qmp"])) == []
    assert list(started([str(tmp_path / "guestmap"), "explain", "--", "--qmp"])) == []


def test_a_witness_that_does_not_run_its_option_fails() -> None:
    rows = {"map --qmp": "a.py::test_a", "map --json": "a.py::test_b"}
    assert broken_promise(rows, "a.py::test_a", {"map --json"}) == ["map --qmp"]
    assert broken_promise(rows, "a.py::test_b", {"map --json"}) == []


def paths(value: object, path: str = "") -> Iterator[str]:
    """Yield the fields in a layout's data as the reference names them, and its kinds of region."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield f"{path}.{key}".lstrip(".")
            yield from paths(below, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for below in value:
            yield from paths(below, f"{path}[]")
    elif path == "regions[].kind":
        yield str(value)


def fields_loaded(layouts: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for text in layouts:
        layout, findings = load(text.encode(), "layouts/f.yaml")
        assert layout is not None, findings
        found.update(paths(yaml.load(text, yaml.BaseLoader)))
    return found


def test_every_field_of_a_layout_is_loaded() -> None:
    fields = {
        line.split("`")[1] for line in layout_reference().splitlines() if line.startswith("| `")
    }
    assert {"memory.boot-min", "silence[].reason", "romd"} <= fields
    assert sorted(fields - fields_loaded(WHOLE.values())) == []


def test_a_field_nobody_writes_is_not_loaded() -> None:
    assert "memory.block" not in fields_loaded([WHOLE["custom"]])
