"""The YAML reader against PyYAML's own loader, and against every byte there is."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from kit.traps import GOOD, TRAPS

from planner.draw.diagnostic import render, render_concise, render_github, source_text
from planner.draw.sarif import sarif
from planner.findings import Severity
from planner.layout.load import load
from planner.region import Loc
from planner.text.collect import MAX_FINDINGS
from planner.text.comments import comments
from planner.text.harmless import harmless
from planner.text.source import Limits, Mapping, Node, Scalar, read

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=12)
TREES = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def plain(node: Node | None) -> Any:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.items}
    return None if node is None else [plain(item) for item in node.items]


@given(TREES, st.booleans())
def test_reads_what_pyyaml_writes(tree: Any, flow: bool) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=flow, default_style='"')
    root, findings = read(text.encode(), "f.yaml")
    assert [finding.message for finding in findings] == []
    assert plain(root) == tree


@given(TREES)
def test_places_are_where_the_text_is(tree: Any) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, default_style='"', width=10_000)
    lines = text.split("\n")
    root, _ = read(text.encode(), "f.yaml")
    todo: list[Node] = [root] if root is not None else []
    while todo:
        node = todo.pop()
        if isinstance(node, Scalar):
            assert lines[node.loc.line - 1][node.loc.column - 1] == '"'
            assert lines[node.end_loc.line - 1][node.end_loc.column - 2] == '"'
        elif isinstance(node, Mapping):
            todo += [part for pair in node.items for part in pair]
        else:
            todo += node.items


SYNTAX = """a schema 1 [ ] { } , " ' &a *a !t << % # | > ? --- ... 語 ~ -"""
PIECES = st.sampled_from([*SYNTAX.split(), ": ", "- ", " ", "\n", "\n  ", "\t", "\r", "\0", "\x1b"])


def survives(data: bytes) -> None:
    """Load and show *data* in every form; what comes back is whole."""
    layout, findings = load(data, "f.yaml")
    failed = any(finding.severity is Severity.ERROR for finding in findings)
    assert (layout is None) == failed
    assert len(findings) <= MAX_FINDINGS + 2
    sources = {"f.yaml": source_text(data)}
    for finding in findings:
        assert finding.loc is not None
        assert finding.loc.line >= 1
        assert finding.loc.column >= 1
        lines = render(finding, sources)
        assert all(harmless(line) for line in lines)
        assert harmless(render_concise(finding)).count("\n") == 0
        assert render_github(finding).count("\n") == 0
    assert sarif(findings)["version"] == "2.1.0"


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"%TAG ! !\n--- a")
@example(b"a: |\n\tb")
def test_any_bytes_are_answered(data: bytes) -> None:
    survives(data)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_yaml_pieces_are_answered(text: str) -> None:
    survives(text.encode())


@given(st.integers(0, len(GOOD)), st.lists(PIECES, max_size=5).map("".join), st.integers(0, 9))
def test_a_layout_with_a_splinter_is_answered(at: int, splinter: str, gone: int) -> None:
    survives((GOOD[:at] + splinter + GOOD[at + gone :]).encode())


HOSTILE = {
    "open brackets": "[" * 500_000,
    "open braces": "{" * 500_000,
    "dashes": "- " * 500_000,
    "question marks": "? " * 300_000,
    "anchors": "a: &x 1\n" * 100_000,
    "equal keys": "a: 1\n" * 200_000,
    "unknown keys": "".join(f"k{number}: 1\n" for number in range(55_000)),
    "empty items": "- \n" * 300_000,
    "one long line": "hosts: [" + "a," * 500_000 + "]",
    "one long word": "name: " + "a" * 1_000_000,
    "open quote": "a: '" + "b\n" * 500_000,
    "blank lines": "a: [b" + "\n" * 1_000_000,
    "comments": "#\n" * 500_000,
    "aliases": "a: &a [" + "*a," * 300_000 + "]",
    "overlaps": GOOD.replace("virt", "custom")
    + "regions:\n"
    + "".join(f"- {{name: r{n}, kind: mmio, base: 0, size: 1MiB}}\n" for n in range(20_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_megabyte_is_answered(name: str) -> None:
    layout, findings = load(HOSTILE[name].encode()[: 1 << 20], "f.yaml")
    assert layout is None
    assert findings


@pytest.mark.parametrize("name", ["overlaps", "open quote"])
def test_hostile_megabyte_takes_little_memory(name: str) -> None:
    data = HOSTILE[name].encode()[: 1 << 20]
    tracemalloc.start()
    try:
        load(data, "f.yaml")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000_000


def test_file_past_the_cap_is_not_parsed() -> None:
    root, findings = read(b"a" * ((1 << 20) + 1), "f.yaml")
    assert root is None
    assert [str(finding.loc) for finding in findings] == ["f.yaml:1:1"]
    assert findings[0].message == "the file has 1048577 bytes; 1048576 is the most"


def test_limits_can_be_raised() -> None:
    text = b"[" * 20 + b"]" * 20
    assert read(text, "f.yaml")[0] is None
    root, findings = read(text, "f.yaml", Limits(max_depth=20))
    assert root is not None
    assert findings == []


#: Each opens a level or two: ``( ) <`` stand for real ``[ ] {``, all other brackets are text.
OPENERS = ("(", "(), (", "'[', (", "'it''s ]', (", '"\\"[", (', "it's, (", "a#b, (", "<'[': (")
#: What comes first, and how many levels in block style it opens.
HEADS = {"": 0, "a: ": 1, "a:\n  - - ": 3, "# [[[\na:\n- b: ()\n- ": 2, "a: b [[ {{\nc: ": 1}


@pytest.mark.parametrize("loader", [yaml.CBaseLoader, yaml.BaseLoader])
@given(
    head=st.sampled_from(sorted(HEADS)),
    openers=st.lists(st.sampled_from(OPENERS), min_size=6, max_size=20),
    stop=st.sampled_from(["'", '"', "@", "(" * 40]),
)
def test_depth_is_judged_before_whatever_stops_the_parser(
    loader: type[yaml.BaseLoader], head: str, openers: list[str], stop: str
) -> None:
    depth, too_deep = 0, None
    for number, character in enumerate(written := head + "(" + "".join(openers) + stop):
        depth = max(depth, HEADS[head]) if number >= len(head) else depth
        if character in "(<":
            if depth == 16 and too_deep is None:
                line = written.count("\n", 0, number) + 1
                too_deep = Loc("f.yaml", line, number - written.rfind("\n", 0, number))
            depth += 1
        depth -= character == ")"
    text = written.translate(str.maketrans("()<", "[]{"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("planner.text.source._LOADER", loader)
        _, findings = read(text.encode(), "f.yaml")
    if too_deep is None:
        assert findings[-1].code == "MM101"
    else:
        assert (findings[-1].code, findings[-1].loc) == ("MM104", too_deep)


def test_comments_are_told_from_text() -> None:
    text = "# one\na: 'b # c' # two\nd: e#f\ng:  # three\n  - \"#\"\n"
    root, _ = read(text.encode(), "f.yaml")
    assert list(comments(text, root)) == [(1, 1, "# one"), (2, 12, "# two"), (4, 5, "# three")]


def test_pure_parser_says_the_same_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libyaml the parser's words differ, not where a mistake is or what it is called."""
    seen: dict[str, list[tuple[str, str]]] = {}
    small = {name: text for name, text in TRAPS.items() if len(text) < 5000}
    for loader in (yaml.CBaseLoader, yaml.BaseLoader):
        monkeypatch.setattr("planner.text.source._LOADER", loader)
        for name, given_text in small.items():
            data = given_text if isinstance(given_text, bytes) else given_text.encode()
            found = [(str(f.loc), f.message) for f in load(data, "f.yaml")[1]]
            assert seen.setdefault(name, found) == found, name


@pytest.mark.parametrize("loader", [yaml.CBaseLoader, yaml.BaseLoader])
@pytest.mark.parametrize("line", ["%YAML 9.9", "%YAML 2", "%YAML 1.1\n%YAML 1.1", "%FOO", "%"])
def test_a_directive_is_known_by_its_line(
    loader: type[yaml.BaseLoader], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two parsers complain of it in different words, or of something else."""
    monkeypatch.setattr("planner.text.source._LOADER", loader)
    _, (finding,) = read(f"a: b\n...\n{line}\n".encode(), "f.yaml")
    assert finding.code == "MM103"
    assert finding.message.startswith("a directive (%) changes how YAML is read")


def test_the_word_directive_in_a_file_is_no_directive() -> None:
    _, (finding,) = read(b"a: 'directive\n", "f.yaml")
    assert finding.code == "MM101"
