"""Names from outside act on nobody's terminal, and cannot look like lines of guestmap's own."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from kit import cli_runner
from kit.fake_qemu import fake

from planner.cli import COMMANDS, group, output
from planner.cli.program import run
from planner.draw import paint
from planner.text.harmless import harmless, harmless_json, shell_line

#: Red, a window's title, a C1 control, right to left, a line of its own, an invisible character.
EVIL = "a\x1b[31mb\x1b]0;pwn\x07\x9b31m\u202e\u2028\nok: fits\u200b"
SHOWN = harmless(EVIL)
PROFILE = {
    "schema": 1,
    "host": {"name": EVIL, "iommu": "intel", "address-bits": 39, "kernel": f"6.1{EVIL}"},
    "groups": [
        {
            "id": "1",
            "devices": [{"name": "0000:01:00.0", "driver": EVIL}],
            "reserved": "0x0000000000100000 0x00000000feefffff msi\n",
        }
    ],
}
LAYOUT = """\
schema: 1
name: guest
machine: {type: q35, version: "7.2"}
memory: {size: 1GiB}
devices: [{host: "0000:01:00.0"}]
hosts: [host.yaml]
"""
QEMU = ("qemu-system-x86_64", "-m", "2G", "-name", EVIL)
#: Commands that print what came from outside, below a folder with host.yaml and guest.yaml.
SAYING = {
    "host": "host host.yaml",
    "host of a device": "host host.yaml --device 0000:01:00.0",
    "plan": "plan guest.yaml",
    "plan of nothing": f"plan {shlex.quote(EVIL)}",
    "lint": "lint odd.yaml",
    "lint in one line": "lint --format concise odd.yaml",
    "lint for GitHub": "lint --format github odd.yaml",
    "fmt": f"fmt --check {shlex.quote(EVIL)}.yaml",
    "show a host": "show host.yaml",
    "show a layout": "show guest.yaml",
    "show a line": f"show --host host.yaml --model -- {shlex.join(QEMU)}",
    "diff": "diff host.yaml other.yaml",
    "diff in lines": "diff -u host.yaml other.yaml",
    "check": f"check --model --host host.yaml -- {shlex.join(QEMU)}",
    "check --fix": f"check --model --fix --host host.yaml -- {shlex.join(QEMU)}",
    "check of a QEMU that speaks": "check --host host.yaml -- ./qemu-system-evil",
    "map of a QEMU that speaks": "map -- ./qemu-system-evil",
    "map of what cannot be": f"map --model -- qemu-system-x86_64 -M {shlex.quote(EVIL)}",
    "new": "new --list --host host.yaml",
    "new from a line": f"new --from -- qemu-system-x86_64 -M {shlex.quote(EVIL)}",
    "explain a log": "explain log --host host.yaml",
    "explain nothing": f"explain {shlex.quote(EVIL)}",
    "args": "args plan.json",
    "verify": f"verify plan.json --qmp unix:{shlex.quote(EVIL)}",
    "apply": f"apply plan.json --qmp unix:{shlex.quote(EVIL)}",
    "hotplug": f"hotplug --qmp unix:{shlex.quote(EVIL)} pc-dimm",
    "guard": f"guard --qmp unix:none --listen unix:l --log {shlex.quote(EVIL)}/x",
    "a command that is none": shlex.quote(EVIL),
    "an option that is none": f"plan {shlex.quote('--' + EVIL)}",
}
#: Those that print a text of ours only.
SILENT = {"schema", "completion"}


def profile(data: Mapping[str, object]) -> str:
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in data.items())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    group_2 = {"id": "2", "devices": ["0000:02:00.0"], "reserved": "0x0 0x1fffff reserved\n"}
    other = PROFILE | {"host": {"name": f"other{EVIL}"}, "groups": [group_2]}
    files = {
        "host.yaml": profile(PROFILE),
        "other.yaml": profile(other),
        "guest.yaml": LAYOUT,
        "odd.yaml": LAYOUT.replace("name: guest", f"name: {json.dumps(EVIL)}"),
        f"{EVIL}.yaml": LAYOUT.replace(": 1", ":   1"),
        "log": f"vfio_dma_map(0x1, 0x200000, 0x1000, 0x2) = -22 {EVIL}",
    }
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    program = fake(tmp_path, "refuses")
    text = program.read_text().replace("unsupported machine type\\n", "%s")
    program.with_name("qemu-system-evil").write_text(text.replace("%s", ascii(EVIL)[1:-1]))
    program.with_name("qemu-system-evil").chmod(0o755)
    cli_runner().invoke(group, ["plan", "guest.yaml", "-o", "plan.json"])
    plan = json.loads(Path("plan.json").read_text())
    plan["sources"] = dict.fromkeys(plan["sources"], EVIL)
    Path("plan.json").write_text(json.dumps(plan))
    return tmp_path


def printed(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return all that a command prints, as the program does it."""
    monkeypatch.setattr("sys.argv", ["guestmap", *words])
    assert run(group) in (0, 1, 2, 3)
    out, err = capfd.readouterr()
    return out + err


@pytest.mark.parametrize("color", ["never", "always"])
@pytest.mark.parametrize("name", SAYING)
@pytest.mark.usefixtures("folder")
def test_text_is_harmless(
    name: str,
    color: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = shlex.split(SAYING[name])
    command = group.get_command(click.Context(group), words[0])
    if command and any(option.name == "color" for option in command.params):
        words[1:1] = ["--color", color]
    said = printed(words, capfd, monkeypatch)
    for style in [*paint._STYLES.values(), "0"]:
        said = said.replace(f"\x1b[{style}m", "")
    assert [line for line in said.split("\n") if not line.isprintable()] == []
    assert not any(line.startswith("ok: fits") for line in said.split("\n"))
    assert "pwn" in said


def test_every_command_is_tried() -> None:
    assert {text.split()[0] for text in SAYING.values()} >= set(COMMANDS) - SILENT


@pytest.mark.parametrize("words", ["host host.yaml", "plan guest.yaml", "show host.yaml"])
@pytest.mark.usefixtures("folder")
def test_json_is_harmless_and_means_what_it_meant(words: str) -> None:
    said = cli_runner().invoke(group, [*shlex.split(words), "--json"]).stdout
    assert said.replace("\n", "").isprintable()
    assert EVIL in str(json.loads(said)) or ascii(EVIL)[1:-1] in str(json.loads(said))


def test_json_keeps_its_meaning() -> None:
    value = {"a": EVIL + "\U000e0001\ud800é語", "b": ["\x7f"]}
    text = harmless_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == value
    assert "é語" in text


@pytest.mark.parametrize(
    "word", ["plain", "", "a b", "it's", EVIL, "\\\x1b'é", "\udc80\n", "$x`y`\t!"]
)
def test_a_shell_reads_back_what_was_quoted(word: str) -> None:
    line = shell_line(["printf", "%s", word])
    assert line.isprintable()
    said = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert said.decode("utf-8", "surrogateescape") == word


@pytest.mark.usefixtures("folder")
def test_a_colour_from_outside_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """Not even where it is spelled as ours are."""
    ours = paint.painter(color=True)
    output.say(ours("ours\x1b[32m", "ram") + "\x1b[32mtheirs\x1b[0m")
    assert capsys.readouterr().out == "\x1b[32mours\\x1b[32m\x1b[0m\\x1b[32mtheirs\\x1b[0m\n"
