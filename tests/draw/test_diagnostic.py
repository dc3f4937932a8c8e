"""Findings as text: carets, other files, no place at all, hostile text, long lines."""

from __future__ import annotations

import pytest
from kit import Golden

from planner.draw.diagnostic import (
    render,
    render_concise,
    render_github,
    source_text,
    summary,
)
from planner.draw.paint import painter, shown
from planner.draw.sarif import sarif
from planner.findings import Finding, Party, Severity
from planner.region import Loc, Origin
from planner.span import Span

A, B = "a.yaml", "b.yaml"
OTHER_FILE = Finding(
    "MM203",
    "'x' overlaps 'y'",
    loc=Loc(A, 2, 7),
    also=((Loc(B, 11, 3), "'y' is here"), (Loc("gone.yaml", 4, 1), "not at hand")),
    help="move 'x'",
    notes=("first note", "second note"),
)
NO_PLACE = Finding(
    "MM401",
    "RAM 'ram' [0x40000000-0x13fffffff] covers msi",
    help="let guestmap plan place it",
    parties=(
        Party("ram", "ram", Span.inclusive(0x40000000, 0x13FFFFFFF), Origin("-m")),
        Party(
            "msi",
            "msi",
            Span.inclusive(0xFEE00000, 0xFEEFFFFF),
            host="puchatek",
            groups=("27", "28"),
            devices=("0000:29:00.0",),
        ),
        Party("nameless", ""),
    ),
)
SOURCES = {A: "one: 1\ntwo:  0x10 # c\n", B: "\n" * 10 + "  y: here\n"}


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("name", ["other-file", "no-place"])
def test_full_form(name: str, color: bool, golden: Golden) -> None:
    finding = {"other-file": OTHER_FILE, "no-place": NO_PLACE}[name]
    lines = render(finding, SOURCES, painter(color=color))
    golden(
        f"draw/diagnostic/{name}{'-color' * color}.txt",
        "".join(f"{shown(line)}\n" for line in lines),
    )


def underlined(text: str, column: int) -> str:
    """Return what the carets stand under, spaces standing for what they do not."""
    finding = Finding("MM101", "x", loc=Loc(A, 1, column))
    shown, carets = render(finding, {A: text})[2:4]
    return "".join(
        c for c, mark in zip(shown, carets.ljust(len(shown)), strict=False) if mark == "^"
    )


@pytest.mark.parametrize(
    ("text", "column", "marked"),
    [
        ("key: value # why", 6, "value"),
        ("key: two words", 6, "two words"),
        ("key: value", 1, "key"),
        ("{a: b, c: d}", 5, "b"),
        ("{a: b, c: d}", 1, "{a: b, c: d}"),
        ("a: [b, c] # d", 4, "[b, c]"),
        ("a: [b, c", 4, "[b, c"),
        ("a: 'b: c' # d", 4, "'b: c'"),
        ('a: "b', 4, '"b'),
        ("a: b, c", 4, "b, c"),
        ("a:", 3, ""),
        ("a: b   ", 4, "b"),
    ],
)
def test_carets_are_under_the_value(text: str, column: int, marked: str) -> None:
    assert underlined(text, column) == marked


def test_wide_characters_take_two_columns() -> None:
    lines = render(Finding("MM101", "x", loc=Loc(A, 1, 5)), {A: "日本: 語"})
    assert lines[2:4] == ["1 | 日本: 語", "  |       ^^"]


def test_place_past_the_text_is_shown_without_it() -> None:
    said = render(Finding("MM101", "x", loc=Loc(A, 9, 1)), {A: "a"})
    assert said == ["a.yaml:9:1: error[MM101] yaml-syntax: x"]


def test_long_line_is_cut_around_the_mark() -> None:
    text = "a" * 5000 + ": here " + "b" * 5000
    lines = render(Finding("MM101", "x", loc=Loc(A, 1, 5003)), {A: text})
    assert max(map(len, lines)) < 160
    assert "...aaaa" in lines[2]
    at = lines[3].index("^")
    assert lines[2][at : at + 4] == "here"


def test_a_source_line_is_shown_as_it_is_printed() -> None:
    lines = render(Finding("MM101", "x", loc=Loc(A, 1, 5)), {A: "g\x07: h"})
    assert lines[2:4] == ["1 | g\\x07: h", "  |        ^"]


def test_one_line_forms() -> None:
    odd = Finding("MM116", "a, b: 100%\nc", help="d", loc=Loc("x,y:z.yaml", 3, 4))
    assert render_concise(odd) == ("x,y:z.yaml:3:4: warning[MM116] unused-silencer: a, b: 100%\nc")
    assert render_github(odd) == (
        "::warning file=x%2Cy%3Az.yaml,line=3,col=4,title=MM116 unused-silencer::"
        "a, b: 100%25%0Ac%0Ahelp: d"
    )
    assert render_concise(NO_PLACE).startswith("error[MM401] ram-in-reserved: RAM 'ram'")
    assert render_github(NO_PLACE).startswith("::error title=MM401 ram-in-reserved::RAM")


def test_sarif_of_a_finding_without_a_place() -> None:
    (run,) = sarif([NO_PLACE, OTHER_FILE])["runs"]
    first, second = run["results"]
    assert "locations" not in first
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["MM203", "MM401"]
    assert (first["ruleIndex"], second["ruleIndex"]) == (1, 0)
    assert [entry["id"] for entry in second["relatedLocations"]] == [0, 1]


def test_summary_counts() -> None:
    note = Finding("MM114", "x")
    warning = Finding("MM114", "x", level=Severity.WARNING)
    assert summary([]) == "no findings"
    assert summary([note, OTHER_FILE, warning, NO_PLACE]) == "2 errors, 1 warning, 1 note"


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfa\r\nb\rc", b"a\nb\nc"])
def test_source_text_has_plain_line_ends(data: bytes) -> None:
    assert source_text(data) == "a\nb\nc"
