"""Every finding code has a page, and the page's examples are true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from kit import ROOT, Golden

from planner.argv.line import parse_argv
from planner.findings import CODES, Finding
from planner.host.profile import HostProfile
from planner.host.read import read_profile_bytes
from planner.judge.asked import judge_asked
from planner.judge.host import judge_host
from planner.layout.load import load
from planner.layout.reference import layout_reference, profile_reference
from planner.layout.silence import apply_silence
from planner.place.plan import make_plan

PAGES = ROOT / "docs" / "findings"
FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
#: Findings whose input no page can hold: files of a real host, sizes past any example.
SHOWN_ONLY = {"MM303", "MM308", "MM316", "MM401", "MM402", "MM409", "MM508"}
#: Families with examples that are run elsewhere: they need a real QEMU.
NEEDS_QEMU = ("MM6", "MM7")
STAND_IN = """\
schema: 1
name: guest
machine: {type: q35, version: "7.2"}
memory: {size: 1GiB}
"""


def section(code: str, name: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a section as (info, text)."""
    text = (PAGES / f"{code}.md").read_text()
    part = text.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]
    return [(match[1], match[2]) for match in FENCE.finditer(part)]


def found(blocks: list[tuple[str, str]], scratch: Path) -> set[str]:
    """Return the codes that an example gives."""
    layouts = [text for info, text in blocks if info == "yaml layout"]
    hosts: list[HostProfile] = []
    for number, (info, text) in enumerate(blocks):
        if info in {"yaml host", "text dump", "text dump cut"}:
            data = text.encode().removesuffix(b"\n") if info.endswith("cut") else text.encode()
            hosts.append(read_profile_bytes(data, str(scratch / f"host-{number}.yaml")))
    lines = [text.replace("\\\n", " ") for info, text in blocks if info == "text argv"]
    if lines:
        asked = [parse_argv(shlex.split(line)).asked() for line in lines]
        return {finding.code for one in asked for finding in judge_asked(one)}
    layout, findings = load((layouts or [STAND_IN])[0].encode(), "layout.yaml")
    said: list[Finding] = list(findings)
    for host in hosts:
        said += [*host.findings, *judge_host(host)]
    if layout is not None:
        if hosts:
            said += make_plan(layout, hosts, {}).findings
        said = apply_silence(said, layout.silence)
    return {finding.code for finding in said}


@pytest.mark.parametrize("code", sorted(CODES))
def test_code_has_a_page(code: str) -> None:
    path = PAGES / f"{code}.md"
    assert path.exists(), f"write docs/findings/{code}.md: what, why, bad, good, what to do"
    text = path.read_text()
    entry = CODES[code]
    assert text.startswith(f"# {code} {entry.name}\n\n*{entry.severity}*: {entry.summary}\n")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Why", "Bad", "Good", "What to do"]
    assert section(code, "Bad")
    assert section(code, "Good")
    assert all(len(line) <= 100 for line in text.split("\n") if not line.startswith("/sys"))


RUN = sorted(code for code in CODES if code not in SHOWN_ONLY and not code.startswith(NEEDS_QEMU))


@pytest.mark.parametrize("code", RUN)
def test_bad_example_has_the_finding_and_good_one_has_not(code: str, tmp_path: Path) -> None:
    assert code in found(section(code, "Bad"), tmp_path)
    assert code not in found(section(code, "Good"), tmp_path)


def test_no_page_without_a_code() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"index"} <= set(CODES)


def test_index_lists_every_page(golden: Golden) -> None:
    lines = ["# Findings", "", "| code | name | severity | meaning |", "|---|---|---|---|"]
    lines += [
        f"| [{code}]({code}.md) | {entry.name} | {entry.severity} | {entry.summary} |"
        for code, entry in sorted(CODES.items())
    ]
    golden("../docs/findings/index.md", "\n".join(lines) + "\n")


def test_reference_of_layout_fields(golden: Golden) -> None:
    golden("../docs/reference/layout.md", layout_reference())


def test_reference_of_profile_fields(golden: Golden) -> None:
    golden("../docs/reference/profile.md", profile_reference())
