"""Options that several commands take: one meaning, one help text, one way to refuse a value."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import import_module

import click
import pytest
from kit import ROOT, cli_runner

from planner.cli import COMMANDS, group

HOST = str(ROOT / "layouts" / "hosts" / "hp-gen9.yaml")
#: The same word for two things; the first help is the one most commands give.
TWO_MEANINGS = {"--format", "--version", "--output", "--check", "--diff"}


def test_one_help_text_an_option() -> None:
    """What a command does without the option may differ, and stands behind "Default:"."""
    texts: dict[str, set[str]] = defaultdict(set)
    for name in COMMANDS:
        command: click.Command = import_module(f"planner.cli.{name}").command
        for option in command.params:
            if isinstance(option, click.Option):
                text = re.sub(r"; repeatable|\.? Default: .*|\.$", "", option.help or "")
                texts[max(option.opts, key=len)].add(text)
    texts["--qmp"] |= texts.pop("--from-qmp")
    assert {k: v for k, v in texts.items() if len(v) > 1 and k not in TWO_MEANINGS} == {}


COMMANDS_WITH_DEVICES = {
    "host": (HOST,),
    "new": ("--host", HOST),
    "check": ("--host", HOST, "--model", "--", "qemu-system-x86_64", "-m", "1G"),
}


@pytest.mark.parametrize("command", COMMANDS_WITH_DEVICES)
@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("29:00", "'29:00' lacks the function of a PCI address, as in '29:00.0'"),
        ("0000:02:20.0", "'0000:02:20.0' has slot '20'; a PCI slot is 00 to 1f"),
        ("a b", "'a b' is neither a PCI address nor the name of a device"),
    ],
)
def test_a_device_that_cannot_be_is_refused(command: str, device: str, why: str) -> None:
    words = (command, "--device", device, *COMMANDS_WITH_DEVICES[command])
    result = cli_runner().invoke(group, words)
    assert result.exit_code == 2
    assert f"Invalid value for '--device': {why}" in result.stderr


@pytest.mark.parametrize("command", ["host", "check"])
def test_a_device_in_capitals_is_found(command: str) -> None:
    words = (command, "--json", "--device", "0000:00:1A.0", *COMMANDS_WITH_DEVICES[command])
    result = cli_runner().invoke(group, words, standalone_mode=False)
    assert "MM310" not in result.stdout
    assert '"0000:00:1a.0"' in result.stdout


def test_check_has_colour_where_it_is_asked_for() -> None:
    words = ["check", *COMMANDS_WITH_DEVICES["check"]]
    plain = cli_runner().invoke(group, words).stdout
    coloured = cli_runner().invoke(group, [*words[:1], "--color", "always", *words[1:]]).stdout
    assert "\x1b[" in coloured
    assert click.unstyle(coloured) == plain
