"""``guestmap new``: what it writes loads, is canonical, and says what it knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from kit import ROOT, Golden, cli_runner

from planner.cli import new
from planner.layout.draft import size_text
from planner.layout.load import load
from planner.layout.schema import LAYOUT
from planner.text.canonical import canonical
from planner.units import parse_size

HOST = str(ROOT / "layouts" / "hosts" / "amd-desktop.yaml")
GEN9 = str(ROOT / "layouts" / "hosts" / "hp-gen9.yaml")


def run(*arguments: str) -> Result:
    return cli_runner().invoke(new.command, arguments)


ARM = (
    "qemu-system-aarch64 -M virt-7.2,gic-version=3 -cpu max -m 4G,slots=2,maxmem=16G"
    " -device vfio-pci,host=29:00.0"
)
QEMU_ARGS = [
    ARM,
    "qemu-system-x86_64 -M q35 -m 3G -global q35-pcihost.pci-hole64-size=1T",
    "qemu-system-x86_64 -M q35,max-ram-below-4g=2G -cpu EPYC,phys-bits=48 -m 3G",
    "qemu-system-x86_64 -M pc-i440fx-7.2 -m 512",
]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--machine", "virt"],
        ["--machine", "q35", "--memory", "1536MiB", "--max", "8GiB", "--version", "7.2"],
        ["--machine", "q35", "--device", "29:00.0", "--host", HOST],
        ["--machine", "q35", "--device", "04:00.0", "--device", "99:00.0", "--host", GEN9],
        *(["--from", "--", *line.split()] for line in QEMU_ARGS),
    ],
    ids=lambda arguments: " ".join(arguments)[-40:],
)
def test_draft_loads_and_is_canonical(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    layout, findings = load(result.stdout.encode(), "f.yaml")
    assert findings == []
    assert layout is not None
    assert canonical(result.stdout.encode(), LAYOUT) == result.stdout


def test_draft_for_a_device(golden: Golden, tmp_path: Path) -> None:
    path = tmp_path / "guest.yaml"
    arguments = ["--machine", "virt", "--device", "04:00.0", "--device", "00:1a.0"]
    assert run(*arguments, "--host", GEN9, "-o", str(path)).exit_code == 0
    golden("cli/golden/new.yaml", path.read_text().replace(GEN9, "hosts/hp-gen9.yaml"))


def test_draft_from_a_command_line() -> None:
    layout, _ = load(run("--from", "--", *ARM.split()).stdout.encode(), "f.yaml")
    assert layout is not None
    assert (layout.machine.type, layout.machine.version, layout.machine.cpu) == (
        "virt",
        "7.2",
        "max",
    )
    assert layout.machine.options == {"gic-version": "3"}
    assert (layout.memory.size, layout.memory.max, layout.memory.slots) == (4 << 30, 16 << 30, 2)
    assert layout.devices == ("0000:29:00.0",)


def test_host_path_is_relative_to_the_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "hosts" / "a.yaml").write_bytes(Path(HOST).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert run("--host", "hosts/a.yaml", "-o", "out/guest.yaml").exit_code == 0
    layout, _ = load((tmp_path / "out" / "guest.yaml").read_bytes(), "f.yaml")
    assert layout is not None
    assert layout.hosts == ("../hosts/a.yaml",)


def test_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "guest.yaml"
    path.write_text("mine")
    result = run("-o", str(path))
    assert result.exit_code == 2
    assert "exists already\n  = help: name another file" in result.stderr
    assert path.read_text() == "mine"


def test_list_says_what_speaks_against_a_device() -> None:
    lines = run("--list", "--host", GEN9).stdout.splitlines()
    assert lines[2] == "0000:01:00.2   group 0000:01:00.2  (firmware wants a 1:1 region)"
    assert len(lines) == 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "29:00.9"], "'29:00.9' has function '9'; a PCI function is 0 to 7"),
        (["--memory", "4GB"], "'4GB' is ambiguous; write 4GiB"),
        (["--memory", "4096"], "no machine boots with less than 1 MiB"),
        (["--name", "a b"], "'name' is 'a b', not a name of letters"),
        (["--from"], "--from and a command line after -- go together"),
        (["--", "qemu"], "--from and a command line after -- go together"),
        (["--from", "--", "qemu-system-x86_64", "-M", "foo"], "cannot be taken over"),
        (["--host", "/nonexistent"], "/nonexistent cannot be read"),
    ],
)
def test_refusals(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("size", [1, 4096, 1 << 20, 3 << 29, 5 << 38, 3054 << 20, (1 << 40) + 1])
def test_size_is_written_so_that_it_reads_back(size: int) -> None:
    assert parse_size(size_text(size)) == size
