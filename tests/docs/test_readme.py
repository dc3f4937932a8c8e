"""The README tells the truth: what it shows is what the commands print."""

from __future__ import annotations

import re
import shlex

import pytest
from kit import ROOT, any_patch
from kit.real import guestmap

from planner.cli import COMMANDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Blocks marked ``console`` that show one command and all it prints.
SHOWN = re.findall(
    r"^```console\n\$ (?:\./scripts/)?guestmap (.*)\n((?:.*\n)*?)```", README, re.MULTILINE
)


def test_the_two_commands_come_first() -> None:
    first = README.index("./scripts/guestmap plan layouts/arm-guest-on-amd.yaml")
    assert first < README.index("./scripts/test") < README.index("## Why")


@pytest.mark.qemu
@pytest.mark.parametrize(("words", "output"), SHOWN, ids=[words[:24] for words, _ in SHOWN])
def test_what_is_shown_is_what_is_printed(words: str, output: str) -> None:
    printed = guestmap(*shlex.split(words)).stdout.rstrip()
    assert any_patch(printed) == any_patch(output.rstrip())


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_every_command_is_told() -> None:
    told = [name for name in COMMANDS if f"`{name}`" in README or f"guestmap {name}" in README]
    assert told == list(COMMANDS)
