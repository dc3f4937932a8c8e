"""What a TAB offers, in each shell's words."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from kit import ROOT, cli_runner

from planner.cli import COMMANDS, complete, group
from planner.cli.completion import VARIABLE
from planner.findings import CODES

GEN9 = str(ROOT / "layouts" / "hosts" / "hp-gen9.yaml")
NAMES = ("0000:00:1f.0", "0000:29:00.0", "0001:29:00.0")


def offered(*words: str) -> list[str]:
    """Return what is offered for the last word; a file is ``file:`` and what it begins with."""
    asked = ShellComplete(group, {}, "guestmap", VARIABLE)
    items = asked.get_completions(list(words[:-1]), words[-1])
    return [f"file:{item.value}" if item.type == "file" else item.value for item in items]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        folder = tmp_path / "bus/pci/devices" / name
        folder.mkdir(parents=True)
        (folder / "class").write_text("0x030000\n")
    (tmp_path / "bus/pci/devices" / NAMES[1] / "driver").symlink_to("../drivers/vfio-pci")
    monkeypatch.setattr(complete, "SYSFS", tmp_path)
    return tmp_path


def test_commands() -> None:
    assert offered("") == list(COMMANDS)
    assert offered("ex") == ["explain"]
    assert offered("--v") == ["--version"]


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "lay"),
        ("plan", "guest.yaml", "--host", "lay"),
        ("lint", "a.yaml", "lay"),
        ("fmt", "lay"),
        ("args", "lay"),
        ("apply", "lay"),
        ("verify", "lay"),
        ("explain", "lay"),
        ("host", "lay"),
        ("host", "-o", "lay"),
        ("new", "--host", "lay"),
        ("check", "--", "qemu-system-x86_64", "-bios", "lay"),
        ("map", "--", "qemu-system-x86_64", "-bios", "lay"),
    ],
    ids=shlex.join,
)
def test_files(words: tuple[str, ...]) -> None:
    assert offered(*words) == ["file:lay"]


@pytest.mark.parametrize("command", ["check", "new", "host"])
@pytest.mark.usefixtures("host")
def test_devices_of_this_host(command: str) -> None:
    assert offered(command, "--device", "") == [*NAMES]
    assert offered(command, "--device", "0000:2") == ["0000:29:00.0"]
    assert offered(command, "--device", "29:0") == ["29:00.0"]
    assert offered(command, "--device=0001") == ["0001:29:00.0"]
    assert offered(command, "--device", "ff") == []


@pytest.mark.usefixtures("host")
def test_a_device_has_a_word_on_it() -> None:
    asked = ShellComplete(group, {}, "guestmap", VARIABLE)
    [item] = asked.get_completions(["new", "--device"], "0000:29")
    assert item.help == "0x030000 vfio-pci"


def test_no_devices_where_there_is_no_sysfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complete, "SYSFS", tmp_path / "none")
    assert offered("new", "--device", "") == []


def test_devices_of_the_profile_named() -> None:
    assert offered("new", "--host", GEN9, "--device", "0000:00:1a") == ["0000:00:1a.0"]
    assert offered("check", "--host", GEN9, "--device", "00:1a") == ["00:1a.0"]
    assert offered("new", "--host", "/nonexistent", "--device", "") == []


@pytest.mark.usefixtures("host")
def test_what_is_plugged() -> None:
    assert offered("hotplug", "v") == ["vfio-pci,host=", "virtio-mem-pci,"]
    assert offered("hotplug", "vfio-pci,host=0000:2") == ["vfio-pci,host=0000:29:00.0"]
    assert offered("hotplug", "vfio-pci,id=a,host=29:") == ["vfio-pci,id=a,host=29:00.0"]


@pytest.mark.parametrize(
    "words",
    [("verify", "p", "--qmp"), ("map", "--qmp"), ("hotplug", "--qmp"), ("new", "--from-qmp")],
    ids=shlex.join,
)
def test_monitors(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "rubbish").write_text("")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("run/vm.sock")
        assert offered(*words, "") == ["unix:run/"]
        assert offered(*words, "unix:r") == ["unix:run/"]
        assert offered(*words, "unix:run/") == ["unix:run/vm.sock"]
        assert offered(*words, f"unix:{tmp_path}/run/v") == [f"unix:{tmp_path}/run/vm.sock"]
        assert offered(*words, "unix:none/") == []
        assert offered(*words, "localhost:44") == []


def test_findings() -> None:
    assert offered("explain", "") == sorted(CODES)
    assert offered("explain", "mm50") == [code for code in sorted(CODES) if code[:4] == "MM50"]
    assert offered("explain", "ram-") == [CODES["MM401"].name, *offered("explain", "ram-")[1:]]
    assert offered("explain", "/var/log/kern") == ["file:/var/log/kern"]


def test_choices_and_options_are_clicks_own() -> None:
    assert offered("plan", "--scope", "a") == ["assigned"]
    assert offered("completion", "") == ["bash", "zsh", "fish"]
    assert "--qmp" in offered("map", "--q")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(shell: str) -> None:
    result = cli_runner().invoke(group, ["completion", shell])
    assert result.exit_code == 0
    assert f"_GUESTMAP_COMPLETE={shell}_complete" in result.stdout
    assert "guestmap" in result.stdout


def test_no_other_shell() -> None:
    result = cli_runner().invoke(group, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


def test_completing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.shell_completion import ShellComplete; from planner.cli import *;"
        "from planner.cli import group\n"
        "for words in (['plan'], ['plan', '--host'], ['new', '--device'], ['explain'],"
        " ['hotplug', '--qmp'], ['guard', '--qmp'], ['map', '--qmp'], []):\n"
        "    ShellComplete(group, {}, 'guestmap', '_').get_completions(words, '')\n"
        "print(sorted({'networkx', 'qemu', 'rich', 'jsonschema'} & sys.modules.keys()))"
    )
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"


#: Asks bash what it would put in place of the word under the cursor.
DRIVER = """\
source /dev/stdin <<<"$SCRIPT"
COMP_LINE=$1 COMP_POINT=${#1}
compopt() { local IFS=' '; echo "compopt $*"; }
_guestmap_completion guestmap
printf '%s\\n' "${COMPREPLY[@]}"
"""


def in_bash(line: str) -> list[str]:
    """Return what bash completes *line* with; bash itself has cut it at colons by then."""
    bin_folder = Path(sys.executable).parent
    script = cli_runner().invoke(group, ["completion", "bash"]).stdout
    result = subprocess.run(
        ["bash", "--norc", "-c", DRIVER, "bash", line],
        env={**os.environ, "SCRIPT": script, "PATH": f"{bin_folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("guestmap ex", ["explain"]),
        ("guestmap explain MM40", [code for code in sorted(CODES) if code[:4] == "MM40"]),
        ("guestmap plan lay", ["compopt -o default", ""]),
        ("guestmap plan a.yaml --scope=as", ["assigned"]),
        (f"guestmap new --host {GEN9} --device 0000:00:1", ["1a.0", "1d.0"]),
        (f"guestmap new --host={GEN9} --device=0000:00:1a", ["1a.0"]),
    ],
)
def test_in_bash(line: str, answer: list[str]) -> None:
    assert in_bash(line) == answer


def test_every_file_and_device_option_completes() -> None:
    """A parameter that names a file, a device or a monitor has something to offer."""
    root = click.Context(group)
    bare = [
        f"{name} {param.name}"
        for name in COMMANDS
        if name not in {"show", "diff"}
        for param in (group.get_command(root, name) or click.Command("none")).params
        if isinstance(param, click.Argument)
        or getattr(param, "metavar", "") in {"PROFILE", "FILE", "BDF", "ADDR"}
        if not param.shell_complete(root, "")
        if param.name not in {"listen", "place", "monitor", "devices"}
    ]
    assert bare == []
