"""The loader and the JSON Schema are made of one table: they must agree about every file."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import ROOT, Golden
from kit.traps import TRAPS

from planner.host.profile_file import parse_profile
from planner.host.profile_schema import PROFILE, profile_schema
from planner.layout.load import load
from planner.layout.schema import LAYOUT, layout_schema
from planner.text.fields import rows
from planner.text.source import Mapping, Node, Scalar, read

LAYOUTS = sorted((ROOT / "layouts").glob("*.yaml"))
#: What only the loader can refuse: sums, overlaps, and what another program's tables say.
MEANING = {"MM201", "MM203", "MM204", "MM205", "MM206", "MM207", "MM105", "MM115"}
VALIDATOR = jsonschema.Draft7Validator(layout_schema())
PROFILES = sorted((ROOT / "layouts" / "hosts").glob("*.yaml"))
PROFILE_VALIDATOR = jsonschema.Draft7Validator(profile_schema())


def as_text(node: Node | None) -> Any:
    """Return the tree as JSON data with every scalar a string, as the loader sees it."""
    if node is None or (isinstance(node, Scalar) and node.empty):
        return None
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Mapping):
        return {key.text: as_text(value) for key, value in node.items}
    return [as_text(item) for item in node.items]


def typed(node: Node | None) -> Any:
    """Return the tree as an editor with YAML 1.2's core schema sees it."""
    if isinstance(node, Mapping):
        return {key.text: typed(value) for key, value in node.items}
    if node is None or isinstance(node, Scalar):
        return None if node is None or node.empty else _typed_scalar(node)
    return [typed(item) for item in node.items]


def _typed_scalar(node: Scalar) -> Any:
    if node.quoted:
        return node.text
    if node.text in {"true", "false"}:
        return node.text == "true"
    for convert in (int, lambda text: int(text, 16) if text.startswith("0x") else float(text)):
        try:
            if "_" not in node.text:
                return convert(node.text)
        except (ValueError, OverflowError):
            continue
    return node.text


@pytest.mark.parametrize("schema", [layout_schema(), profile_schema()], ids=lambda s: s["$id"])
def test_shipped_schema_is_the_generated_one_and_valid(schema: dict[str, Any]) -> None:
    shipped = (ROOT / "layouts" / schema["$id"]).read_text()
    assert shipped == json.dumps(schema, indent=2) + "\n"
    jsonschema.Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_validate(path: Any) -> None:
    root, findings = read(path.read_bytes(), path.name)
    assert findings == []
    for tree in (as_text(root), typed(root)):
        assert list(PROFILE_VALIDATOR.iter_errors(tree)) == []


@pytest.mark.parametrize(
    "line",
    [
        "hots: {name: a}",
        "host: {adress-bits: 48}",
        "host: {address-bits: 65}",
        "host: {page-size: 8192}",
        "host: {isolated-msi: 1}",
        "groups: {}",
        'groups: [{ids: "5-"}]',
        "groups: [{devices: [{vendor: x}]}]",
        "bridge-windows: [{base: 0x1000}]",
        "noticed: [{code: MM999}]",
    ],
)
def test_a_profile_that_is_misshapen_is_refused_by_both(line: str) -> None:
    data = f"schema: 1\nregions: [0x0000000000000000 0x0000000000000fff msi]\n{line}\n".encode()
    assert any(finding.code.startswith("MM1") for finding in parse_profile(data, "f").findings)
    root, _ = read(data, "f")
    assert not PROFILE_VALIDATOR.is_valid(typed(root))


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.stem)
def test_examples_load_and_validate(path: Any) -> None:
    data = path.read_bytes()
    layout, findings = load(data, path.name)
    assert (findings, layout is not None) == ([], True)
    root, _ = read(data, path.name)
    assert list(VALIDATOR.iter_errors(as_text(root))) == []
    assert list(VALIDATOR.iter_errors(typed(root))) == []


@pytest.mark.parametrize("name", TRAPS)
def test_schema_refuses_what_the_loader_finds_misshapen(name: str) -> None:
    given_text = TRAPS[name]
    data = given_text if isinstance(given_text, bytes) else given_text.encode()
    layout, findings = load(data, "f.yaml")
    root, text_findings = read(data, "f.yaml")
    if root is None:
        assert layout is None
        assert text_findings
        return
    errors = list(VALIDATOR.iter_errors(as_text(root)))
    if layout is not None:
        assert errors == []
    elif {finding.code for finding in findings if finding.severity == "error"} - MEANING:
        words = ("past the", "has no option", "cannot be silenced", "there is no finding")
        loader_only = any(word in finding.message for finding in findings for word in words)
        assert errors or loader_only, [finding.message for finding in findings]


NUMBERS = st.one_of(
    st.integers(0, 1 << 65).map(hex),
    st.integers(0, 1 << 65).map(str),
    st.from_regex(r"[0-9]{1,4} ?[KMGTPEkg]?i?B?", fullmatch=True),
    st.from_regex(r"0[xXo]?[0-9a-f_]{1,8}", fullmatch=True),
)


@given(size=NUMBERS, base=NUMBERS, bits=st.from_regex(r"-?[0-9]{1,3}", fullmatch=True))
def test_what_loads_validates(size: str, base: str, bits: str) -> None:
    text = (
        "schema: 1\nname: a\n"
        f'machine: {{type: custom, address-bits: "{bits}"}}\nmemory: {{size: 1GiB}}\n'
        f'regions: [{{name: r, kind: ram, base: "{base}", size: "{size}"}}]\n'
    )
    layout, findings = load(text.encode(), "f.yaml")
    root, _ = read(text.encode(), "f.yaml")
    valid = VALIDATOR.is_valid(as_text(root))
    if layout is not None:
        assert valid
    # Past 64 bits the pattern cannot tell; every other number the loader refuses, the schema does.
    refused = [
        finding
        for finding in findings
        if finding.code == "MM110"
        and "past the" not in finding.message
        and "address-bits" not in finding.message
    ]
    assert not (refused and valid), refused


def test_every_field_is_described() -> None:
    for path, field in rows(LAYOUT) + rows(PROFILE):
        assert field.summary, path
        assert field.type.word, path


def test_fields_are_listed(golden: Golden) -> None:
    lines = [
        f"{path}: {field.type.word}{' (required)' * field.required}" for path, field in rows(LAYOUT)
    ]
    golden("layout/fields.txt", "\n".join(lines) + "\n")
