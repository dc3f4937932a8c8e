"""What nobody exercised is not known to work: codes, options and fields must appear in a test."""

from __future__ import annotations

from importlib import import_module

import click
import pytest
from kit import ROOT

from planner.cli import COMMANDS
from planner.findings import CODES
from planner.layout.reference import layout_reference

#: Everything tests write, compare with or read: their code, golden files and cases.
TEXTS = {
    path: path.read_text(encoding="utf-8", errors="replace")
    for path in sorted((ROOT / "tests").rglob("*"))
    if path.is_file()
    and path.suffix in {".py", ".txt", ".json", ".yaml", ".err", ".md"}
    and path.name != "test_exercised.py"
}
EVERYTHING = "\n".join(TEXTS.values())


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_found_by_a_test(code: str) -> None:
    assert code in EVERYTHING


def options() -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for name in COMMANDS:
        command: click.Command = import_module(f"planner.cli.{name}").command
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                # --steer and --no-steer are two things to try, -o and --output are one.
                found += [
                    (name, tuple(words))
                    for words in (parameter.opts, parameter.secondary_opts)
                    if words
                ]
    return found


@pytest.mark.parametrize(("command", "words"), options())
def test_every_option_is_used_by_a_test(command: str, words: tuple[str, ...]) -> None:
    users = [
        path.name
        for path, text in TEXTS.items()
        if path.suffix == ".py"
        and command in text
        and any(f'"{word}"' in text or f"{word} " in text for word in words)
    ]
    assert users, f"no test uses guestmap {command} {' or '.join(words)}"


def test_every_field_of_a_layout_is_in_a_test() -> None:
    fields = [
        line.split("`")[1].rpartition(".")[2]
        for line in layout_reference().splitlines()
        if line.startswith("| `") and line.count(" | ") == 3
    ]
    assert len(fields) > 15
    assert [field for field in fields if f"{field}:" not in EVERYTHING] == []
